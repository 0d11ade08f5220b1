// A build without nvcc: nothing runs here.
#include "core/attention/analysis/cuda_products.h"
#include "core/base/error.h"

namespace fovea::analysis::cuda_products {

bool runs(const AttentionLayer&, const HeadChoice&) { return false; }

at::Tensor row_lse(const AttentionLayer&) { throw Error(ErrorKind::kContract, "built without CUDA kernels"); }

TokenMap times_attention(const TokenMap&, const AttentionLayer&, const HeadChoice&, RowSums) {
  throw Error(ErrorKind::kContract, "built without CUDA kernels");
}

TokenMap attention_times(const AttentionLayer&, const TokenMap&, const GridRect&, const HeadChoice&, RowSums) {
  throw Error(ErrorKind::kContract, "built without CUDA kernels");
}

}  // namespace fovea::analysis::cuda_products
