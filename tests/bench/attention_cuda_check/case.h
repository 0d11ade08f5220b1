// One configuration to check or to time.
#pragma once

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/attention_params.h"

namespace fovea::check {

// How a tensor [B, N, heads, D] lies in memory.
// kTokens: contiguous; kPacked: slice of [B, N, 3, heads, D]; kHeads: [B, heads, N, D]; kPadded: token rows of heads * D + 32.
enum class Order { kTokens, kPacked, kHeads, kPadded };

struct Case {
  kernels::AttentionShape shape;                // its `dilation` is set from the vector below
  std::vector<std::int32_t> dilation;
  kernels::DataType dtype = kernels::DataType::kBFloat16;
  float scale = 0.f;
  float query_gain = 1.f;                       // queries have this standard deviation, everything else 1
  Order order = Order::kPacked;
  bool with_grad_lse = false;
  std::uint32_t seed = 1;

  float standard_scale() const { return 1.f / std::sqrt(float(shape.head_dim)); }
};

inline int element_bytes(kernels::DataType dtype) { return dtype == kernels::DataType::kFloat32 ? 4 : 2; }

inline std::string describe(const Case& c) {
  static const char* const kTypes[] = {"float32", "bfloat16", "float16"};
  static const char* const kOrders[] = {"contiguous", "packed", "by head", "padded"};
  const kernels::AttentionShape& s = c.shape;
  std::string text = std::to_string(s.batch) + " x " + std::to_string(s.grid_height) + "x" + std::to_string(s.grid_width) + " G" +
                     std::to_string(s.global_tokens) + " heads " + std::to_string(s.heads) + " D" + std::to_string(s.head_dim) +
                     " window " + std::to_string(s.window_height) + "x" + std::to_string(s.window_width) + " dilation";
  for (const int d : c.dilation) text += " " + std::to_string(d);
  return text + " " + kTypes[int(c.dtype)] + " scale " + std::to_string(c.scale) + " gain " + std::to_string(c.query_gain) + " " +
         kOrders[int(c.order)];
}

struct Backend;

// Why the back end does not take the case, or nullptr; asked without any memory.
const char* refused(const Case& c, const Backend& backend, int compute_capability);

// Runs the back end twice on this case. Returns what is wrong, empty if nothing is; "skipped: ..." if the back end refuses the case.
std::string check_case(const Case& c, const Backend& backend, int compute_capability);

// One line of timings on stdout: floor of the bytes, median, 10th and 90th percentile, forward and backward.
void time_case(const Case& c, const Backend& backend, int compute_capability);

}  // namespace fovea::check
