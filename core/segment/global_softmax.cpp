#include "core/segment/global_softmax.h"

namespace fovea {
namespace {

torch::Dtype wide(const torch::Tensor& x) { return x.scalar_type() == torch::kFloat64 ? torch::kFloat64 : torch::kFloat32; }

// [1, n, heads, D] -> [heads, n, D]
torch::Tensor by_heads(const torch::Tensor& x) { return x.squeeze(0).transpose(0, 1).to(wide(x)); }

}  // namespace

GlobalSoftmax::GlobalSoftmax(const torch::Tensor& query, double scale) : query_(by_heads(query) * scale), dtype_(query.scalar_type()) {}

void GlobalSoftmax::add(const torch::Tensor& key, const torch::Tensor& value) {
  if (query_.size(1) == 0) return;
  const auto scores = torch::matmul(query_, by_heads(key).transpose(1, 2));
  const auto lse = scores.logsumexp(-1, /*keepdim=*/true);
  const auto weighted = torch::matmul((scores - lse).exp_(), by_heads(value));
  if (!weighted_.defined()) {
    weighted_ = weighted;
    lse_ = lse;
    return;
  }
  const auto merged = torch::logaddexp(lse_, lse);
  weighted_ = weighted_ * (lse_ - merged).exp() + weighted * (lse - merged).exp();
  lse_ = merged;
}

torch::Tensor GlobalSoftmax::result() const {
  if (query_.size(1) == 0) return query_.transpose(0, 1).unsqueeze(0).to(dtype_);
  return weighted_.transpose(0, 1).unsqueeze(0).to(dtype_);
}

}  // namespace fovea
