// Layout of the work of a pass: shares of the sequence for the global tokens, shape of the tiles of each head, limits.
#pragma once

#include "kernels/cuda/sm80/geometry.h"

namespace fovea::kernels::sm80 {

struct Plan {
  Layout layout;
  HeadTable heads;
  std::int64_t thread_blocks = 0;
};

// For thread blocks of `warps` warps of 16 tokens; a power of two.
Plan make_plan(const AttentionShape& shape, int warps);

// Floats of partial results of one pass, `row_floats` for each global token and share of the sequence.
std::int64_t partial_floats(const AttentionShape& shape, int row_floats);

// Why these sizes or views cannot run; nullptr if they can.
const char* shape_unsupported(const AttentionShape& shape, int compute_capability);
const char* view_unsupported(const AttentionShape& shape, const ConstView& view, DataType dtype);
inline ConstView as_const(const MutableView& view) { return {view.data, view.batch_stride, view.token_stride, view.head_stride}; }

}  // namespace fovea::kernels::sm80
