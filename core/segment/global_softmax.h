// Attention of the global tokens' queries over keys that arrive in parts.
#pragma once

#include "core/attention/token_steps.h"
#include "core/base/torch.h"

namespace fovea {

// Each part gives a softmax of its own and its log-sum-exp; such results merge exactly into that of the union (Milakov and Gimelshein
// 2018). Accumulates in float32, or float64 for float64 queries.
class GlobalSoftmax {
 public:
  // query: [1, G, heads, D]; G may be 0. scale: of the scores.
  GlobalSoftmax(const torch::Tensor& query, double scale);

  // key, value: [1, n, heads, D], n >= 1; each key once over all calls.
  void add(const torch::Tensor& key, const torch::Tensor& value);

  // [1, G, heads, D] in the dtype of the query.
  torch::Tensor result() const;

 private:
  torch::Tensor query_;      // [heads, G, D], scaled
  GlobalParts so_far_;       // one part; undefined before the first
  torch::Dtype dtype_;
};

}  // namespace fovea
