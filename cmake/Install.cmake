# What `cmake --install` puts where: headers, the libraries, the pkg-config files, the CMake package and
# the documents. All of it may be moved afterwards: nothing installed holds the prefix.
#
# Components: runtime (the shared libraries), development (what is needed to compile with them), man,
# and documentation (what is in share/doc/berth).

include(CMakePackageConfigHelpers)
set(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME development)

set(package_dir ${CMAKE_INSTALL_LIBDIR}/cmake/Berth)
set(pkgconfig_dir ${CMAKE_INSTALL_LIBDIR}/pkgconfig)

install(DIRECTORY include/berth DESTINATION ${CMAKE_INSTALL_INCLUDEDIR}
    FILES_MATCHING PATTERN *.h PATTERN *.hpp)

# Documents, by their paths in the tree, so that links between them hold; and the site, where scripts/docs
# has made it.
install(FILES LICENSE README.md CHANGELOG.md DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT documentation)
install(DIRECTORY docs DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT documentation
    PATTERN manual EXCLUDE PATTERN Doxyfile EXCLUDE PATTERN spec-numbers.txt EXCLUDE)
install(DIRECTORY build/docs/html DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT documentation OPTIONAL
    PATTERN .buildinfo EXCLUDE PATTERN objects.inv EXCLUDE)

# Man pages, where scripts/docs --man has made them. Nobody needs its tools to install the library.
install(DIRECTORY build/man/ DESTINATION ${CMAKE_INSTALL_MANDIR} COMPONENT man OPTIONAL)
install(CODE "if(NOT EXISTS \"${PROJECT_SOURCE_DIR}/build/man/man7/berth.7\")
    message(STATUS \"Without man pages: scripts/docs --man makes them\")
else()
    file(GLOB headers \"${PROJECT_SOURCE_DIR}/include/berth/*.h\")
    foreach(header IN LISTS headers)
        if(\"\${header}\" IS_NEWER_THAN \"${PROJECT_SOURCE_DIR}/build/man/man7/berth.7\")
            message(STATUS \"The man pages are older than the headers: scripts/docs --man makes them anew\")
            break()
        endif()
    endforeach()
endif()" COMPONENT man)

# The sources of the examples, built or not.
install(DIRECTORY examples DESTINATION ${CMAKE_INSTALL_DOCDIR} COMPONENT documentation
    FILES_MATCHING PATTERN "*.[ch]" PATTERN Makefile PATTERN fortunes REGEX "/(deploy|fetch_content)/")

# Two export sets, since only a program that links statically needs liburing on its machine.
install(TARGETS berth EXPORT BerthTargets
    LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT development
    INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(TARGETS berth-static EXPORT BerthStaticTargets
    ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(EXPORT BerthTargets NAMESPACE Berth:: DESTINATION ${package_dir})
install(EXPORT BerthStaticTargets NAMESPACE Berth:: DESTINATION ${package_dir})

# Those of TLS likewise.
if(TARGET berth-tls)
    install(TARGETS berth-tls EXPORT BerthTlsTargets
        LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT runtime NAMELINK_COMPONENT development
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
    install(TARGETS berth-tls-static EXPORT BerthTlsStaticTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
    install(EXPORT BerthTlsTargets NAMESPACE Berth:: DESTINATION ${package_dir})
    install(EXPORT BerthTlsStaticTargets NAMESPACE Berth:: DESTINATION ${package_dir})
endif()

configure_file(cmake/BerthConfig.cmake.in BerthConfig.cmake @ONLY)
# Within a major version, 0 included, what was written for an earlier version works with a later one.
write_basic_package_version_file(${PROJECT_BINARY_DIR}/BerthConfigVersion.cmake
    COMPATIBILITY SameMajorVersion)
install(FILES ${PROJECT_BINARY_DIR}/BerthConfig.cmake ${PROJECT_BINARY_DIR}/BerthConfigVersion.cmake
    DESTINATION ${package_dir})

# The prefix as seen from the folder of berth.pc; an absolute library folder gives it up.
if(IS_ABSOLUTE "${CMAKE_INSTALL_LIBDIR}")
    set(BERTH_PC_PREFIX ${CMAKE_INSTALL_PREFIX})
else()
    file(RELATIVE_PATH up "/${pkgconfig_dir}" "/")
    string(REGEX REPLACE "/$" "" BERTH_PC_PREFIX "\${pcfiledir}/${up}")
endif()
foreach(name LIBDIR INCLUDEDIR) # either may be absolute
    set(BERTH_PC_${name} ${CMAKE_INSTALL_${name}})
    if(NOT IS_ABSOLUTE "${CMAKE_INSTALL_${name}}")
        set(BERTH_PC_${name} "\${prefix}/${CMAKE_INSTALL_${name}}")
    endif()
endforeach()
set(BERTH_PC_LIBURING "")
if(BERTH_IO_URING)
    set(BERTH_PC_LIBURING "liburing >= 2.3, ")
endif()
set(names berth)
if(TARGET berth-tls)
    list(APPEND names berth-tls)
endif()
foreach(name IN LISTS names)
    configure_file(cmake/${name}.pc.in ${name}.pc @ONLY)
    install(FILES ${PROJECT_BINARY_DIR}/${name}.pc DESTINATION ${pkgconfig_dir})
endforeach()
unset(CMAKE_INSTALL_DEFAULT_COMPONENT_NAME)
