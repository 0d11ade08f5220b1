#include "core/attention/argument_checks.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "kernels/attention_params.h"

namespace fovea {
namespace {

constexpr std::int64_t kMaxHeadDim = 256;
constexpr std::int64_t kMaxGridSide = std::numeric_limits<std::int32_t>::max();
constexpr const char* kName = "local_global_attention: ";

bool is_supported(at::ScalarType dtype) {
  return dtype == at::kFloat || dtype == at::kBFloat16 || dtype == at::kHalf || dtype == at::kDouble;
}

void check_like_query(const char* name, const at::Tensor& tensor, const at::Tensor& query) {
  TORCH_CHECK(tensor.device() == query.device(), kName, name, " is on ", tensor.device(), ", expected ", query.device(), " like query");
  TORCH_CHECK(tensor.scalar_type() == query.scalar_type(), kName, name, " is ", tensor.scalar_type(), ", expected ", query.scalar_type(),
              " like query");
  TORCH_CHECK(tensor.sym_sizes() == query.sym_sizes(), kName, name, " has shape ", tensor.sym_sizes(), ", expected ", query.sym_sizes(),
              " like query");
}

void check_tensors(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value) {
  const std::array<std::pair<const char*, const at::Tensor*>, 3> tensors{{{"query", &query}, {"key", &key}, {"value", &value}}};
  for (const auto& [name, tensor] : tensors) {
    TORCH_CHECK(tensor->dim() == 4, kName, name, " has ", tensor->dim(), " dimensions, expected 4: [B, N, heads, D]");
  }
  TORCH_CHECK(is_supported(query.scalar_type()), kName, "query is ", query.scalar_type(),
              ", expected float32, bfloat16, float16 or float64");
  check_like_query("key", key, query);
  check_like_query("value", value, query);
  const std::int64_t heads = query.sym_size(2).guard_int(__FILE__, __LINE__);
  const std::int64_t head_dim = query.sym_size(3).guard_int(__FILE__, __LINE__);
  TORCH_CHECK(heads >= 1 && heads <= kernels::kMaxHeads, kName, "query has ", heads, " heads, expected 1 to ", kernels::kMaxHeads);
  TORCH_CHECK(head_dim >= 1 && head_dim <= kMaxHeadDim, kName, "query has head_dim ", head_dim, ", expected 1 to ", kMaxHeadDim);
  for (const auto& [name, tensor] : tensors) {
    const c10::SymInt stride = tensor->sym_stride(3);
    TORCH_CHECK(head_dim == 1 || stride == 1, kName, name, " has stride ", stride, " in its last dimension, expected 1 (contiguous)");
  }
}

void check_pattern(const AttentionPattern& pattern, std::int64_t tokens, std::int64_t heads) {
  const auto [height, width] = pattern.grid;
  TORCH_CHECK(std::min(height, width) >= 0 && std::max(height, width) <= kMaxGridSide, kName, "grid is ", height, " x ", width,
              ", expected sides from 0 to ", kMaxGridSide);
  TORCH_CHECK(pattern.global_tokens >= 0 && pattern.global_tokens <= kernels::kMaxGlobalTokens, kName, "global_tokens is ",
              pattern.global_tokens, ", expected 0 to ", kernels::kMaxGlobalTokens);
  TORCH_CHECK(tokens == pattern.global_tokens + height * width, kName, "query has ", tokens, " tokens, expected ",
              pattern.global_tokens + height * width, ": ", pattern.global_tokens, " global and a grid of ", height, " x ", width);
  for (const std::int64_t side : pattern.window) {
    TORCH_CHECK(side >= 1 && side % 2 == 1, kName, "window is ", pattern.window[0], " x ", pattern.window[1],
                ", expected two odd numbers of at least 1");
  }
  const auto count = static_cast<std::int64_t>(pattern.dilation.size());
  TORCH_CHECK(count == 1 || count == heads, kName, "dilation has ", count, " entries, expected 1 or one a head (", heads, ")");
  for (const std::int64_t step : pattern.dilation) {
    TORCH_CHECK(step >= 1, kName, "dilation has the entry ", step, ", expected at least 1");
  }
}

}  // namespace

void check_attention_arguments(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const AttentionPattern& pattern,
                               std::optional<double> scale) {
  check_tensors(query, key, value);
  check_pattern(pattern, query.sym_size(1).guard_int(__FILE__, __LINE__), query.sym_size(2).guard_int(__FILE__, __LINE__));
  TORCH_CHECK(!scale || std::isfinite(*scale), kName, "scale is ", *scale, ", expected a finite number");
}

AttentionCall make_attention_call(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, const AttentionPattern& pattern,
                                  std::optional<double> scale) {
  check_attention_arguments(query, key, value, pattern, scale);
  AttentionCall call{.query = query, .key = key, .value = value, .grid = pattern.grid, .window = pattern.window,
                     .global_tokens = pattern.global_tokens,
                     .dilation = std::vector<std::int32_t>(static_cast<std::size_t>(query.size(2))),
                     .scale = scale.value_or(1.0 / std::sqrt(static_cast<double>(query.size(3))))};
  const std::int64_t longest_side = std::max<std::int64_t>({1, pattern.grid[0], pattern.grid[1]});
  for (std::size_t head = 0; head < call.dilation.size(); ++head) {
    const std::int64_t step = pattern.dilation[pattern.dilation.size() == 1 ? 0 : head];
    call.dilation[head] = static_cast<std::int32_t>(std::min(step, longest_side));
  }
  return call;
}

}  // namespace fovea
