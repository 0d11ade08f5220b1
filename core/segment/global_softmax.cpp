#include "core/segment/global_softmax.h"

namespace fovea {
namespace {

torch::Dtype wide(const torch::Tensor& x) { return x.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32; }

}  // namespace

GlobalSoftmax::GlobalSoftmax(const torch::Tensor& query, double scale)
    : query_((query.squeeze(0).transpose(0, 1).to(wide(query)) * scale).contiguous()), dtype_(query.scalar_type()) {}

void GlobalSoftmax::add(const torch::Tensor& key, const torch::Tensor& value) {
  if (query_.size(1) == 0) return;
  GlobalParts parts = attend_from_globals(query_, key.squeeze(0), value.squeeze(0));
  if (so_far_.lse.defined()) parts = {torch::cat({so_far_.lse, parts.lse}), torch::cat({so_far_.values, parts.values})};
  if (parts.lse.size(0) > 1) {
    const auto lse = parts.lse.logsumexp(0, /*keepdim=*/true);
    const auto weights = (parts.lse - lse).exp_().unsqueeze(-1);
    parts = {lse, (parts.values * weights).sum(0, /*keepdim=*/true)};
  }
  so_far_ = parts;
}

torch::Tensor GlobalSoftmax::result() const {
  const auto& values = query_.size(1) == 0 ? query_.unsqueeze(0) : so_far_.values;   // [1, heads, G, D]
  return values.transpose(1, 2).to(dtype_);
}

}  // namespace fovea
