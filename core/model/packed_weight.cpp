#include "core/model/packed_weight.h"

#include <ATen/core/dispatch/Dispatcher.h>

#include <optional>

namespace fovea {
namespace {

using Scalars = c10::List<std::optional<at::Scalar>>;
using Multiply = torch::Tensor(const torch::Tensor&, const torch::Tensor&, const std::optional<torch::Tensor>&, c10::string_view, Scalars,
                               std::optional<c10::string_view>);
using Pack = torch::Tensor(const torch::Tensor&, std::optional<std::int64_t>);

template <class Signature>
std::optional<c10::TypedOperatorHandle<Signature>> find(const char* name) {
  const auto handle = c10::Dispatcher::singleton().findSchema({name, ""});
  return handle ? std::optional(handle->typed<Signature>()) : std::nullopt;
}

// A build of torch without oneDNN has none of them.
bool machine_multiplies_bfloat16() {
  static const bool answer = [] {
    const auto supported = find<bool()>("mkldnn::_is_mkldnn_bf16_supported");
    return supported && supported->call() && find<Pack>("mkldnn::_reorder_linear_weight") && find<Multiply>("mkldnn::_linear_pointwise");
  }();
  return answer;
}

// Tensors made in inference mode do not count their changes.
std::int64_t version_of(const torch::Tensor& x) { return x.is_inference() ? 0 : static_cast<std::int64_t>(x._version()); }

}  // namespace

void PackedWeight::refresh(const torch::Tensor& weight) {
  const std::scoped_lock lock(mutex_);
  if (!weight.is_cpu() || weight.scalar_type() != torch::kBFloat16 || !machine_multiplies_bfloat16()) {
    packed_ = packed_from_ = torch::Tensor();
    return;
  }
  if (packed_from_.defined() && packed_from_.is_alias_of(weight) && version_ == version_of(weight)) return;
  static const auto pack = *find<Pack>("mkldnn::_reorder_linear_weight");
  const torch::NoGradGuard no_gradients;
  packed_ = pack.call(weight.detach().clone(), std::nullopt);
  packed_from_ = weight.detach();   // keeps the memory, so that no other weight can be taken for this one
  version_ = version_of(weight);
}

torch::Tensor PackedWeight::multiply(const torch::Tensor& x, const torch::Tensor& bias, Activation activation) const {
  static const auto product = *find<Multiply>("mkldnn::_linear_pointwise");
  const bool gelu = activation == Activation::kGelu;
  return product.call(x, packed_, bias, gelu ? "gelu" : "none", Scalars(), gelu ? "none" : "");   // "none": not by tanh
}

}  // namespace fovea
