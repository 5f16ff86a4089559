# qn_lua: the binding as a static library, exported as qn::lua. It holds bindings/*.c but main.c
# and the Lua modules of lua/qn as C arrays. It uses the Lua headers and links no liblua: the
# program links one, the module finds it in the interpreter, an embedding host brings its own.
set(QN_BINDINGS "${PROJECT_SOURCE_DIR}/bindings")
file(GLOB QN_BINDING_SOURCES CONFIGURE_DEPENDS "${QN_BINDINGS}/*.c")
list(REMOVE_ITEM QN_BINDING_SOURCES "${QN_BINDINGS}/main.c")
file(GLOB_RECURSE QN_LUA_MODULES CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/lua/qn/*.lua")
list(FILTER QN_LUA_MODULES EXCLUDE REGEX "/lua/qn/_meta/")

set(QN_EMBEDDED "${PROJECT_BINARY_DIR}/gen/embedded.c")
add_custom_command(
  OUTPUT "${QN_EMBEDDED}"
  COMMAND "${QN_LUA_INTERPRETER}" "${PROJECT_SOURCE_DIR}/scripts/embed.lua"
          "${PROJECT_SOURCE_DIR}/lua" "${QN_EMBEDDED}" ${QN_LUA_MODULES}
  DEPENDS ${QN_LUA_MODULES} "${PROJECT_SOURCE_DIR}/scripts/embed.lua"
  COMMENT "Embedding lua/qn"
  VERBATIM)

add_library(qn_lua STATIC ${QN_BINDING_SOURCES} "${QN_EMBEDDED}")
add_library(qn::lua ALIAS qn_lua)
qn_configure(qn_lua)
set_target_properties(qn_lua PROPERTIES EXPORT_NAME lua)
target_include_directories(qn_lua
  PUBLIC $<BUILD_INTERFACE:${QN_BINDINGS}/include> PRIVATE "${QN_BINDINGS}")
target_link_libraries(qn_lua PUBLIC qn_core m PRIVATE $<BUILD_INTERFACE:qn_lua_headers>)
