// Local-window + global-token attention as a torch operator: fovea::local_global_attention.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace fovea {

// Which keys a query sees (DESIGN section 2). Sequence: global tokens first, then the grid, row-major; N = global_tokens + H * W.
struct AttentionPattern {
  std::array<std::int64_t, 2> grid{0, 0};        // H, W
  std::int64_t global_tokens = 0;                // 0 ... 64
  std::array<std::int64_t, 2> window{1, 1};      // odd: height, width
  std::vector<std::int64_t> dilation{1};         // one entry, or one a head; each >= 1
};

struct AttentionResult {
  at::Tensor output;   // [B, N, heads, D], dtype of query
  at::Tensor lse;      // [B, heads, N] float32 (float64 for float64 inputs), natural log
};

// query, key, value: [B, N, heads, D], any strides with D contiguous. Calls the registered operator, so autograd and autocast apply.
// scale: 1/sqrt(D) if not given. Errors: c10::Error with one sentence, expected and found.
AttentionResult local_global_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                       const AttentionPattern& pattern, std::optional<double> scale = std::nullopt);

// Every query sees every key: torch's own scaled dot-product attention on the same layout. No lse.
at::Tensor dense_attention(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                           std::optional<double> scale = std::nullopt);

// --- back ends: "sm90", "sm80", "cpu", "reference"; the first whose row of the table accepts, runs --------------------------------

// Forces one back end for the whole process ("" returns to automatic choice); FOVEA_ATTENTION=NAME does the same from outside.
// A forced back end that cannot run the parameters raises with its reason. Errors: Error{kUsage} for an unknown name.
void force_attention_backend(std::string_view name);

// The back end that ran last in this process, for tests and benchmarks; "" before the first call.
std::string last_attention_backend();

// Each back end's name and, for this build and machine, why it is not available ("" if it is).
struct BackendStatus { std::string name, unavailable_reason; };
std::vector<BackendStatus> attention_backends();

}  // namespace fovea
