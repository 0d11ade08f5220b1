// Tensor maps: how the copy engine (TMA) finds boxes of a [B, N, heads, D] tensor, straight from its strides. Host only.
// CUDA driver API, cuTensorMapEncodeTiled.
#pragma once

#include <cuda.h>

#include <cstdint>

#include "kernels/attention_params.h"
#include "kernels/cuda/sm90/strip_schedule.h"

namespace fovea::kernels::sm90 {

struct TokenBox {
  int columns, rows;                            // grid steps
};

// The grid part: coordinates (head_dim, head, x, y, batch) in tokens; a box takes every dilation-th token and zeros outside the grid.
// false: the driver refused.
bool encode_grid_map(CUtensorMap& map, const ConstView& view, const AttentionShape& shape, DataType dtype, const DilationGroup& group,
                     TokenBox box);

// The first `tokens` of the sequence: coordinates (head_dim, head, token, batch); a box of box_tokens tokens, zeros after the last.
bool encode_token_map(CUtensorMap& map, const ConstView& view, const AttentionShape& shape, DataType dtype, std::int64_t tokens,
                      int box_tokens);

// Why TMA cannot address this tensor, or nullptr.
const char* addressing_problem(const ConstView& view, const AttentionShape& shape);

}  // namespace fovea::kernels::sm90
