// Where the tokens of a block of the grid lie, and which of them a tile's window shows.
#if defined(FOVEA_KERNELS_CPU_SIMD_GRID_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_KERNELS_CPU_SIMD_GRID_INL_H_
#undef FOVEA_KERNELS_CPU_SIMD_GRID_INL_H_
#else
#define FOVEA_KERNELS_CPU_SIMD_GRID_INL_H_
#endif

#include "kernels/cpu/block_plan.h"
#include "kernels/cpu/simd/tile-inl.h"
#include "kernels/cpu/tasks.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::kernels::cpu {
namespace HWY_NAMESPACE {

// Token (y, x) of a sub-grid is token first + y * row_step + x * column_step of the sequence.
struct SubGrid {
  std::int64_t first, row_step, column_step;
  std::int64_t token(std::int64_t y, std::int64_t x) const { return first + y * row_step + x * column_step; }
};

HWY_INLINE SubGrid sub_grid_of(const AttentionShape& shape, const BlockTask& task) {
  return {.first = shape.global_tokens + task.block.phase_y * shape.grid_width + task.block.phase_x,
          .row_step = task.dilation * shape.grid_width, .column_step = task.dilation};
}

// Rows of one head in two tensors: keys and values, or queries and gradients of outputs.
template <class Element>
struct HeadPair {
  const Element* keys;
  const Element* values;
  std::int64_t key_stride, value_stride;   // elements between tokens
};

// Packs the halo row by row, then the global tokens, then a group of zeros that the last run's padding may read. Keys and values take
// turns: in a packed projection they share pages, and finding a page can cost more than copying what is on it.
template <class Element>
HWY_INLINE void pack_halo(const HeadPair<Element>& head, const AttentionShape& shape, const SubGrid& grid, const Halo& halo,
                          const PackedTokens& to) {
  const auto depth = static_cast<std::size_t>(shape.head_dim);
  std::size_t packed = 0;
  const auto pack = [&](std::int64_t token, std::int64_t step, std::size_t count) {
    pack_tokens(head.keys + token * head.key_stride, step * head.key_stride, count, depth, {to.keys.data, to.keys.capacity, packed});
    pack_tokens(head.values + token * head.value_stride, step * head.value_stride, count, depth,
                {to.values.data, to.values.capacity, packed});
    packed += count;
  };
  for (std::int64_t y = halo.y0; y < halo.y1; ++y) pack(grid.token(y, halo.x0), grid.column_step, static_cast<std::size_t>(halo.width()));
  pack(0, 1, static_cast<std::size_t>(shape.global_tokens));
  clear_tokens(kTokenGroup, to.keys.padded, {to.keys.data, to.keys.capacity, packed});
  clear_tokens(kTokenGroup, to.values.padded, {to.values.data, to.values.capacity, packed});
}

// The positions of a tile's tokens in the sub-grid. Lanes beyond the block repeat its last row or column and store nothing.
struct TilePositions {
  std::int32_t y[kLanes], x[kLanes];
  bool stored[kLanes];
  std::int64_t y0, y1, x0, x1;   // the rectangle they fill
};

HWY_INLINE TilePositions tile_positions(const BlockTask& task, std::int64_t y0, std::int64_t x0) {
  TilePositions tile;
  tile.y0 = y0;
  tile.y1 = std::min(y0 + task.tile.height, task.block.y1);
  tile.x0 = x0;
  tile.x1 = std::min(x0 + task.tile.width, task.block.x1);
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    const auto index = static_cast<std::int32_t>(lane);
    const std::int64_t y = y0 + index / task.tile.width, x = x0 + index % task.tile.width;
    tile.y[lane] = static_cast<std::int32_t>(std::min(y, tile.y1 - 1));
    tile.x[lane] = static_cast<std::int32_t>(std::min(x, tile.x1 - 1));
    tile.stored[lane] = y < tile.y1 && x < tile.x1;
  }
  return tile;
}

HWY_INLINE LaneTokens lane_tokens(const SubGrid& grid, const TilePositions& tile) {
  LaneTokens lanes;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    lanes.token[lane] = grid.token(tile.y[lane], tile.x[lane]);
    lanes.stored[lane] = tile.stored[lane];
  }
  return lanes;
}

