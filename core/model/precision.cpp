#include "core/model/precision.h"

namespace fovea {
namespace {

// Without such instructions torch computes it in float32, with conversions on top.
bool processor_multiplies_bfloat16() {
#if defined(__x86_64__)
  return __builtin_cpu_supports("avx512bf16");
#else
  return false;
#endif
}

}  // namespace

torch::Dtype usual_precision(torch::Device device) {
  return device.is_cuda() || processor_multiplies_bfloat16() ? torch::kBFloat16 : torch::kFloat32;
}

const char* precision_name(torch::Dtype dtype) { return dtype == torch::kBFloat16 ? "bfloat16" : "float32"; }

}  // namespace fovea
