// What forward and backward of this back end ask of a call alike. Host only.
#pragma once

#include "kernels/attention_params.h"
#include "kernels/cuda/sm90/schedule.h"

namespace fovea::kernels::sm90 {

struct CallKind {
  DataType dtype;
  float scale;
  int compute_capability;
};

// nullptr, or the reason for a refusal.
const char* shape_problem(const AttentionShape& shape, const CallKind& kind);
const char* schedule_problem(const AttentionShape& shape);

inline ConstView as_const(const MutableView& view) { return {view.data, view.batch_stride, view.token_stride, view.head_stride}; }

}  // namespace fovea::kernels::sm90
