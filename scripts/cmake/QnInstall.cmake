# What `cmake --install` puts down: headers, the two archives with a CMake package (qn::qn,
# qn::lua) and pkg-config files (qn, qn-lua), the program, and the module for stock interpreters.
# spec/install consumes all of it.
include(CMakePackageConfigHelpers)

set(QN_CMAKE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/qn")
set(QN_LUA_CMOD_DIR "${CMAKE_INSTALL_LIBDIR}/lua/5.4" CACHE PATH "Where Lua C modules go")
set(qn_templates "${PROJECT_SOURCE_DIR}/scripts/cmake")

install(FILES ${QN_PUBLIC_HEADERS} "${QN_BINDINGS}/include/qn/lua.h"
  DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}/qn")
install(TARGETS qn_core qn_lua EXPORT qn
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  INCLUDES DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
if(TARGET qnlua)
  install(TARGETS qnlua RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
endif()
install(TARGETS qn_module LIBRARY DESTINATION "${QN_LUA_CMOD_DIR}/qn")
install(FILES "${PROJECT_BINARY_DIR}/lib/qn.so" DESTINATION "${QN_LUA_CMOD_DIR}")

install(EXPORT qn NAMESPACE qn:: FILE qnTargets.cmake DESTINATION "${QN_CMAKE_DIR}")
configure_package_config_file("${qn_templates}/qnConfig.cmake.in"
  "${PROJECT_BINARY_DIR}/qnConfig.cmake" INSTALL_DESTINATION "${QN_CMAKE_DIR}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/qnConfigVersion.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${PROJECT_BINARY_DIR}/qnConfig.cmake" "${PROJECT_BINARY_DIR}/qnConfigVersion.cmake"
  DESTINATION "${QN_CMAKE_DIR}")

# The pkg-config files find everything relative to themselves: an installed tree may be moved.
file(RELATIVE_PATH QN_PC_TO_PREFIX
  "${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig" "${CMAKE_INSTALL_PREFIX}")
foreach(name qn qn-lua)
  configure_file("${qn_templates}/${name}.pc.in" "${PROJECT_BINARY_DIR}/${name}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/${name}.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
endforeach()
