// The backward pass. Windows are symmetric: the queries that see a key are the window around it. So every tile is taken twice, as queries
// (gradient of the query) and as keys (gradients of key and value), and each result is a sum in a fixed order by one thread.
//   P = exp(S - lse)   dP = dO.Vt   dS = P * (dP - delta), delta = rowsum(dO * O) - grad_lse   (Dao et al. 2022)
//   dQ = scale * dS.K   dK = scale * dSt.Q   dV = Pt.dO
#if defined(FOVEA_KERNELS_CPU_SIMD_BACKWARD_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef FOVEA_KERNELS_CPU_SIMD_BACKWARD_INL_H_
#undef FOVEA_KERNELS_CPU_SIMD_BACKWARD_INL_H_
#else
#define FOVEA_KERNELS_CPU_SIMD_BACKWARD_INL_H_
#endif

#include "kernels/cpu/simd/globals-inl.h"

HWY_BEFORE_NAMESPACE();
namespace fovea::kernels::cpu {
namespace HWY_NAMESPACE {

// A tile of centre tokens, one a lane, and the sums of its gradients. All [padded][lanes].
struct QueryTile {
  float* query;          // times scale * log2(e)
  float* grad_output;
  float* gradient;       // of the query, still without the scale
};
struct KeyTile {
  float* key;            // times scale * log2(e)
  float* value;
  float* key_gradient;   // still without the scale
  float* value_gradient;
};

// lse * log2(e) and delta of tokens.
struct RowStatistics {
  float* lse2;
  float* delta;
};

// Two tables of a chunk: weights P and slopes dS, [kBackwardChunkTokens][lanes] each.
struct ChunkTables {
  float* weights;
  float* slopes;
};

HWY_INLINE ChunkTables take_tables(Arena& arena) {
  float* weights = arena.take(kBackwardChunkTokens * kLanes);
  return {weights, arena.take(kBackwardChunkTokens * kLanes)};
}

// Adds what a chunk of keys and values gives to the queries' gradient. statistics: of the lanes.
HWY_NOINLINE void add_query_gradient(const PackedTokens& tokens, const QueryTile& tile, const RowStatistics& statistics, const Chunk& chunk,
                                     const ChunkTables& tables) {
  const FloatTag tag;
  const FloatVector unused = hn::Zero(tag);
  score_chunk(tokens.keys, tile.query, chunk, Bias::kWindow, tables.weights, unused);
  score_chunk(tokens.values, tile.grad_output, chunk, Bias::kNone, tables.slopes, unused);
  const FloatVector lse2 = hn::Load(tag, statistics.lse2), delta = hn::Load(tag, statistics.delta);
  for (std::size_t t = 0; t < chunk.tokens; ++t) {
    const FloatVector weight = exp2_nonpositive(hn::Sub(hn::Load(tag, tables.weights + t * kLanes), lse2));
    float* slope = tables.slopes + t * kLanes;
    hn::Store(hn::Mul(weight, hn::Sub(hn::Load(tag, slope), delta)), tag, slope);
  }
  add_chunk(tokens.keys, chunk, tables.slopes, hn::Set(tag, 1.0f), tile.gradient);
}

// Adds what a chunk of queries and output gradients gives to the keys' and values' gradients. statistics: of the packed tokens.
HWY_NOINLINE void add_key_gradient(const PackedTokens& tokens, const KeyTile& tile, const RowStatistics& statistics, const Chunk& chunk,
                                   const ChunkTables& tables) {
  const FloatTag tag;
  const FloatVector unused = hn::Zero(tag);
  score_chunk(tokens.keys, tile.key, chunk, Bias::kWindow, tables.weights, unused);
  score_chunk(tokens.values, tile.value, chunk, Bias::kNone, tables.slopes, unused);
  std::size_t t = 0;
  for (std::size_t r = 0; r < chunk.size; ++r) {
    const Run& run = chunk.runs[r];
    for (std::size_t i = 0; i < padded_tokens(run.count); ++i, ++t) {
      const FloatVector lse2 = hn::Set(tag, statistics.lse2[run.first + i]), delta = hn::Set(tag, statistics.delta[run.first + i]);
      const FloatVector weight = exp2_nonpositive(hn::Sub(hn::Load(tag, tables.weights + t * kLanes), lse2));
      float* slope = tables.slopes + t * kLanes;
      hn::Store(weight, tag, tables.weights + t * kLanes);
      hn::Store(hn::Mul(weight, hn::Sub(hn::Load(tag, slope), delta)), tag, slope);
    }
  }
  add_chunk(tokens.values, chunk, tables.weights, hn::Set(tag, 1.0f), tile.value_gradient);
  add_chunk(tokens.keys, chunk, tables.slopes, hn::Set(tag, 1.0f), tile.key_gradient);
}

// delta of the tokens [first, first + count) of one head.
template <class Element>
HWY_INLINE void compute_delta_of(const AttentionBackward& parameters, const GlobalSlice& slice, float* delta) {
  const FloatTag tag;
  const AttentionShape& shape = parameters.shape;
  const auto depth = static_cast<std::size_t>(shape.head_dim);
  const std::size_t padded = padded_depth(shape.head_dim);
  const Element* output = head_of<Element>(parameters.output, slice.batch, slice.head);
  const Element* grad_output = head_of<Element>(parameters.grad_output, slice.batch, slice.head);
  const std::int64_t offset = sequence_offset(shape, slice.batch, slice.head);
  alignas(64) float output_row[256], gradient_row[256];
  for (std::int64_t token = slice.first_token; token < slice.first_token + slice.tokens; ++token) {
    load_row(output + token * parameters.output.token_stride, depth, padded, output_row);
    load_row(grad_output + token * parameters.grad_output.token_stride, depth, padded, gradient_row);
    FloatVector sum = hn::Zero(tag);
    for (std::size_t d = 0; d < padded; d += kLanes) sum = hn::MulAdd(hn::Load(tag, output_row + d), hn::Load(tag, gradient_row + d), sum);
    const float product = hn::GetLane(hn::SumOfLanes(tag, sum));
    delta[offset + token] = parameters.grad_lse ? product - parameters.grad_lse[offset + token] : product;
  }
}

void compute_delta(const AttentionBackward& parameters, const GlobalSlice& slice, float* delta) {
  with_element_type(parameters.dtype, [&](auto* element) {
    compute_delta_of<std::remove_pointer_t<decltype(element)>>(parameters, slice, delta);
  });
}

// lse2 and delta of the lanes' tokens.
HWY_INLINE void load_lane_statistics(const AttentionBackward& parameters, const float* delta, std::int64_t sequence,
                                     const LaneTokens& lanes, const RowStatistics& to) {
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    to.lse2[lane] = parameters.lse[sequence + lanes.token[lane]] * kLog2E;
    to.delta[lane] = delta[sequence + lanes.token[lane]];
  }
}

// lse2 and delta of the packed tokens of a halo; zeros where nothing is packed.
HWY_INLINE void load_halo_statistics(const AttentionBackward& parameters, const float* delta, std::int64_t sequence, const SubGrid& grid,
                                     const Halo& halo, const RowStatistics& to) {
  std::size_t packed = 0;
  const auto add = [&](std::int64_t token) {
    to.lse2[packed] = parameters.lse[sequence + token] * kLog2E;
    to.delta[packed++] = delta[sequence + token];
  };
  for (std::int64_t y = halo.y0; y < halo.y1; ++y) {
    for (std::int64_t x = halo.x0; x < halo.x1; ++x) add(grid.token(y, x));
  }
  for (std::int64_t token = 0; token < parameters.shape.global_tokens; ++token) add(token);
  for (std::size_t i = 0; i < kTokenGroup; ++i) to.lse2[packed + i] = to.delta[packed + i] = 0.0f;
}

std::size_t backward_block_floats(const AttentionShape& shape, std::int64_t halo_tokens) {
  const std::size_t padded = padded_depth(shape.head_dim);
  const std::size_t capacity = static_cast<std::size_t>(halo_tokens + shape.global_tokens) + kTokenGroup;
  return 2 * capacity * (padded + 1) + 5 * padded * kLanes + 2 * (kBackwardChunkTokens + 1) * kLanes +
         window_bias_floats(static_cast<std::size_t>(halo_tokens)) + 20 * 16;
}

// Scratch of one block, used by both ways of taking its tiles.
struct BackwardSpace {
  PackedTokens packed;
  RowStatistics packed_statistics, lane_statistics;
  float* rows;
  float* columns[4];   // [padded][lanes] each
  ChunkTables tables;
  WindowBias bias;
};

HWY_INLINE BackwardSpace take_backward_space(const AttentionShape& shape, const Halo& halo, float* scratch) {
  const std::size_t padded = padded_depth(shape.head_dim);
  const std::size_t capacity = static_cast<std::size_t>(halo.height() * halo.width() + shape.global_tokens) + kTokenGroup;
  Arena arena(scratch);
  BackwardSpace space{};
  space.packed = take_tokens(arena, capacity, padded);
  space.packed_statistics = {arena.take(capacity), arena.take(capacity)};
  space.lane_statistics = {arena.take(kLanes), arena.take(kLanes)};
  space.rows = arena.take(kLanes * padded);
  for (float*& columns : space.columns) columns = arena.take(padded * kLanes);
  space.tables = take_tables(arena);
  space.bias = take_window_bias(arena, halo, shape);
  return space;
}

// One block of one head of one image: where it lies and what its gradients are made of.
struct BackwardBlock {
  const AttentionBackward& parameters;
  const float* delta;
  const BlockTask& task;
  Halo halo;
  SubGrid grid;
  std::size_t depth, padded;
  std::int64_t sequence;   // where its head's lse and delta begin
};

template <class Element>
HWY_INLINE void backward_queries(const BackwardBlock& block, const BackwardSpace& space) {
  const AttentionBackward& parameters = block.parameters;
  const QueryTile queries{.query = space.columns[0], .grad_output = space.columns[1], .gradient = space.columns[2]};
  pack_halo(head_pair<Element>(parameters.key, parameters.value, block.task), parameters.shape, block.grid, block.halo, space.packed);
  Chunk chunk(kBackwardChunkTokens);
  for_each_tile(block.task, [&](const TilePositions& tile) {
    const LaneTokens lanes = lane_tokens(block.grid, tile);
    const auto load = [&](const ConstView& view, float factor, float* columns) {
      load_columns(head_of<Element>(view, block.task.batch, block.task.head), view.token_stride, lanes, block.depth, factor, space.rows,
                   columns);
    };
    load(parameters.query, parameters.scale * kLog2E, queries.query);
    load(parameters.grad_output, 1.0f, queries.grad_output);
    load_lane_statistics(parameters, block.delta, block.sequence, lanes, space.lane_statistics);
    std::memset(queries.gradient, 0, block.padded * kLanes * sizeof(float));
    for_each_chunk(parameters.shape, block.halo, tile, space.bias, chunk,
                   [&] { add_query_gradient(space.packed, queries, space.lane_statistics, chunk, space.tables); });
    store_columns(queries.gradient, block.depth, hn::Set(FloatTag(), parameters.scale), lanes,
                  head_of<Element>(parameters.grad_query, block.task.batch, block.task.head), parameters.grad_query.token_stride,
                  space.rows);
  });
}

template <class Element>
HWY_INLINE void backward_keys(const BackwardBlock& block, const BackwardSpace& space) {
  const AttentionBackward& parameters = block.parameters;
  const KeyTile keys{.key = space.columns[0], .value = space.columns[1], .key_gradient = space.columns[2],
                     .value_gradient = space.columns[3]};
  pack_halo(head_pair<Element>(parameters.query, parameters.grad_output, block.task), parameters.shape, block.grid, block.halo,
            space.packed);
  load_halo_statistics(parameters, block.delta, block.sequence, block.grid, block.halo, space.packed_statistics);
  Chunk chunk(kBackwardChunkTokens);
  for_each_tile(block.task, [&](const TilePositions& tile) {
    const LaneTokens lanes = lane_tokens(block.grid, tile);
    const auto load = [&](const ConstView& view, float factor, float* columns) {
      load_columns(head_of<Element>(view, block.task.batch, block.task.head), view.token_stride, lanes, block.depth, factor, space.rows,
                   columns);
    };
    const auto store = [&](float* columns, float factor, const MutableView& view) {
      store_columns(columns, block.depth, hn::Set(FloatTag(), factor), lanes, head_of<Element>(view, block.task.batch, block.task.head),
                    view.token_stride, space.rows);
    };
    load(parameters.key, parameters.scale * kLog2E, keys.key);
    load(parameters.value, 1.0f, keys.value);
    std::memset(keys.key_gradient, 0, block.padded * kLanes * sizeof(float));
    std::memset(keys.value_gradient, 0, block.padded * kLanes * sizeof(float));
    for_each_chunk(parameters.shape, block.halo, tile, space.bias, chunk,
                   [&] { add_key_gradient(space.packed, keys, space.packed_statistics, chunk, space.tables); });
    store(keys.key_gradient, parameters.scale, parameters.grad_key);
    store(keys.value_gradient, 1.0f, parameters.grad_value);
  });
}

void backward_block(const AttentionBackward& parameters, const float* delta, const BlockTask& task, float* scratch) {
  const AttentionShape& shape = parameters.shape;
  const BackwardBlock block{.parameters = parameters, .delta = delta, .task = task, .halo = halo_of(task.block, shape),
                            .grid = sub_grid_of(shape, task), .depth = static_cast<std::size_t>(shape.head_dim),
                            .padded = padded_depth(shape.head_dim), .sequence = sequence_offset(shape, task.batch, task.head)};
  const BackwardSpace space = take_backward_space(shape, block.halo, scratch);
  with_element_type(parameters.dtype, [&](auto* element) {
    using Element = std::remove_pointer_t<decltype(element)>;
    backward_queries<Element>(block, space);
    backward_keys<Element>(block, space);
  });
}

}  // namespace HWY_NAMESPACE
}  // namespace fovea::kernels::cpu
HWY_AFTER_NAMESPACE();

#endif
