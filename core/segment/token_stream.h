// One vector a token of a whole image, kept where there is room for it, read and written by consecutive tokens.
#pragma once

#include <cstdint>

#include "core/base/torch.h"

namespace fovea {

struct TokenStreamOptions {
  std::int64_t tokens = 0, channels = 0;
  torch::Dtype dtype = torch::kFloat32;          // it is kept in
  torch::Dtype compute_dtype = torch::kFloat32;  // tokens are handed out in
  torch::Device home = torch::kCPU;      // where it is kept; pinned if that is the host and compute is not
  torch::Device compute = torch::kCPU;   // where tokens are handed out and taken back
};

class TokenStream {
 public:
  explicit TokenStream(const TokenStreamOptions& options);   // uninitialised

  // [count, channels] on the compute device: a view of the stream itself if that is its home and the dtypes are one, else a copy.
  torch::Tensor read(std::int64_t first, std::int64_t count) const;
  // tokens: [count, channels] in the compute dtype, on the compute device. What was changed in a view that read() gave is there already.
  void write(std::int64_t first, const torch::Tensor& tokens);

 private:
  TokenStreamOptions options_;
  torch::Tensor tokens_;   // [tokens, channels]
};

}  // namespace fovea
