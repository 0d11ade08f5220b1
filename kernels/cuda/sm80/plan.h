// Layout of the work of a pass: shares of the sequence for the global tokens, shape of the strips of each head, limits.
#pragma once

#include "kernels/cuda/sm80/geometry.h"

namespace fovea::kernels::sm80 {

// What a pass brings to a device.
struct Machine {
  int warps = 10, subtiles = 1;                 // consumers of a thread block; subtiles of 16 tokens of each
  int most_stage_blocks = 16;                   // of a stage of the ring
  int resident = 132;                           // thread blocks that run at the same time
  int row_floats = 0;                           // of a partial result of a global token
};

struct Plan {
  Layout layout;
  HeadTable heads;
  std::int64_t thread_blocks = 0;
  std::int64_t partial_floats = 0;              // of partial results of the global tokens
};
Plan make_plan(const AttentionShape& shape, const Machine& machine);

// The ring, in `bytes` of shared memory: as many stages as fit, and narrower ones where not two of a plan's would.
void fit_ring(Layout& layout, int bytes, int (*stage_bytes)(int blocks));

// Why these sizes or views cannot run; nullptr if they can.
const char* shape_unsupported(const AttentionShape& shape, int compute_capability);
const char* view_unsupported(const AttentionShape& shape, const ConstView& view, DataType dtype);
inline ConstView as_const(const MutableView& view) { return {view.data, view.batch_stride, view.token_stride, view.head_stride}; }

}  // namespace fovea::kernels::sm80
