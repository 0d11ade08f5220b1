#include "core/attention/reference_masked.h"

#include <ATen/ATen.h>

#include <cstdint>
#include <limits>
#include <list>
#include <mutex>

namespace fovea::reference_masked {
namespace {

constexpr std::int64_t kMaxMaskBytes = 256 << 20;
constexpr std::size_t kMaxCachedMasks = 4;

struct MaskKey {
  std::array<std::int64_t, 2> grid, window;
  std::int64_t global_tokens;
  std::vector<std::int32_t> dilation;   // one entry if all heads agree
  at::ScalarType dtype;
  at::Device device;
  bool operator==(const MaskKey&) const = default;
};

bool heads_agree(const AttentionCall& call) {
  return std::all_of(call.dilation.begin(), call.dilation.end(), [&](std::int32_t step) { return step == call.dilation.front(); });
}

MaskKey key_of(const AttentionCall& call) {
  const std::vector<std::int32_t> dilation = heads_agree(call) ? std::vector{call.dilation.front()} : call.dilation;
  return {call.grid, call.window, call.global_tokens, dilation, call.query.scalar_type(), call.query.device()};
}

// Torch's kernel reads the mask in pieces of 16 bytes: each row starts at such an address.
std::int64_t padded_row(std::int64_t tokens) { return (tokens + 15) / 16 * 16; }

// visible(a, b): whether positions a and b along one side of the grid see each other, [side, side].
at::Tensor visible_along(std::int64_t side, std::int64_t window, std::int64_t dilation, const at::TensorOptions& options) {
  const at::Tensor position = at::arange(side, options.dtype(at::kLong));
  const at::Tensor distance = (position.unsqueeze(1) - position.unsqueeze(0)).abs();
  return (distance <= (window - 1) / 2 * dilation).logical_and_(distance.remainder(dilation) == 0);
}

// 0 where a query sees a key, minus infinity elsewhere: [1, heads or 1, N, N].
at::Tensor build_mask(const MaskKey& key) {
  const auto options = at::TensorOptions().device(key.device).dtype(key.dtype);
  const std::int64_t tokens = key.global_tokens + key.grid[0] * key.grid[1];
  const auto heads = static_cast<std::int64_t>(key.dilation.size());
  const at::Tensor mask = at::zeros({1, heads, tokens, padded_row(tokens)}, options).narrow(3, 0, tokens);
  for (std::int64_t head = 0; head < heads; ++head) {
    const std::int64_t dilation = key.dilation[static_cast<std::size_t>(head)];
    const at::Tensor rows = visible_along(key.grid[0], key.window[0], dilation, options);
    const at::Tensor columns = visible_along(key.grid[1], key.window[1], dilation, options);
    const at::Tensor hidden = rows.unsqueeze(1).unsqueeze(3).logical_and(columns.unsqueeze(0).unsqueeze(2)).logical_not_();
    const std::int64_t in_grid = tokens - key.global_tokens;
    mask[0][head].narrow(0, key.global_tokens, in_grid).narrow(1, key.global_tokens, in_grid)
        .masked_fill_(hidden.reshape({in_grid, in_grid}), -std::numeric_limits<double>::infinity());
  }
  return mask;
}

// Training meets few patterns and needs each in every layer of every step. Never destroyed: at exit the CUDA driver may be gone already.
at::Tensor cached_mask(const AttentionCall& call) {
  static std::mutex mutex;
  static auto& masks = *new std::list<std::pair<MaskKey, at::Tensor>>;
  const MaskKey key = key_of(call);
  const std::lock_guard lock(mutex);
  const auto found = std::find_if(masks.begin(), masks.end(), [&](const auto& entry) { return entry.first == key; });
  if (found != masks.end()) {
    masks.splice(masks.begin(), masks, found);
  } else {
    masks.emplace_front(key, build_mask(key));
    if (masks.size() > kMaxCachedMasks) masks.pop_back();
  }
  const std::int64_t tokens = call.tokens();
  return masks.front().second.expand({call.batch(), call.heads(), tokens, tokens});
}

// Torch's kernel reads tensors in pieces of 16 bytes too; it asks about their strides and not where they start.
at::Tensor aligned(const at::Tensor& tensor) {
  constexpr std::uintptr_t kPiece = 16;
  const bool starts_so = reinterpret_cast<std::uintptr_t>(tensor.const_data_ptr()) % kPiece == 0;
  return starts_so ? tensor : tensor.clone(at::MemoryFormat::Contiguous);
}

at::Tensor by_head(const at::Tensor& tensor) { return tensor.transpose(1, 2); }   // [B, N, heads, D] <-> [B, heads, N, D]

}  // namespace

bool is_applicable(const AttentionCall& call) {
  if (!call.query.is_cuda() || call.query.scalar_type() == at::kDouble || call.head_dim() % 8 != 0) return false;
  const std::int64_t masks = heads_agree(call) ? 1 : call.heads();
  return masks * call.tokens() * padded_row(call.tokens()) * call.query.element_size() <= kMaxMaskBytes;
}

AttentionResult forward(const AttentionCall& call) {
  auto [output, padded_lse, seed, offset] = at::_scaled_dot_product_efficient_attention(
      by_head(aligned(call.query)), by_head(aligned(call.key)), by_head(aligned(call.value)), cached_mask(call), /*compute_log_sumexp=*/true,
      /*dropout_p=*/0.0, /*is_causal=*/false, call.scale);
  return {by_head(output).contiguous(), padded_lse.narrow(2, 0, call.tokens()).contiguous()};
}

AttentionGradients backward(const AttentionGradientCall& gradient) {
  const AttentionCall& call = gradient.call;
  const std::int64_t padding = (32 - call.tokens() % 32) % 32;   // torch's kernel keeps the lse in rows of 32
  const at::Tensor lse = at::constant_pad_nd(gradient.lse, {0, padding}, std::numeric_limits<double>::infinity());
  const at::Tensor no_dropout = at::empty({}, at::kLong);
  auto [query, key, value, mask] = at::_scaled_dot_product_efficient_attention_backward(
      by_head(aligned(gradient.grad_output)), by_head(aligned(call.query)), by_head(aligned(call.key)), by_head(aligned(call.value)),
      cached_mask(call), by_head(aligned(gradient.output)), lse, no_dropout, no_dropout, /*dropout_p=*/0.0, {true, true, true, false}, /*is_causal=*/false, call.scale);
  return {by_head(query).contiguous(), by_head(key).contiguous(), by_head(value).contiguous()};
}

}  // namespace fovea::reference_masked
