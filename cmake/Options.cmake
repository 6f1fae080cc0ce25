# The options of the build. A value that an option does not have is refused: CMake takes any other word
# for ON.

function(berth_refuse name note)
    list(JOIN ARGN ", " values)
    string(REGEX REPLACE ", ([^,]*)$" " or \\1" values "${values}")
    message(FATAL_ERROR "${name} is '${${name}}'; it can be ${values} ${note}")
endfunction()

# berth_option(NAME HELP DEFAULT [VALUE...]): a switch, or one of the further values
function(berth_option name help default)
    if(ARGN)
        set(${name} ${default} CACHE STRING "${help}")
        set_property(CACHE ${name} PROPERTY STRINGS ON OFF ${ARGN})
    else()
        option(${name} "${help}" ${default})
    endif()
    string(TOUPPER "${${name}}" value)
    if(value MATCHES "^(ON|OFF|YES|NO|TRUE|FALSE|Y|N|1|0)$" OR "${${name}}" IN_LIST ARGN)
        return()
    endif()
    list(PREPEND ARGN ON OFF)
    berth_refuse(${name} "(YES, TRUE, Y and 1 are ON, and NO, FALSE, N and 0 are OFF)" ${ARGN})
endfunction()

# berth_choice(NAME HELP VALUE...): one of the values, or empty
function(berth_choice name help)
    set(${name} "" CACHE STRING "${help}")
    set_property(CACHE ${name} PROPERTY STRINGS "" ${ARGN})
    if(NOT "${${name}}" STREQUAL "" AND NOT "${${name}}" IN_LIST ARGN)
        berth_refuse(${name} "" ${ARGN} empty)
    endif()
endfunction()
