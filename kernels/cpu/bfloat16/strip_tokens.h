// Which token of the sequence each packed token of a block is, and which of them the queries of a tile see.
#pragma once

#include <cstddef>
#include <cstdint>

#include "kernels/cpu/bfloat16/arena.h"
#include "kernels/cpu/bfloat16/strip_plan.h"
#include "kernels/cpu/tasks.h"

namespace fovea::kernels::cpu::bfloat16 {

constexpr std::size_t kSlab = 32;   // packed tokens that are handled at a time

inline std::size_t padded_to_slabs(std::int64_t tokens) { return (static_cast<std::size_t>(tokens) + kSlab - 1) / kSlab * kSlab; }

// Packed order: the halo row by row, then the global tokens, each padded to whole slabs.
struct StripTokens {
  AttentionShape shape;              // oriented
  Halo halo;
  std::size_t halo_end = 0;          // multiples of kSlab: where the halo ends and the global tokens begin, and where those end
  std::size_t end = 0;
  std::int64_t* sequence = nullptr;  // [end]: token of the sequence, -1 for padding
  // Bit i of columns[s][q]: the column of token 32 s + i of the halo is within reach of the column of a tile's query q. Tiles are as wide
  // as the block, so that all have the same columns.
  std::uint32_t (*columns)[kTileQueries] = nullptr;

  std::size_t slabs() const { return end / kSlab; }
};

// halo_tokens: of the largest block that the arena is to hold.
StripTokens take_strip_tokens(const AttentionShape& shape, std::int64_t halo_tokens, Arena& arena);
// Fills tokens, whose memory has been taken, for the task's block.
void map_strip(const AttentionShape& shape, const BlockTask& task, StripTokens& tokens);

// One tile of a block: query q is the token at row q / width, column q % width.
struct StripTile {
  std::int64_t query[kTileQueries];        // token of the sequence; -1 beyond the grid's edge
  std::int32_t row_begin[kTileQueries];    // packed tokens of the rows within reach: none for queries that do not exist
  std::int32_t row_end[kTileQueries];
  std::size_t begin, end;                  // slabs of the halo that any of the queries sees
};
StripTile strip_tile(const BlockTask& task, const StripTokens& tokens, std::int64_t y0);

// The global tokens against neighbouring tokens of the sequence, all of which they see. halo_tokens as taken: at least `count`.
void map_neighbours(std::int64_t first, std::int64_t count, StripTokens& tokens);
// Global tokens 32 group ... 32 group + 31 as the queries.
StripTile global_tile(const AttentionShape& shape, std::int64_t group, std::int64_t count);
inline std::int64_t global_groups(const AttentionShape& shape) { return (shape.global_tokens + kTileQueries - 1) / kTileQueries; }

}  // namespace fovea::kernels::cpu::bfloat16
