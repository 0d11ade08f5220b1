#include "kernels/cpu/bfloat16/strip_tokens.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace fovea::kernels::cpu::bfloat16 {
namespace {

// Token (y, x) of an oriented sub-grid is token first + y * row_step + x * column_step of the sequence.
struct SubGrid {
  std::int64_t first, row_step, column_step;
  std::int64_t token(std::int64_t y, std::int64_t x) const { return first + y * row_step + x * column_step; }
};

SubGrid sub_grid_of(const AttentionShape& shape, const BlockTask& task) {
  const GridBlock& block = task.block;
  const std::int64_t row = task.transposed ? 1 : shape.grid_width, column = task.transposed ? shape.grid_height : 1;
  return {.first = shape.global_tokens + block.phase_y * row + block.phase_x * column, .row_step = task.dilation * row,
          .column_step = task.dilation * column};
}

using Words = std::uint32_t (*)[kTileQueries];

// Sets bits [begin, end) of one query.
void set_bits(Words words, std::int64_t query, std::int64_t begin, std::int64_t end) {
  constexpr std::int64_t kBits = kSlab;
  for (std::int64_t word = begin / kBits; word * kBits < end; ++word) {
    const std::int64_t from = std::max(begin - word * kBits, std::int64_t{0}), to = std::min(end - word * kBits, kBits);
    words[word][query] |= static_cast<std::uint32_t>(((std::uint64_t{1} << (to - from)) - 1) << from);
  }
}

// StripTokens::columns, from the halo's shape. The words of as many rows as fill whole slabs repeat down the strip.
void map_columns(const BlockTask& task, StripTokens& tokens) {
  const Halo& halo = tokens.halo;
  const std::int64_t reach = (tokens.shape.window_width - 1) / 2, width = halo.width();
  const std::size_t slabs = tokens.halo_end / kSlab;
  const std::int64_t common = std::gcd(width, std::int64_t{kSlab}), period_rows = static_cast<std::int64_t>(kSlab) / common;
  const auto period_slabs = static_cast<std::size_t>(width / common);
  std::memset(tokens.columns, 0, std::min(slabs, period_slabs) * sizeof *tokens.columns);
  for (std::int64_t column = 0; column < task.block.x1 - task.block.x0; ++column) {
    const std::int64_t x = task.block.x0 + column;
    const std::int64_t begin = std::max(x - reach, halo.x0) - halo.x0, end = std::min(x + reach + 1, halo.x1) - halo.x0;
    for (std::int64_t row = 0; row < std::min(halo.height(), period_rows); ++row) {
      set_bits(tokens.columns, column, row * width + begin, row * width + end);
    }
  }
  for (std::size_t slab = 0; slab < std::min(slabs, period_slabs); ++slab) {
    std::uint32_t* words = tokens.columns[slab];
    for (int query = task.tile.width; query < kTileQueries; ++query) words[query] = words[query - task.tile.width];
  }
  for (std::size_t slab = period_slabs; slab < slabs; ++slab) {
    std::memcpy(tokens.columns[slab], tokens.columns[slab - period_slabs], sizeof *tokens.columns);
  }
}

}  // namespace

StripTokens take_strip_tokens(const AttentionShape& shape, std::int64_t halo_tokens, Arena& arena) {
  StripTokens tokens{};
  const std::size_t halo_end = padded_to_slabs(halo_tokens), end = halo_end + padded_to_slabs(shape.global_tokens);
  tokens.sequence = arena.take<std::int64_t>(end);
  tokens.columns = arena.take<std::uint32_t[kTileQueries]>(halo_end / kSlab);
  return tokens;
}

void map_strip(const AttentionShape& shape, const BlockTask& task, StripTokens& tokens) {
  tokens.shape = oriented(shape, task.transposed);
  tokens.halo = halo_of(task.block, tokens.shape);
  const SubGrid grid = sub_grid_of(tokens.shape, task);
  const Halo& halo = tokens.halo;
  std::int64_t* next = tokens.sequence;
  const auto pad = [&](std::size_t end) {
    while (next < tokens.sequence + end) *next++ = -1;
  };
  for (std::int64_t y = halo.y0; y < halo.y1; ++y) {
    for (std::int64_t x = halo.x0; x < halo.x1; ++x) *next++ = grid.token(y, x);
  }
  tokens.halo_end = padded_to_slabs(halo.height() * halo.width());
  pad(tokens.halo_end);
  for (std::int64_t token = 0; token < shape.global_tokens; ++token) *next++ = token;
  tokens.end = tokens.halo_end + padded_to_slabs(shape.global_tokens);
  pad(tokens.end);

  map_columns(task, tokens);
}

StripTile strip_tile(const BlockTask& task, const StripTokens& tokens, std::int64_t y0) {
  const SubGrid grid = sub_grid_of(tokens.shape, task);
  const Halo& halo = tokens.halo;
  const std::int64_t reach = (tokens.shape.window_height - 1) / 2, columns = task.block.x1 - task.block.x0;
  StripTile tile{};
  for (int query = 0; query < kTileQueries; ++query) tile.query[query] = -1;   // with row_begin = row_end = 0
  const std::int64_t y1 = std::min(y0 + task.tile.height, task.block.y1);
  int query = 0;
  for (std::int64_t y = y0; y < y1; ++y, query += task.tile.width) {
    const auto begin = static_cast<std::int32_t>((std::max(y - reach, halo.y0) - halo.y0) * halo.width());
    const auto end = static_cast<std::int32_t>((std::min(y + reach + 1, halo.y1) - halo.y0) * halo.width());
    if (y == y0) tile.begin = static_cast<std::size_t>(begin) / kSlab * kSlab;
    tile.end = padded_to_slabs(end);
    for (int column = 0; column < columns; ++column) {
      tile.query[query + column] = grid.token(y, task.block.x0 + column);
      tile.row_begin[query + column] = begin;
      tile.row_end[query + column] = end;
    }
  }
  return tile;
}

void map_neighbours(std::int64_t first, std::int64_t count, StripTokens& tokens) {
  tokens.halo_end = tokens.end = padded_to_slabs(count);
  for (std::int64_t i = 0; i < static_cast<std::int64_t>(tokens.end); ++i) tokens.sequence[i] = i < count ? first + i : -1;
  std::memset(tokens.columns, 0xFF, tokens.slabs() * sizeof *tokens.columns);
}

StripTile global_tile(const AttentionShape& shape, std::int64_t group, std::int64_t count) {
  StripTile tile{};
  for (std::int64_t query = 0; query < kTileQueries; ++query) {
    const std::int64_t token = group * kTileQueries + query;
    const bool exists = token < shape.global_tokens;
    tile.query[query] = exists ? token : -1;
    tile.row_end[query] = exists ? static_cast<std::int32_t>(count) : 0;
  }
  tile.end = padded_to_slabs(count);
  return tile;
}

}  // namespace fovea::kernels::cpu::bfloat16
