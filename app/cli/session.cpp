#include "app/cli/session.h"

#include <ATen/Parallel.h>
#include <c10/util/Exception.h>

namespace fovea::cli {
namespace {

class SilentWarnings final : public c10::WarningHandler {
 public:
  void process(const c10::Warning&) override {}
};

}  // namespace

void prepare_torch(const CommonOptions& common) {
  static SilentWarnings silent;
  c10::WarningUtils::set_warning_handler(&silent);
  if (common.threads > 0) torch::set_num_threads(common.threads);
}

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

torch::Dtype choose_precision(const std::string& precision, const torch::Device& device) {
  if (precision == "float32") return torch::kFloat32;
  if (precision == "bfloat16") return torch::kBFloat16;
  return device.is_cuda() || (device.is_cpu() && processor_multiplies_bfloat16()) ? torch::kBFloat16 : torch::kFloat32;
}

const char* precision_name(torch::Dtype dtype) { return dtype == torch::kBFloat16 ? "bfloat16" : "float32"; }

}  // namespace fovea::cli
