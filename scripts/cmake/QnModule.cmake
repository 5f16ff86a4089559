# The module for stock interpreters: <build>/lib/qn/core.so, and <build>/lib/qn.so as a symbolic
# link to it, so that `require "qn"` needs nothing but LUA_CPATH="<build>/lib/?.so". It exports
# luaopen_* and nothing else, and never links liblua.
add_library(qn_module MODULE $<TARGET_OBJECTS:qn_lua>)
qn_configure(qn_module)
set_target_properties(qn_module PROPERTIES
  PREFIX "" OUTPUT_NAME core SUFFIX ".so" LINKER_LANGUAGE C
  LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib/qn"
  LINK_DEPENDS "${PROJECT_SOURCE_DIR}/scripts/cmake/module.map")
target_link_libraries(qn_module PRIVATE qn_core m)
target_link_options(qn_module PRIVATE
  "-Wl,--version-script=${PROJECT_SOURCE_DIR}/scripts/cmake/module.map" "-Wl,--exclude-libs,ALL")
add_custom_command(TARGET qn_module POST_BUILD
  COMMAND "${CMAKE_COMMAND}" -E create_symlink qn/core.so "${PROJECT_BINARY_DIR}/lib/qn.so"
  VERBATIM)
