# Build options and the three INTERFACE targets that carry them:
#   qn_build     language level, feature macros, debug macro, hidden visibility's companions
#   qn_warnings  the warning set
#   qn_sanitize  sanitizers and coverage
# Every target of ours links all three privately (qn_configure), so nothing of them is exported.
option(QN_WERROR "Treat warnings as errors" OFF)
option(QN_BUILD_TESTS "Build the C unit tests and fuzz replays" ${PROJECT_IS_TOP_LEVEL})
option(QN_BUILD_EXAMPLES "Build examples/c" ${PROJECT_IS_TOP_LEVEL})
option(QN_COVERAGE "Count lines and branches" OFF)
option(QN_FUZZ "Build libFuzzer executables (clang only)" OFF)
set(QN_SANITIZE "" CACHE STRING "Sanitizers, e.g. address,undefined or thread")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE RelWithDebInfo CACHE STRING "Build type" FORCE)
endif()

add_library(qn_build INTERFACE)
target_compile_features(qn_build INTERFACE c_std_11)
target_compile_definitions(qn_build INTERFACE _GNU_SOURCE $<$<CONFIG:Debug>:QN_DEBUG=1>)

add_library(qn_warnings INTERFACE)
target_compile_options(qn_warnings INTERFACE
  -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition
  -Wpointer-arith -Wwrite-strings -Wformat=2 -Wimplicit-fallthrough -Wvla -Wredundant-decls
  -Wno-unused-parameter -Wno-missing-field-initializers
  $<$<BOOL:${QN_WERROR}>:-Werror>)

add_library(qn_sanitize INTERFACE)
if(QN_SANITIZE)
  set(qn_san_flags -fsanitize=${QN_SANITIZE} -fno-omit-frame-pointer)
  if(QN_SANITIZE MATCHES "undefined")
    list(APPEND qn_san_flags -fno-sanitize-recover=undefined)
  endif()
  target_compile_options(qn_sanitize INTERFACE ${qn_san_flags} -O1)
  target_link_options(qn_sanitize INTERFACE ${qn_san_flags})
endif()
if(QN_COVERAGE)
  target_compile_options(qn_sanitize INTERFACE --coverage -O0)
  target_link_options(qn_sanitize INTERFACE --coverage)
endif()
if(QN_FUZZ)
  if(NOT CMAKE_C_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "QN_FUZZ needs clang (cmake --preset fuzz)")
  endif()
  target_compile_options(qn_sanitize INTERFACE -fsanitize=fuzzer-no-link)
  target_link_options(qn_sanitize INTERFACE -fsanitize=fuzzer-no-link)
endif()

# Position independent everywhere: the archives go into the Lua module as well as into programs,
# and one compilation for both costs nothing measurable on the platforms we have.
function(qn_configure target)
  set_target_properties(${target} PROPERTIES
    C_STANDARD 11 C_STANDARD_REQUIRED ON C_EXTENSIONS OFF
    C_VISIBILITY_PRESET hidden POSITION_INDEPENDENT_CODE ON OPTIMIZE_DEPENDENCIES ON)
  target_link_libraries(${target} PRIVATE
    $<BUILD_INTERFACE:qn_build> $<BUILD_INTERFACE:qn_warnings> $<BUILD_INTERFACE:qn_sanitize>)
endfunction()
