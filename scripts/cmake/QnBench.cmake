# scripts/bench/*.c: one program each, in <build>/bin/bench, built by `ninja bench` only.
file(GLOB QN_BENCH_SOURCES CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/scripts/bench/*.c")
if(QN_BENCH_SOURCES)
  add_custom_target(bench)
endif()
foreach(source IN LISTS QN_BENCH_SOURCES)
  get_filename_component(name "${source}" NAME_WE)
  add_executable(bench_${name} EXCLUDE_FROM_ALL "${source}")
  qn_configure(bench_${name})
  set_target_properties(bench_${name} PROPERTIES
    OUTPUT_NAME ${name} RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin/bench")
  target_link_libraries(bench_${name} PRIVATE qn_core PkgConfig::UV Threads::Threads m)
  add_dependencies(bench bench_${name})
endforeach()
