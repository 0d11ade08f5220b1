#include "core/segment/token_stream.h"

#include "core/base/error.h"

namespace fovea {

TokenStream::TokenStream(const TokenStreamOptions& options) : options_(options) {
  const bool pinned = options.home.is_cpu() && !options.compute.is_cpu();
  const auto place = torch::TensorOptions(options.dtype).device(options.home).pinned_memory(pinned);
  tokens_ = torch::empty({options.tokens, options.channels}, place);
}

torch::Tensor TokenStream::read(std::int64_t first, std::int64_t count) const {
  return tokens_.narrow(0, first, count).to(options_.compute, /*non_blocking=*/true).to(options_.compute_dtype);
}

// Nobody on the host looks at the stream while a GPU computes: copies follow each other on the GPU's stream.
void TokenStream::write(std::int64_t first, const torch::Tensor& tokens) {
  require(tokens.dim() == 2 && tokens.size(1) == options_.channels, "TokenStream::write: tokens must be [n, channels]");
  const auto kept = tokens_.narrow(0, first, tokens.size(0));
  if (kept.is_alias_of(tokens) && kept.const_data_ptr() == tokens.const_data_ptr()) return;
  kept.copy_(tokens.to(options_.dtype), /*non_blocking=*/true);
}

}  // namespace fovea
