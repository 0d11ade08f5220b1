# Compiler settings that every target of this project shares.

option(FOVEA_SANITIZE "Build with AddressSanitizer and UndefinedBehaviorSanitizer" OFF)
option(FOVEA_IMAGES "Build image reading, segmentation and the programs around it (needs OpenCV and GDAL)" ON)
set(FOVEA_CUDA "AUTO" CACHE STRING "CUDA kernels: AUTO (if nvcc is found), ON (must be found), OFF")
set_property(CACHE FOVEA_CUDA PROPERTY STRINGS AUTO ON OFF)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
# Release keeps assert() out and debug information small; require() is always checked.
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")

add_library(fovea_options INTERFACE)
target_compile_options(fovea_options INTERFACE
  $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -Wpedantic -Wshadow -Wno-unused-parameter>)
if(FOVEA_SANITIZE)
  target_compile_options(fovea_options INTERFACE
    $<$<COMPILE_LANGUAGE:CXX>:-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer -O1>)
  target_link_options(fovea_options INTERFACE -fsanitize=address,undefined)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env CCACHE_SLOPPINESS=pch_defines,time_macros,include_file_mtime,include_file_ctime ${CCACHE_PROGRAM})
  set(CMAKE_CUDA_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:-fpch-preprocess>)
endif()
find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM)
  add_link_options(-fuse-ld=mold)
endif()

set(FOVEA_HAS_CUDA OFF)
if(NOT FOVEA_CUDA STREQUAL "OFF")
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
      set(CMAKE_CUDA_ARCHITECTURES OFF)   # each CUDA target names its own (-gencode), sm_90a needs it
    endif()
    enable_language(CUDA)
    set(CMAKE_CUDA_STANDARD 17)
    set(FOVEA_HAS_CUDA ON)
  elseif(FOVEA_CUDA STREQUAL "ON")
    message(FATAL_ERROR "FOVEA_CUDA=ON, and no nvcc was found: install the CUDA Toolkit 13.0 or use FOVEA_CUDA=AUTO")
  endif()
endif()
message(STATUS "CUDA kernels: ${FOVEA_HAS_CUDA}")
