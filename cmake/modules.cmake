# rota_module(NAME LINK ... PRIVATE_LINK ...): one static library per module, sources in src/NAME, headers in include/rota/NAME.
# LINK are rota modules and libraries whose types may appear in this module's headers; PRIVATE_LINK never do.
function(rota_module name)
  cmake_parse_arguments(arg "" "" "LINK;PRIVATE_LINK" ${ARGN})
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${name}/*.cpp)
  add_library(rota_${name} STATIC ${sources})
  add_library(rota::${name} ALIAS rota_${name})
  target_link_libraries(rota_${name} PUBLIC rota_settings ${arg_LINK} PRIVATE ${arg_PRIVATE_LINK})
  rota_precompile(rota_${name} rota_base <algorithm> <array> <cstdint> <cstring> <functional> <map> <memory> <optional> <span> <string>
    <string_view> <utility> <vector> <fmt/format.h>)
endfunction()

# rota_precompile(TARGET FIRST HEADER...): with ROTA_PRECOMPILE, FIRST precompiles the headers and all others use them.
function(rota_precompile target first)
  if(NOT ROTA_PRECOMPILE)
    return()
  endif()
  if(target STREQUAL first)
    target_precompile_headers(${target} PRIVATE ${ARGN})
  else()
    target_precompile_headers(${target} REUSE_FROM ${first})
  endif()
endfunction()

# rota_unit_test(NAME): tests/unit/NAME/*.cpp become the executable unit_NAME, linked with that module.
function(rota_unit_test name)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/tests/unit/${name}/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(unit_${name} ${sources})
  target_link_libraries(unit_${name} PRIVATE rota::${name} rota_settings Catch2::Catch2WithMain)
  target_include_directories(unit_${name} PRIVATE ${CMAKE_SOURCE_DIR}/tests)
  target_compile_definitions(unit_${name} PRIVATE ROTA_SOURCE="${CMAKE_SOURCE_DIR}")
  if(CMAKE_BUILD_TYPE STREQUAL "Debug")
    # Half of a test build's time went into optimising assertions and into looking for undefined behaviour in them.
    target_compile_options(unit_${name} PRIVATE -O0 -fno-sanitize=undefined)
  endif()
  rota_precompile(unit_${name} unit_base <algorithm> <fstream> <functional> <map> <memory> <optional> <string> <string_view> <vector>
    <fmt/format.h> <catch2/catch_test_macros.hpp>)
  add_test(NAME unit_${name} COMMAND unit_${name})
  set_tests_properties(unit_${name} PROPERTIES LABELS unit TIMEOUT 240
    ENVIRONMENT "ASAN_OPTIONS=detect_stack_use_after_return=1:check_initialization_order=1")
endfunction()
