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

torch::Dtype choose_precision(const std::string& precision, const torch::Device& device) {
  if (precision == "float32") return torch::kFloat32;
  if (precision == "bfloat16") return torch::kBFloat16;
  return usual_precision(device);
}

}  // namespace fovea::cli
