# Compiler and linker flags: sanitizers for everything that is built, the rest target by target.

if(BERTH_SANITIZE STREQUAL "address")
    add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer)
    add_link_options(-fsanitize=address,undefined)
elseif(BERTH_SANITIZE STREQUAL "thread")
    add_compile_options(-fsanitize=thread -fno-omit-frame-pointer)
    add_link_options(-fsanitize=thread)
elseif(BERTH_SANITIZE)
    message(FATAL_ERROR "BERTH_SANITIZE is '${BERTH_SANITIZE}'; it can be address, thread or empty")
endif()

if(BERTH_COVERAGE)
    add_compile_options(--coverage)
    add_link_options(--coverage)
endif()

add_link_options(LINKER:-z,relro,-z,now)
if(NOT BERTH_SANITIZE)
    add_link_options($<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,SHARED_LIBRARY>:LINKER:-z,defs>)
endif()

# Warnings, for all of our own C.
function(berth_warnings target)
    target_compile_options(${target} PRIVATE -Wall -Wextra -Wconversion -Wshadow -Wvla
        -Wstrict-prototypes -Wmissing-prototypes -Wpointer-arith -Wundef)
    if(BERTH_WERROR)
        target_compile_options(${target} PRIVATE -Werror)
    endif()
endfunction()

# The library itself. Fortified only where it is optimised and no sanitizer does the same better.
function(berth_compile_options target)
    berth_warnings(${target})
    set_target_properties(${target} PROPERTIES
        C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF C_VISIBILITY_PRESET hidden)
    target_compile_definitions(${target} PRIVATE _GNU_SOURCE)
    target_compile_options(${target} PRIVATE -fstack-protector-strong)
    if(CMAKE_BUILD_TYPE MATCHES "Rel" AND NOT BERTH_SANITIZE)
        target_compile_options(${target} PRIVATE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2)
    endif()
endfunction()
