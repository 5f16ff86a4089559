# examples/c/*.c: one program each, in <build>/bin/examples.
file(GLOB QN_C_EXAMPLES CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/examples/c/*.c")
foreach(source IN LISTS QN_C_EXAMPLES)
  get_filename_component(name "${source}" NAME_WE)
  add_executable(example_${name} "${source}")
  qn_configure(example_${name})
  set_target_properties(example_${name} PROPERTIES
    OUTPUT_NAME ${name} ENABLE_EXPORTS ON
    RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin/examples")
  file(STRINGS "${source}" uses_lua REGEX "^#include <(qn/)?l(ua|auxlib|ualib)\\.h>")
  if(uses_lua)
    target_link_libraries(example_${name} PRIVATE qn_lua qn_lua_headers qn_liblua)
  else()
    target_link_libraries(example_${name} PRIVATE qn_core)
  endif()
endforeach()
