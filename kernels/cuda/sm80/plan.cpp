#include "kernels/cuda/sm80/plan.h"

#include <algorithm>
#include <cmath>

namespace fovea::kernels::sm80 {
namespace {

constexpr int kMaxTokens = 1 << 30;             // token numbers, and sums of a few of them, are 32-bit
constexpr std::int64_t kShares = 160;           // of all sequences together: enough to fill a large GPU, few enough for small partials
constexpr int kLeastShare = 256, kShareGrain = 64;

int share_tokens(const AttentionShape& shape) {
  const std::int64_t wanted = (shape.tokens() * shape.heads * shape.batch + kShares - 1) / kShares;
  return int((std::max<std::int64_t>(wanted, kLeastShare) + kShareGrain - 1) / kShareGrain * kShareGrain);
}

// Whether strips may be longer than the tiles that a thread block's warps hold at once: if a warp is done with a tile before the first
// row of its next tile comes.
bool rolls(const Tiling& tiling) { return tiling.tile_height * tiling.down >= tiling.tile_height + 2 * tiling.y.radius; }

int row_blocks(const Tiling& tiling) {
  return divide_up(std::min(kBlock * tiling.across + 2 * tiling.x.radius, tiling.x.phase_length(0) + kBlock - 1), kBlock);
}

// Time of a head with strips of this shape, in subtiles of 16 tokens times blocks of 8 streamed tokens that a warp works on. Loading a
// block costs half of what a thread block's warps cost for it; and the rows of a strip cost a quarter of the warps' work whether or not
// all of them meet it, since they wait for each other.
double cost(const Layout& layout, const Machine& machine, const Tiling& tiling, double planes) {
  const int met_blocks = divide_up(std::min(kBlock + 2 * tiling.x.radius, tiling.x.phase_length(0) + kBlock - 1), kBlock);
  const double rows = std::min(tiling.tile_height * tiling.tiles + 2 * tiling.y.radius, tiling.y.phase_length(0));
  const double tile_rows = std::min(tiling.tile_height + 2 * tiling.y.radius, tiling.y.phase_length(0));
  const double busy = divide_up(tiling.tiles, tiling.down) * tile_rows * met_blocks * layout.subtiles;
  const double streamed = rows * met_blocks * layout.subtiles, loaded = 3.0 * rows * row_blocks(tiling) / layout.warps;
  const double waves = std::ceil(double(tiling.strips()) * planes / machine.resident);
  return waves * (0.75 * busy + 0.25 * streamed + loaded);
}

StripShape best_strip(const Layout& layout, const Machine& machine, int dilation, double planes) {
  StripShape best{1, 1};
  double least = -1;
  for (int across = 1; across <= layout.warps; ++across) {
    if (across > 1 && layout.warps / across == layout.warps / (across + 1)) continue;      // the widest of as many below each other
    Tiling tiling = make_tiling(layout, dilation, {across, 1});
    if (tiling.flat) return best;
    const int all = divide_up(tiling.y.phase_length(0), tiling.tile_height);
    const int fewest = divide_up(all, rolls(tiling) ? 0xffff : tiling.down);
    for (int pieces = fewest; pieces <= all; pieces += 1 + pieces / 8) {
      const int tiles = divide_up(all, pieces);
      tiling = make_tiling(layout, dilation, {across, tiles});
      const double time = cost(layout, machine, tiling, planes);
      if (least < 0 || time < least) best = {across, tiles}, least = time;
      if (tiles < tiling.down) break;                               // warps without a tile
    }
  }
  return best;
}

// Global tokens ride along with the strips if they fit one subtile, and if the memory for what each strip gives them keeps to what the
// operator promises: 4 bytes a head a token and 1 MB.
void share_out_globals(Layout& layout, const Machine& machine, const AttentionShape& shape, std::int64_t strips) {
  layout.rides = false, layout.splits = layout.split_tokens = 0;
  if (shape.global_tokens == 0) return;
  const double planes = double(shape.heads) * shape.batch;
  const double partial_bytes = 4. * planes * strips * shape.global_tokens * machine.row_floats;
  layout.rides = shape.global_tokens <= kSubtile && partial_bytes <= 4. * planes * shape.tokens() + (1 << 20);
  layout.split_tokens = share_tokens(shape);
  layout.splits = layout.rides ? int(strips) : divide_up(layout.tokens, layout.split_tokens);
}

}  // namespace

Plan make_plan(const AttentionShape& shape, const Machine& machine) {
  Plan plan;
  Layout& layout = plan.layout;
  layout.heads = shape.heads;
  layout.height = int(shape.grid_height);
  layout.width = int(shape.grid_width);
  layout.global_tokens = shape.global_tokens;
  layout.tokens = int(shape.tokens());
  layout.radius_y = (shape.window_height - 1) / 2;
  layout.radius_x = (shape.window_width - 1) / 2;
  layout.warps = machine.warps;
  layout.subtiles = machine.subtiles;
  std::int64_t most_strips = 0;
  layout.stage_blocks = 2;
  for (int head = 0; head < shape.heads; ++head) {
    plan.heads.dilation[head] = shape.dilation[head];
    const bool same = head > 0 && shape.dilation[head] == shape.dilation[head - 1];
    const StripShape strip = same ? plan.heads.strip(head - 1)
                                  : best_strip(layout, machine, shape.dilation[head], double(shape.batch) * shape.heads);
    plan.heads.across[head] = std::uint8_t(strip.across);
    plan.heads.tiles[head] = std::uint16_t(strip.tiles);
    if (same) continue;
    const Tiling tiling = make_tiling(layout, shape.dilation[head], strip);
    most_strips = std::max(most_strips, tiling.strips());
    const int wanted = tiling.flat ? machine.most_stage_blocks : 2 * row_blocks(tiling);
    layout.stage_blocks = std::max(layout.stage_blocks, std::min(machine.most_stage_blocks, wanted));
  }
  const std::int64_t planes = shape.heads * shape.batch;
  share_out_globals(layout, machine, shape, most_strips);
  if (layout.global_tokens > 0 && !layout.rides) layout.stage_blocks = machine.most_stage_blocks;   // shares are single rows
  const std::int64_t blocks = most_strips + (layout.rides ? 0 : layout.splits);
  layout.blocks_per_plane = unsigned(blocks);
  plan.thread_blocks = blocks * planes;
  plan.partial_floats = planes * layout.splits * layout.global_tokens * machine.row_floats;
  return plan;
}

void fit_ring(Layout& layout, int bytes, int (*stage_bytes)(int blocks)) {
  while (layout.stage_blocks > 2 && 2 * stage_bytes(layout.stage_blocks) > bytes) layout.stage_blocks -= 2;
  layout.stages = smaller(kMaxStages, bytes / stage_bytes(layout.stage_blocks));
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
  if (double(shape.batch) * shape.heads * shape.tokens() > 0x7fffffff && make_plan(shape, {}).thread_blocks > 0x7fffffff)
    return "more than 2^31 strips";
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
