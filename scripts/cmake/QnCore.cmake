# qn_core: the C core as a static library, exported as qn::qn.
set(QN_RUNTIME "${PROJECT_SOURCE_DIR}/runtime")
file(GLOB QN_CORE_SOURCES CONFIGURE_DEPENDS "${QN_RUNTIME}/*/*.c")
file(GLOB QN_PUBLIC_HEADERS CONFIGURE_DEPENDS "${QN_RUNTIME}/include/qn/*.h")
if(NOT QN_CORE_SOURCES)
  file(WRITE "${PROJECT_BINARY_DIR}/empty_core.c" "typedef int qn_empty_core;\n")
  set(QN_CORE_SOURCES "${PROJECT_BINARY_DIR}/empty_core.c")
endif()

add_library(qn_core STATIC ${QN_CORE_SOURCES})
add_library(qn::qn ALIAS qn_core)
qn_configure(qn_core)
set_target_properties(qn_core PROPERTIES EXPORT_NAME qn OUTPUT_NAME qn)
target_include_directories(qn_core
  PUBLIC $<BUILD_INTERFACE:${QN_RUNTIME}/include> $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
  PRIVATE "${QN_RUNTIME}")
target_compile_features(qn_core PUBLIC c_std_11)
target_link_libraries(qn_core PUBLIC PkgConfig::UV PkgConfig::CARES PkgConfig::IDN2 Threads::Threads
  # the consumer decides how: see qn_openssl in QnDependencies
  "$<BUILD_INTERFACE:$<IF:$<BOOL:$<TARGET_PROPERTY:QN_STATIC_OPENSSL>>,qn_openssl,PkgConfig::OPENSSL>>"
  "$<INSTALL_INTERFACE:PkgConfig::OPENSSL>")
