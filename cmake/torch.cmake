# Imported target fovea::torch from the libtorch inside a Python wheel.
#
# find_package(Torch) is not used: with CMake 3.25 and nvcc 13 it fails, and where it works it rewrites the CUDA architectures.
# libtorch_cuda.so is not linked: it is loaded at run time where an NVIDIA driver is present (core/base/torch_runtime.h), so that one
# build serves machines with and without a GPU.

set(FOVEA_TORCH_DIR "" CACHE PATH "Folder that holds include/ and lib/ of libtorch 2.11 (default: the private venv's torch package)")
if(NOT FOVEA_TORCH_DIR)
  file(GLOB _torch_dirs "${PROJECT_SOURCE_DIR}/.deps/venv/lib/python3*/site-packages/torch")
  list(LENGTH _torch_dirs _count)
  if(NOT _count EQUAL 1)
    message(FATAL_ERROR "libtorch is not in .deps/venv: run scripts/setup.sh (make demo and make test do), or set FOVEA_TORCH_DIR")
  endif()
  set(FOVEA_TORCH_DIR "${_torch_dirs}")
endif()

file(GLOB _cudart "${FOVEA_TORCH_DIR}/../nvidia/cu13/lib")
set(FOVEA_TORCH_RPATH "${FOVEA_TORCH_DIR}/lib" ${_cudart})

add_library(fovea_torch INTERFACE)
add_library(fovea::torch ALIAS fovea_torch)
target_include_directories(fovea_torch SYSTEM INTERFACE
  "${FOVEA_TORCH_DIR}/include" "${FOVEA_TORCH_DIR}/include/torch/csrc/api/include")
target_link_libraries(fovea_torch INTERFACE
  "${FOVEA_TORCH_DIR}/lib/libtorch_cpu.so" "${FOVEA_TORCH_DIR}/lib/libc10.so")
target_link_options(fovea_torch INTERFACE "LINKER:--allow-shlib-undefined")
