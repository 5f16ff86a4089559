# C unit tests and fuzz targets, registered with ctest.
#   spec/runtime/<floor>/x_test.c  runtime.<floor>.x, links qn_core, sees private headers
#   spec/bindings/x_test.c         bindings.x, links qn_lua and liblua as well
#   spec/fuzz/x_fuzz.c             fuzz.x: replays spec/fuzz/corpus/x; a libFuzzer program instead
#                                  when QN_FUZZ is on; links the bindings as well when it is named
#                                  after one of their files
set(QN_SPEC "${PROJECT_SOURCE_DIR}/spec")
file(GLOB QN_RUNTIME_TESTS CONFIGURE_DEPENDS "${QN_SPEC}/runtime/*/*_test.c")
file(GLOB QN_BINDING_TESTS CONFIGURE_DEPENDS "${QN_SPEC}/bindings/*_test.c")
file(GLOB QN_FUZZ_TARGETS CONFIGURE_DEPENDS "${QN_SPEC}/fuzz/*_fuzz.c")

function(qn_test_program target source)
  add_executable(${target} "${source}" ${ARGN})
  qn_configure(${target})
  set_target_properties(${target} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin/tests")
  target_include_directories(${target} PRIVATE "${QN_SPEC}" "${QN_SPEC}/support" "${QN_RUNTIME}")
  target_link_libraries(${target} PRIVATE qn_core)
endfunction()

function(qn_register name target)
  add_test(NAME ${name} COMMAND ${target} ${ARGN} WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
  set_tests_properties(${name} PROPERTIES TIMEOUT 120)
endfunction()

foreach(source IN LISTS QN_RUNTIME_TESTS)
  file(RELATIVE_PATH path "${QN_SPEC}/runtime" "${source}")
  string(REGEX REPLACE "_test\\.c$" "" path "${path}")
  string(REPLACE "/" "_" target "test_${path}")
  string(REPLACE "/" "." name "runtime.${path}")
  qn_test_program(${target} "${source}")
  qn_register(${name} ${target})
endforeach()

foreach(source IN LISTS QN_BINDING_TESTS)
  get_filename_component(file "${source}" NAME_WE)
  string(REGEX REPLACE "_test$" "" file "${file}")
  qn_test_program(test_bindings_${file} "${source}")
  set_target_properties(test_bindings_${file} PROPERTIES ENABLE_EXPORTS ON)
  # for quotes only: sched.h of the system must not be ours
  target_compile_options(test_bindings_${file} PRIVATE "SHELL:-iquote \"${QN_BINDINGS}\"")
  target_link_libraries(test_bindings_${file} PRIVATE qn_lua qn_lua_headers qn_liblua)
  qn_register(bindings.${file} test_bindings_${file})
endforeach()

foreach(source IN LISTS QN_FUZZ_TARGETS)
  get_filename_component(file "${source}" NAME_WE)
  string(REGEX REPLACE "_fuzz$" "" file "${file}")
  if(QN_FUZZ)
    qn_test_program(fuzz_${file} "${source}")
    set_target_properties(fuzz_${file} PROPERTIES
      RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin/fuzz")
    target_link_options(fuzz_${file} PRIVATE -fsanitize=fuzzer)
  else()
    qn_test_program(fuzz_${file} "${source}" "${QN_SPEC}/fuzz/replay_main.c")
    qn_register(fuzz.${file} fuzz_${file} "${QN_SPEC}/fuzz/corpus/${file}")
  endif()
  if(EXISTS "${QN_BINDINGS}/${file}.c") # a target named after a file of bindings/
    target_include_directories(fuzz_${file} PRIVATE "${QN_BINDINGS}")
    target_link_libraries(fuzz_${file} PRIVATE qn_lua qn_lua_headers qn_liblua)
  endif()
endforeach()
