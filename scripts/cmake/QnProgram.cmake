# qnlua: the program. Its symbols of the Lua API are exported so that binary modules load into it.
if(EXISTS "${QN_BINDINGS}/main.c")
  add_executable(qnlua "${QN_BINDINGS}/main.c")
  qn_configure(qnlua)
  set_target_properties(qnlua PROPERTIES
    ENABLE_EXPORTS ON QN_STATIC_OPENSSL ON RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
  target_include_directories(qnlua PRIVATE "${QN_BINDINGS}")
  target_link_libraries(qnlua PRIVATE qn_lua qn_lua_headers qn_liblua)
endif()
