# Compiler and linker flags: sanitizers for everything that is built, the rest target by target. All of
# it is about this folder: a project that has Berth in its tree keeps its own.

if(BERTH_SANITIZE STREQUAL "address")
    add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(-fsanitize=address,undefined)
elseif(BERTH_SANITIZE STREQUAL "fuzzer") # clang only
    add_compile_options(-fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=all
        -fno-omit-frame-pointer)
    add_link_options(-fsanitize=address,undefined)
elseif(BERTH_SANITIZE STREQUAL "thread")
    add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
    add_link_options(-fsanitize=thread)
endif()

if(BERTH_COVERAGE)
    add_compile_options(--coverage)
    add_link_options(--coverage)
endif()

# What is shipped does not depend on where it was built: no path is in it. A debugger finds the
# sources if it is started in their folder.
if(CMAKE_BUILD_TYPE MATCHES "Rel" AND NOT BERTH_SANITIZE)
    add_compile_options(-ffile-prefix-map=${PROJECT_SOURCE_DIR}=. -ffile-prefix-map=${PROJECT_BINARY_DIR}=.)
endif()
set(CMAKE_BUILD_RPATH_USE_ORIGIN ON)

add_link_options(LINKER:-z,relro,-z,now)
if(NOT BERTH_SANITIZE)
    add_link_options($<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,SHARED_LIBRARY>:LINKER:-z,defs>)
endif()

include(CheckCSourceCompiles)
include(CheckPIESupported)
check_pie_supported()
set(CMAKE_REQUIRED_FLAGS "-O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 -Werror")
check_c_source_compiles("#include <string.h>\nint main(void) { return 0; }" BERTH_FORTIFIES_3)
unset(CMAKE_REQUIRED_FLAGS)

# Warnings, for all of our own C.
function(berth_warnings target)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wconversion -Wshadow -Wvla
        -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wundef)
    if(BERTH_WERROR)
        target_compile_options(${target} PRIVATE -Werror)
    endif()
endfunction()

# What makes a defect harder to exploit; scripts/check-hardening looks at the outcome. Fortified only
# where it is optimised and no sanitizer does the same better, at level 3 if the compiler has what
# that needs: glibc warns if not.
function(berth_harden target)
    target_compile_options(${target} PRIVATE -fstack-protector-strong)
    if(CMAKE_BUILD_TYPE MATCHES "Rel" AND NOT BERTH_SANITIZE)
        target_compile_options(${target} PRIVATE
            -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=$<IF:$<BOOL:${BERTH_FORTIFIES_3}>,3,2>)
    endif()
endfunction()

# The library itself.
function(berth_compile_options target)
    berth_warnings(${target})
    berth_harden(${target})
    set_target_properties(${target} PROPERTIES
        C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF C_VISIBILITY_PRESET hidden)
    target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
endfunction()
