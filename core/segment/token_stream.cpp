#include "core/segment/token_stream.h"

#include "core/base/error.h"

namespace fovea {

TokenStream::TokenStream(const TokenStreamOptions& options) : options_(options) {
  const bool pinned = options.home.is_cpu() && !options.compute.is_cpu();
  tokens_ = torch::empty({options.rows * options.columns, options.channels},
                         torch::TensorOptions(options.dtype).device(options.home).pinned_memory(pinned));
}

torch::Tensor TokenStream::read(std::int64_t first_row, std::int64_t rows) const {
  const auto kept = tokens_.narrow(0, first_row * options_.columns, rows * options_.columns).unsqueeze(0);
  return kept.to(options_.compute, /*non_blocking=*/true).to(options_.compute_dtype);
}

void TokenStream::write(std::int64_t first_row, const torch::Tensor& tokens) {
  require(tokens.dim() == 3 && tokens.size(2) == options_.channels, "TokenStream::write: tokens must be [1, n, channels]");
  // Blocking: the next reader of these rows may be the host.
  tokens_.narrow(0, first_row * options_.columns, tokens.size(1)).copy_(tokens.squeeze(0));
}

}  // namespace fovea
