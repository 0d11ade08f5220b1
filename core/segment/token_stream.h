// One vector a token of a whole image, kept where there is room for it, read and written by rows of tokens.
#pragma once

#include <cstdint>

#include "core/base/torch.h"

namespace fovea {

struct TokenStreamOptions {
  std::int64_t rows = 0, columns = 0;    // of the token grid
  std::int64_t channels = 0;
  torch::Dtype dtype = torch::kFloat32;          // it is kept in
  torch::Dtype compute_dtype = torch::kFloat32;  // rows are handed out in
  torch::Device home = torch::kCPU;      // where it is kept; pinned if that is the host and compute is not
  torch::Device compute = torch::kCPU;   // where rows are handed out and taken back
};

class TokenStream {
 public:
  explicit TokenStream(const TokenStreamOptions& options);   // uninitialised

  // [1, rows * columns, channels] on the compute device: a view of the stream itself if that is its home and the dtypes are one.
  torch::Tensor read(std::int64_t first_row, std::int64_t rows) const;
  // tokens: [1, rows * columns, channels] in the compute dtype, on the compute device.
  void write(std::int64_t first_row, const torch::Tensor& tokens);

  std::int64_t rows() const { return options_.rows; }
  std::int64_t columns() const { return options_.columns; }

 private:
  TokenStreamOptions options_;
  torch::Tensor tokens_;   // [rows * columns, channels]
};

}  // namespace fovea
