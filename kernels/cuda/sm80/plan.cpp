#include "kernels/cuda/sm80/plan.h"

#include <algorithm>

namespace fovea::kernels::sm80 {
namespace {

constexpr int kMaxTokens = 1 << 30;             // token numbers, and sums of a few of them, are 32-bit
constexpr std::int64_t kShares = 160;           // of all sequences together: enough to fill a large GPU, few enough for small partials
constexpr int kLeastShare = 256, kShareGrain = 64;

int share_tokens(const AttentionShape& shape) {
  const std::int64_t wanted = (shape.tokens() * shape.heads * shape.batch + kShares - 1) / kShares;
  return int((std::max<std::int64_t>(wanted, kLeastShare) + kShareGrain - 1) / kShareGrain * kShareGrain);
}

// Time of a head with tiles of this width, in blocks of 8 streamed tokens that a warp works on. Weights from timings on an H100: loading
// a block costs 3/2 of working on it; and a row of blocks costs a quarter of the warps' work whether or not all of them meet it, since
// they wait for each other.
std::int64_t cost(const Layout& layout, int dilation, int tile_width) {
  const Tiling tiling = make_tiling(layout, dilation, tile_width);
  const std::int64_t warps = layout.tile_tokens / kSubtile;
  const int rows = tiling.tile_height == 1 ? 1 : 2;
  const auto halo_rows = [&](int height) {
    return std::int64_t(std::min(height + 2 * tiling.y.radius, tiling.y.phase_length(0)));
  };
  const auto row_blocks = [&](int width) {
    return std::int64_t(divide_up(std::min(width + 2 * tiling.x.radius, tiling.x.phase_length(0) + kBlock - 1), kBlock));
  };
  const std::int64_t met_blocks = row_blocks(kSubtile / rows), all_rows = halo_rows(tiling.tile_height);
  const std::int64_t work = 4 * warps * halo_rows(rows) * met_blocks, loads = 6 * all_rows * row_blocks(tile_width);
  return tiling.tiles() * (work + loads + warps * all_rows * met_blocks);
}

int tile_width_log2(const Layout& layout, int dilation) {
  int best = -1;
  std::int64_t least = 0;
  for (int log2 = 3; (1 << log2) <= layout.tile_tokens; ++log2) {
    const std::int64_t time = cost(layout, dilation, 1 << log2);
    if (best < 0 || time <= least) best = log2, least = time;      // the flatter of two: its warps are busy more of the time
  }
  return best;
}

}  // namespace

Plan make_plan(const AttentionShape& shape, int warps) {
  Plan plan;
  Layout& layout = plan.layout;
  layout.heads = shape.heads;
  layout.height = int(shape.grid_height);
  layout.width = int(shape.grid_width);
  layout.global_tokens = shape.global_tokens;
  layout.tokens = int(shape.tokens());
  layout.radius_y = (shape.window_height - 1) / 2;
  layout.radius_x = (shape.window_width - 1) / 2;
  layout.split_tokens = share_tokens(shape);
  layout.splits = shape.global_tokens > 0 ? divide_up(layout.tokens, layout.split_tokens) : 0;
  layout.tile_tokens = kSubtile * warps;
  std::int64_t most_tiles = 0;
  for (int head = 0; head < shape.heads; ++head) {
    plan.heads.dilation[head] = shape.dilation[head];
    const bool same = head > 0 && shape.dilation[head] == shape.dilation[head - 1];
    const int log2 = same ? plan.heads.tile_width_log2[head - 1] : tile_width_log2(layout, shape.dilation[head]);
    plan.heads.tile_width_log2[head] = std::uint8_t(log2);
    if (!same) most_tiles = std::max(most_tiles, make_tiling(layout, shape.dilation[head], 1 << log2).tiles());
  }
  layout.blocks_per_plane = unsigned(layout.splits + most_tiles);
  plan.thread_blocks = (layout.splits + most_tiles) * shape.heads * shape.batch;
  return plan;
}

std::int64_t partial_floats(const AttentionShape& shape, int row_floats) {
  if (shape.global_tokens == 0) return 0;
  const std::int64_t splits = divide_up(int(shape.tokens()), share_tokens(shape));
  return splits * shape.heads * shape.batch * shape.global_tokens * row_floats;
}

const char* shape_unsupported(const AttentionShape& shape, int compute_capability) {
  if (compute_capability < 80) return "a GPU of compute capability below 8.0";
  if (shape.head_dim != 32 && shape.head_dim != 64 && shape.head_dim != 128) return "head_dim other than 32, 64, 128";
  if (shape.heads > kMaxHeads) return "more than 256 heads";
  if (shape.global_tokens > kMaxGlobalTokens) return "more than 64 global tokens";
  if (shape.grid_height < 1 || shape.grid_width < 1) return "a grid without tokens";
  if (shape.grid_height > kMaxTokens || shape.grid_width > kMaxTokens || shape.tokens() > kMaxTokens) return "more than 2^30 tokens";
  if (shape.window_height % 2 != 1 || shape.window_width % 2 != 1) return "a window that is not odd";
  for (int head = 0; head < shape.heads; ++head)
    if (shape.dilation[head] < 1) return "a dilation below 1";
  if (shape.batch * shape.heads > 0 && make_plan(shape, 4).thread_blocks > 0x7fffffff) return "more than 2^31 tiles of 64 tokens";
  return nullptr;
}

const char* view_unsupported(const AttentionShape& shape, const ConstView& view, DataType dtype) {
  const std::int64_t grain = dtype == DataType::kFloat32 ? 4 : 8;
  if (reinterpret_cast<std::uintptr_t>(view.data) % 16 != 0) return "a tensor that does not start at a multiple of 16 bytes";
  const bool aligned = (shape.batch <= 1 || view.batch_stride % grain == 0) && (shape.tokens() <= 1 || view.token_stride % grain == 0) &&
                       (shape.heads <= 1 || view.head_stride % grain == 0);
  return aligned ? nullptr : "strides that are no multiples of 16 bytes";
}

}  // namespace fovea::kernels::sm80
