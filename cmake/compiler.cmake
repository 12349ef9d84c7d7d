# One set of compiler settings for every target of ours: rota_settings.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 12)
  message(FATAL_ERROR "GCC ${CMAKE_CXX_COMPILER_VERSION} is too old: rota needs GCC 12 or newer, or clang 14 or newer.")
endif()

add_library(rota_settings INTERFACE)
target_include_directories(rota_settings INTERFACE ${CMAKE_SOURCE_DIR}/include)
target_compile_definitions(rota_settings INTERFACE _GNU_SOURCE ROTA_VERSION="${PROJECT_VERSION}")
target_compile_options(rota_settings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wswitch -Werror
  -fstack-protector-strong)

if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  target_compile_definitions(rota_settings INTERFACE _GLIBCXX_ASSERTIONS)
else()
  target_compile_options(rota_settings INTERFACE -fno-plt -fstack-clash-protection -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3)
  if(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    target_compile_options(rota_settings INTERFACE -fcf-protection)
  endif()
  target_compile_definitions(rota_settings INTERFACE _GLIBCXX_ASSERTIONS)
  target_link_options(rota_settings INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack -Wl,--as-needed)
endif()

if(ROTA_SANITIZE)
  target_compile_options(rota_settings INTERFACE -fsanitize=${ROTA_SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  target_link_options(rota_settings INTERFACE -fsanitize=${ROTA_SANITIZE})
  if(ROTA_SANITIZE MATCHES "address" AND CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    # The suites start thousands of processes, and what describes the checked places is megabytes of pointers: without
    # relocations and another library to load, a start costs half.
    target_link_options(rota_settings INTERFACE -no-pie -static-libasan -static-libubsan)
    # What is checked at every access: half of that description, and a quarter of the compiler's time. A null pointer ends
    # the process here anyway; the fuzz targets (clang) keep all three.
    target_compile_options(rota_settings INTERFACE -fno-sanitize=null,alignment,vptr)
  endif()
  if(ROTA_SANITIZE MATCHES "thread")
    # fmt and libstdc++ atomics are fine, but GCC warns that fences are not modelled.
    target_compile_options(rota_settings INTERFACE $<$<CXX_COMPILER_ID:GNU>:-Wno-tsan>)
  endif()
endif()

find_program(CCACHE ccache)
if(CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(CMAKE_C_COMPILER_LAUNCHER ${CCACHE})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE})
  if(ROTA_PRECOMPILE)
    # What ccache asks for before it keeps anything that was compiled with a precompiled header (its manual, "Precompiled headers").
    set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros ${CCACHE})
    target_compile_options(rota_settings INTERFACE $<$<CXX_COMPILER_ID:GNU>:-fpch-preprocess>)
  endif()
endif()
