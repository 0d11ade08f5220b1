#include "core/train/training_device.h"

#include <ATen/autocast_mode.h>
#include <torch/cuda.h>

#include <charconv>
#include <string_view>

#include "core/base/error.h"
#include "core/base/torch_runtime.h"

namespace fovea {

torch::Device choose_device(const std::string& name) {
  if (name == "cpu") return torch::kCPU;
  if (name == "auto") return load_torch_cuda().empty() ? torch::Device(torch::kCUDA, 0) : torch::Device(torch::kCPU);
  constexpr std::string_view kPrefix = "cuda";
  std::string_view rest = name;
  int index = 0;
  bool good = rest.starts_with(kPrefix);
  if (good) rest.remove_prefix(kPrefix.size());
  if (good && !rest.empty()) {
    const auto [end, code] = std::from_chars(rest.data() + 1, rest.data() + rest.size(), index);
    good = rest[0] == ':' && rest.size() > 1 && code == std::errc() && end == rest.data() + rest.size() && index >= 0;
  }
  if (!good) throw Error(ErrorKind::kUsage, "device " + name + ": must be auto, cpu, cuda or cuda:INDEX");
  if (const auto& reason = load_torch_cuda(); !reason.empty()) throw Error(ErrorKind::kEnvironment, name + ": " + reason);
  const auto count = static_cast<int>(torch::cuda::device_count());
  if (index >= count) throw Error(ErrorKind::kEnvironment, name + ": this machine has " + std::to_string(count) + " CUDA devices");
  return torch::Device(torch::kCUDA, static_cast<torch::DeviceIndex>(index));
}

BFloat16Autocast::BFloat16Autocast()
    : previous_dtype_(at::autocast::get_autocast_dtype(at::kCUDA)), previous_enabled_(at::autocast::is_autocast_enabled(at::kCUDA)) {
  at::autocast::set_autocast_dtype(at::kCUDA, torch::kBFloat16);
  at::autocast::set_autocast_enabled(at::kCUDA, true);
  at::autocast::increment_nesting();
}

BFloat16Autocast::~BFloat16Autocast() {
  // The cache holds bfloat16 copies of the weights, which the optimiser is about to change.
  if (at::autocast::decrement_nesting() == 0) at::autocast::clear_cache();
  at::autocast::set_autocast_enabled(at::kCUDA, previous_enabled_);
  at::autocast::set_autocast_dtype(at::kCUDA, previous_dtype_);
}

}  // namespace fovea
