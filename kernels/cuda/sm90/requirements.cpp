#include "kernels/cuda/sm90/requirements.h"

#include "kernels/cuda/sm90/forward_plan.h"

namespace fovea::kernels::sm90 {
namespace {

// Thin grids would run and be right, but fill so little of an 8 x 8 tile and of a stage's 24 columns that mma.sync is faster: a 1 x 65536
// grid takes 6.5 ms here and 0.9 ms there.
const char* geometry_problem(const DilationGroup& group) {
  constexpr int kFewestRows = 4, kFewestColumns = 8;
  if (group.y.dilation > kMaxDilation || group.x.dilation > kMaxDilation) return "takes dilations up to 8 (strides of a tensor map)";
  if (group.y.length(0) < kFewestRows || group.x.length(0) < kFewestColumns)
    return "leaves grids thinner than 4 rows or 8 columns (of every dilation-th token) to mma.sync, which is faster there";
  return nullptr;
}

}  // namespace

const char* shape_problem(const AttentionShape& shape, const CallKind& kind) {
  if (kind.compute_capability != 90) return "needs compute capability 9.0 (wgmma)";
  if (kind.dtype == DataType::kFloat32) return "takes bfloat16 and float16, not float32";
  if (shape.head_dim != 32 && shape.head_dim != 64 && shape.head_dim != 128) return "takes head_dim 32, 64 and 128";
  if (!(kind.scale > 0.0f)) return "takes a positive scale";
  constexpr std::int64_t kLongestSide = std::int64_t{1} << 30;
  if (shape.grid_height > kLongestSide || shape.grid_width > kLongestSide) return "takes grids of at most 2^30 a side";
  if (shape.heads > kMaxHeads || shape.global_tokens > kMaxGlobalTokens) return "takes at most 256 heads and 64 global tokens";
  return nullptr;
}

const char* schedule_problem(const AttentionShape& shape) {
  Schedule schedule;
  if (!make_schedule(shape, {multiprocessors()}, schedule)) return "takes 1 to 2^30 query tiles and at most 6 different dilations";
  for (int g = 0; g < schedule.group_count; ++g)
    if (const char* problem = geometry_problem(schedule.groups[g])) return problem;
  return nullptr;
}

}  // namespace fovea::kernels::sm90