// bias[i][lane] = 0 if position first + i is within reach of the lane's position and i < count, else kHidden; up to the next group.
HWY_INLINE void fill_bias(const std::int32_t* positions, std::int64_t reach, std::int64_t first, std::size_t count, float* bias) {
  const FloatTag tag;
  const hn::RebindToSigned<FloatTag> int_tag;
  const auto lane_position = hn::LoadU(int_tag, positions);
  const auto limit = hn::Set(int_tag, static_cast<std::int32_t>(reach));
  for (std::size_t i = 0; i < padded_tokens(count); ++i) {
    const auto position = hn::Set(int_tag, static_cast<std::int32_t>(first + static_cast<std::int64_t>(i)));
    const auto far = hn::Gt(hn::Abs(hn::Sub(position, lane_position)), limit);
    const FloatVector hidden = hn::Set(tag, kHidden);
    hn::Store(i < count ? hn::IfThenElseZero(hn::RebindMask(tag, far), hidden) : hidden, tag, bias + i * kLanes);
  }
}

// Bias tables of one tile: rows and columns of the window are independent of each other.
struct WindowBias {
  float* rows;      // [halo rows][lanes]
  float* columns;   // [halo columns][lanes]
  float* globals;   // [global tokens][lanes]
  float* none;      // [lanes], zeros
};

HWY_INLINE std::size_t window_bias_floats(std::size_t halo_tokens) { return (2 * halo_tokens + kMaxGlobalTokens + 32) * kLanes; }

HWY_INLINE WindowBias take_window_bias(Arena& arena, const Halo& halo, const AttentionShape& shape) {
  const auto globals = static_cast<std::size_t>(shape.global_tokens);
  const WindowBias bias{.rows = arena.take(padded_tokens(static_cast<std::size_t>(halo.height())) * kLanes),
                        .columns = arena.take(padded_tokens(static_cast<std::size_t>(halo.width())) * kLanes),
                        .globals = arena.take(padded_tokens(globals) * kLanes), .none = arena.take(kLanes)};
  const std::int32_t anywhere[kLanes] = {};
  fill_bias(anywhere, kMaxGlobalTokens, 0, globals, bias.globals);
  std::memset(bias.none, 0, kLanes * sizeof(float));
  return bias;
}

// Calls step() each time that the runs of the tile's window and of the global tokens have filled the chunk, and for the last of them.
template <class Step>
HWY_INLINE void for_each_chunk(const AttentionShape& shape, const Halo& halo, const TilePositions& tile, const WindowBias& bias,
                               Chunk& chunk, const Step& step) {
  const std::int64_t reach_y = (shape.window_height - 1) / 2, reach_x = (shape.window_width - 1) / 2;
  const std::int64_t y0 = std::max(tile.y0 - reach_y, halo.y0), y1 = std::min(tile.y1 + reach_y, halo.y1);
  const std::int64_t x0 = std::max(tile.x0 - reach_x, halo.x0), x1 = std::min(tile.x1 + reach_x, halo.x1);
  const auto columns = static_cast<std::size_t>(x1 - x0);
  fill_bias(tile.y, reach_y, y0, static_cast<std::size_t>(y1 - y0), bias.rows);
  fill_bias(tile.x, reach_x, x0, columns, bias.columns);

  const auto flush = [&] {
    step();
    chunk.size = chunk.tokens = 0;
  };
  const auto add = [&](const Run& run) {
    if (!chunk.fits(run.count)) flush();
    chunk.add(run);
  };
  if (shape.global_tokens > 0) {
    add({.first = static_cast<std::size_t>(halo.height() * halo.width()), .count = static_cast<std::size_t>(shape.global_tokens),
         .column_bias = bias.globals, .row_bias = bias.none});
  }
  for (std::int64_t y = y0; y < y1; ++y) {
    const auto row = static_cast<std::size_t>((y - halo.y0) * halo.width() + x0 - halo.x0);
    for (std::size_t x = 0; x < columns; x += chunk.limit) {
      add({.first = row + x, .count = std::min(columns - x, chunk.limit), .column_bias = bias.columns + x * kLanes,
           .row_bias = bias.rows + static_cast<std::size_t>(y - y0) * kLanes});
    }
  }
  flush();
}

// Calls body(tile) for every tile of the block.
template <class Body>
HWY_INLINE void for_each_tile(const BlockTask& task, const Body& body) {
  for (std::int64_t y = task.block.y0; y < task.block.y1; y += task.tile.height) {
    for (std::int64_t x = task.block.x0; x < task.block.x1; x += task.tile.width) body(tile_positions(task, y, x));
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
