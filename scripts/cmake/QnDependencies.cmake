# Outside libraries, found through pkg-config only; nothing is downloaded.
#   PkgConfig::UV   libuv
#   PkgConfig::CARES  c-ares, the transport of DNS questions
#   PkgConfig::IDN2   libidn2, the tables of UTS 46
#   qn_openssl      libssl and libcrypto: for programs the static archives when there are any (the
#                   relocation of the shared ones would double the start-up), else the shared ones
#   qn_lua_headers  the Lua 5.4 headers without the library (the module never links liblua)
#   qn_liblua       liblua: the whole static archive when there is one, else the shared library
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET "libuv>=1.44")
pkg_check_modules(CARES REQUIRED IMPORTED_TARGET "libcares>=1.18")
pkg_check_modules(IDN2 REQUIRED IMPORTED_TARGET "libidn2>=2.3")
pkg_check_modules(OPENSSL REQUIRED IMPORTED_TARGET "openssl>=3.0")
pkg_search_module(LUA REQUIRED IMPORTED_TARGET lua5.4 lua-5.4 "lua>=5.4 lua<5.5")
find_program(QN_LUA_INTERPRETER NAMES lua5.4 lua REQUIRED)

add_library(qn_lua_headers INTERFACE)
target_include_directories(qn_lua_headers SYSTEM INTERFACE ${LUA_INCLUDE_DIRS})

# The whole archive: a binary module may call a function of the Lua API that we never call.
add_library(qn_liblua INTERFACE)
find_library(QN_LUA_ARCHIVE NAMES liblua5.4.a liblua-5.4.a HINTS ${LUA_LIBRARY_DIRS} ${LUA_LIBDIR})
if(QN_LUA_ARCHIVE)
  target_link_libraries(qn_liblua INTERFACE
    "-Wl,--whole-archive" "${QN_LUA_ARCHIVE}" "-Wl,--no-whole-archive" m ${CMAKE_DL_LIBS})
else()
  target_link_libraries(qn_liblua INTERFACE PkgConfig::LUA)
endif()

add_library(qn_openssl INTERFACE)
find_library(QN_SSL_ARCHIVE NAMES libssl.a HINTS ${OPENSSL_LIBRARY_DIRS} ${OPENSSL_LIBDIR})
find_library(QN_CRYPTO_ARCHIVE NAMES libcrypto.a HINTS ${OPENSSL_LIBRARY_DIRS} ${OPENSSL_LIBDIR})
if(QN_SSL_ARCHIVE AND QN_CRYPTO_ARCHIVE)
  target_link_libraries(qn_openssl INTERFACE
    "${QN_SSL_ARCHIVE}" "${QN_CRYPTO_ARCHIVE}" Threads::Threads ${CMAKE_DL_LIBS})
else()
  target_link_libraries(qn_openssl INTERFACE PkgConfig::OPENSSL)
endif()
