#include "core/base/torch_runtime.h"

#include <dlfcn.h>
#include <torch/cuda.h>

#include "core/base/error.h"

namespace fovea {
namespace {

std::string try_load() {
  // The driver first: without it the 900 MB CUDA libraries would be mapped for nothing.
  if (!dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL)) return "no NVIDIA driver (libcuda.so.1) on this machine";
  if (!dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL)) return "torch's CUDA libraries cannot be loaded: " + first_line(dlerror());
  try {
    if (!torch::cuda::is_available()) return "no CUDA device that torch can use";
  } catch (const std::exception& error) {
    return "CUDA cannot be used: " + first_line(error.what());
  }
  return {};
}

}  // namespace

const std::string& load_torch_cuda() {
  static const std::string reason = try_load();
  return reason;
}

}  // namespace fovea
