#include "core/attention/reference_tiles.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <functional>
#include <limits>

namespace fovea::reference_tiles {
namespace {

// Grid tokens y0 <= y < y1, x0 <= x < x1 of a head's sub-grid: with dilation d, rows py, py + d, ... and columns px, px + d, ... form a
// grid of their own in which the window is dense, because a query only ever sees keys of its own residue class.
struct Rectangle {
  std::int64_t y0, y1, x0, x1;
  std::int64_t height() const { return y1 - y0; }
  std::int64_t width() const { return x1 - x0; }
};

struct Tile {
  std::int64_t first_head, heads, dilation, phase_y, phase_x;
  Rectangle queries, keys;
};

at::ScalarType compute_type(const AttentionCall& call) { return call.query.scalar_type() == at::kDouble ? at::kDouble : at::kFloat; }

std::array<std::int64_t, 2> radius(const AttentionCall& call) { return {(call.window[0] - 1) / 2, (call.window[1] - 1) / 2}; }

// The tokens of a tile as a view [B, height, width, heads of the tile, D] of a tensor [B, N, heads, D].
at::Tensor view_of(const at::Tensor& tensor, const AttentionCall& call, const Tile& tile, const Rectangle& part) {
  const auto first = [&](std::int64_t phase, std::int64_t from) { return phase + from * tile.dilation; };
  const auto end = [&](std::int64_t phase, std::int64_t to) { return phase + (to - 1) * tile.dilation + 1; };
  return tensor.narrow(2, tile.first_head, tile.heads)
      .narrow(1, call.global_tokens, call.grid[0] * call.grid[1])
      .unflatten(1, {call.grid[0], call.grid[1]})
      .slice(1, first(tile.phase_y, part.y0), end(tile.phase_y, part.y1), tile.dilation)
      .slice(2, first(tile.phase_x, part.x0), end(tile.phase_x, part.x1), tile.dilation);
}

at::Tensor globals_of(const at::Tensor& tensor, const AttentionCall& call, const Tile& tile) {
  return tensor.narrow(2, tile.first_head, tile.heads).narrow(1, 0, call.global_tokens);
}

// [B, ..., heads, D] -> [B, heads, tokens, D] in the dtype of the computation.
at::Tensor as_matrix(const at::Tensor& view, at::ScalarType dtype) { return view.flatten(1, -3).transpose(1, 2).to(dtype); }

// Keys (or values) that a tile's queries see: the globals, then the rectangle.
at::Tensor gather_keys(const at::Tensor& tensor, const AttentionCall& call, const Tile& tile) {
  const at::Tensor globals = as_matrix(globals_of(tensor, call, tile), compute_type(call));
  return at::cat({globals, as_matrix(view_of(tensor, call, tile, tile.keys), compute_type(call))}, 2);
}

// True where a query of the tile must not see a key: [queries, globals + keys].
at::Tensor hidden_keys(const AttentionCall& call, const Tile& tile) {
  const auto options = call.query.options().dtype(at::kLong);
  const auto too_far = [&](std::int64_t q0, std::int64_t q1, std::int64_t k0, std::int64_t k1, std::int64_t reach) {
    return (at::arange(q0, q1, options).unsqueeze(1) - at::arange(k0, k1, options).unsqueeze(0)).abs() > reach;
  };
  const auto [reach_y, reach_x] = radius(call);
  const at::Tensor rows = too_far(tile.queries.y0, tile.queries.y1, tile.keys.y0, tile.keys.y1, reach_y);
  const at::Tensor columns = too_far(tile.queries.x0, tile.queries.x1, tile.keys.x0, tile.keys.x1, reach_x);
  const at::Tensor hidden = rows.unsqueeze(1).unsqueeze(3).logical_or(columns.unsqueeze(0).unsqueeze(2));
  return at::constant_pad_nd(hidden.reshape({tile.queries.height() * tile.queries.width(), -1}), {call.global_tokens, 0}, 0);
}

// scale * q.k, minus infinity where hidden: [B, heads, queries, keys].
at::Tensor scores_of(const AttentionCall& call, const at::Tensor& queries, const at::Tensor& keys, const at::Tensor& hidden) {
  return at::matmul(queries, keys.transpose(2, 3)).mul_(call.scale).masked_fill_(hidden, -std::numeric_limits<double>::infinity());
}

using TileBody = std::function<void(const Tile&)>;

void for_each_tile_of_phase(const AttentionCall& call, Tile tile, const TileBody& body) {
  const auto [reach_y, reach_x] = radius(call);
  const std::int64_t side = std::clamp<std::int64_t>(std::max(reach_y, reach_x), 16, 64);
  const std::int64_t height = (call.grid[0] - tile.phase_y + tile.dilation - 1) / tile.dilation;
  const std::int64_t width = (call.grid[1] - tile.phase_x + tile.dilation - 1) / tile.dilation;
  for (std::int64_t y = 0; y < height; y += side) {
    for (std::int64_t x = 0; x < width; x += side) {
      tile.queries = {y, std::min(y + side, height), x, std::min(x + side, width)};
      tile.keys = {std::max<std::int64_t>(y - reach_y, 0), std::min(tile.queries.y1 + reach_y, height),
                   std::max<std::int64_t>(x - reach_x, 0), std::min(tile.queries.x1 + reach_x, width)};
      body(tile);
    }
  }
}

// Every grid query of every head once. Neighbouring heads of one dilation share their tiles.
void for_each_tile(const AttentionCall& call, const TileBody& body) {
  for (std::int64_t first = 0, heads = 0; first < call.heads(); first += heads) {
    const auto dilation_of = [&](std::int64_t head) { return call.dilation[static_cast<std::size_t>(head)]; };
    const std::int64_t dilation = dilation_of(first);
    for (heads = 1; first + heads < call.heads() && dilation_of(first + heads) == dilation;) ++heads;
    for (std::int64_t y = 0; y < std::min(dilation, call.grid[0]); ++y) {
      for (std::int64_t x = 0; x < std::min(dilation, call.grid[1]); ++x) {
        for_each_tile_of_phase(call, {.first_head = first, .heads = heads, .dilation = dilation, .phase_y = y, .phase_x = x,
                                      .queries = {}, .keys = {}}, body);
      }
    }
  }
}

// Keys of the global queries, a slice of the sequence at a time, so that scores of millions of tokens never exist at once.
void for_each_key_slice(const AttentionCall& call, const std::function<void(std::int64_t begin, std::int64_t count)>& body) {
  constexpr std::int64_t kSlice = 16384;
  for (std::int64_t begin = 0; begin < call.tokens(); begin += kSlice) body(begin, std::min(kSlice, call.tokens() - begin));
}

// [B, N, heads, D] -> tokens [begin, begin + count) as [B, heads, count, D].
at::Tensor slice_of(const at::Tensor& tensor, std::int64_t begin, std::int64_t count, at::ScalarType dtype) {
  return as_matrix(tensor.narrow(1, begin, count).unsqueeze(1), dtype);
}

void forward_globals(const AttentionCall& call, const AttentionResult& result) {
  const at::ScalarType dtype = compute_type(call);
  const at::Tensor queries = slice_of(call.query, 0, call.global_tokens, dtype);
  at::Tensor maximum, total, output;   // of all slices so far: greatest score, sum of weights relative to it, weighted values
  for_each_key_slice(call, [&](std::int64_t begin, std::int64_t count) {
    const at::Tensor scores = at::matmul(queries, slice_of(call.key, begin, count, dtype).transpose(2, 3)).mul_(call.scale);
    const at::Tensor part_maximum = scores.amax({3}, true);
    const at::Tensor next = maximum.defined() ? at::maximum(maximum, part_maximum) : part_maximum;
    const at::Tensor weights = (scores - next).exp_();
    const at::Tensor part = at::matmul(weights, slice_of(call.value, begin, count, dtype));
    const at::Tensor kept = maximum.defined() ? (maximum - next).exp_() : at::Tensor();
    total = kept.defined() ? total * kept + weights.sum({3}, true) : weights.sum({3}, true);
    output = kept.defined() ? output * kept + part : part;
    maximum = next;
  });
  result.output.narrow(1, 0, call.global_tokens).copy_((output / total).transpose(1, 2));
  result.lse.narrow(2, 0, call.global_tokens).copy_((maximum + total.log()).squeeze(3));
}

// dS of one block of scores: P * (dO.Vt - delta), where delta = rowsum(dO * O) - grad_lse (Dao et al. 2022, with the lse's own gradient).
struct BlockGradient {
  at::Tensor probabilities, scores;   // [B, heads, queries, keys]
};

struct QueryBlock {
  at::Tensor query, grad_output, lse, delta;   // [B, heads, queries, D or 1], dtype of the computation
};

BlockGradient block_gradient(const QueryBlock& block, const at::Tensor& scores, const at::Tensor& values) {
  const at::Tensor probabilities = (scores - block.lse).exp_();
  return {probabilities, (at::matmul(block.grad_output, values.transpose(2, 3)) - block.delta).mul_(probabilities)};
}

// Rows of lse and delta are kept as [B, N, heads, 1], so that they are cut like every other tensor.
struct BackwardState {
  at::Tensor lse, delta;
  AttentionGradients sums;   // in the dtype of the computation
};

BackwardState start_backward(const AttentionGradientCall& gradient) {
  const AttentionCall& call = gradient.call;
  const at::ScalarType dtype = compute_type(call);
  at::Tensor delta = (gradient.grad_output.to(dtype) * gradient.output.to(dtype)).sum(3, true);
  if (gradient.grad_lse.defined()) delta = delta - gradient.grad_lse.transpose(1, 2).unsqueeze(3).to(dtype);
  const auto zeros = [&] { return at::zeros(call.query.sizes(), call.query.options().dtype(dtype)); };
  return {gradient.lse.transpose(1, 2).unsqueeze(3).to(dtype), delta, {zeros(), zeros(), zeros()}};
}

void backward_tile(const AttentionGradientCall& gradient, const BackwardState& state, const Tile& tile) {
  const AttentionCall& call = gradient.call;
  const auto queries_of = [&](const at::Tensor& tensor) {
    return as_matrix(view_of(tensor, call, tile, tile.queries), compute_type(call));
  };
  const QueryBlock block{queries_of(call.query), queries_of(gradient.grad_output), queries_of(state.lse), queries_of(state.delta)};
  const at::Tensor keys = gather_keys(call.key, call, tile);
  const at::Tensor scores = scores_of(call, block.query, keys, hidden_keys(call, tile));
  const BlockGradient part = block_gradient(block, scores, gather_keys(call.value, call, tile));

  const auto add_to = [](const at::Tensor& target, const at::Tensor& matrix) {
    target.add_(matrix.transpose(1, 2).reshape(target.sizes()));
  };
  const auto add_to_keys = [&](const at::Tensor& target, const at::Tensor& matrix) {
    const std::int64_t in_grid = tile.keys.height() * tile.keys.width();
    add_to(globals_of(target, call, tile), matrix.narrow(2, 0, call.global_tokens));
    add_to(view_of(target, call, tile, tile.keys), matrix.narrow(2, call.global_tokens, in_grid));
  };
  add_to(view_of(state.sums.query, call, tile, tile.queries), at::matmul(part.scores, keys).mul_(call.scale));
  add_to_keys(state.sums.key, at::matmul(part.scores.transpose(2, 3), block.query).mul_(call.scale));
  add_to_keys(state.sums.value, at::matmul(part.probabilities.transpose(2, 3), block.grad_output));
}

void backward_globals(const AttentionGradientCall& gradient, const BackwardState& state) {
  const AttentionCall& call = gradient.call;
  const at::ScalarType dtype = compute_type(call);
  const auto globals = [&](const at::Tensor& tensor) { return slice_of(tensor, 0, call.global_tokens, dtype); };
  const QueryBlock block{globals(call.query), globals(gradient.grad_output), globals(state.lse), globals(state.delta)};
  for_each_key_slice(call, [&](std::int64_t begin, std::int64_t count) {
    const at::Tensor keys = slice_of(call.key, begin, count, dtype);
    const at::Tensor scores = at::matmul(block.query, keys.transpose(2, 3)).mul_(call.scale);
    const BlockGradient part = block_gradient(block, scores, slice_of(call.value, begin, count, dtype));
    const auto add = [](const at::Tensor& target, const at::Tensor& matrix) { target.add_(matrix.transpose(1, 2)); };
    add(state.sums.query.narrow(1, 0, call.global_tokens), at::matmul(part.scores, keys).mul_(call.scale));
    add(state.sums.key.narrow(1, begin, count), at::matmul(part.scores.transpose(2, 3), block.query).mul_(call.scale));
    add(state.sums.value.narrow(1, begin, count), at::matmul(part.probabilities.transpose(2, 3), block.grad_output));
  });
}

}  // namespace

AttentionResult forward(const AttentionCall& call) {
  const at::ScalarType dtype = compute_type(call);
  const AttentionResult result{at::empty(call.query.sizes(), call.query.options()),
                               at::empty({call.batch(), call.heads(), call.tokens()}, call.query.options().dtype(dtype))};
  const at::Tensor lse_by_token = result.lse.transpose(1, 2).unsqueeze(3);
  for_each_tile(call, [&](const Tile& tile) {
    const at::Tensor queries = as_matrix(view_of(call.query, call, tile, tile.queries), dtype);
    const at::Tensor scores = scores_of(call, queries, gather_keys(call.key, call, tile), hidden_keys(call, tile));
    const at::Tensor lse = at::logsumexp(scores, {3}, true);
    // Softmax and not exp(scores - lse): the rounding of a large lse would scale the whole row.
    const at::Tensor output = at::matmul(at::softmax(scores, 3), gather_keys(call.value, call, tile));
    const auto store = [&](const at::Tensor& target, const at::Tensor& matrix) {
      const at::Tensor view = view_of(target, call, tile, tile.queries);
      view.copy_(matrix.transpose(1, 2).reshape(view.sizes()));
    };
    store(result.output, output);
    store(lse_by_token, lse);
  });
  if (call.global_tokens > 0) forward_globals(call, result);
  return result;
}

AttentionGradients backward(const AttentionGradientCall& gradient) {
  BackwardState state = start_backward(gradient);
  for_each_tile(gradient.call, [&](const Tile& tile) { backward_tile(gradient, state, tile); });
  if (gradient.call.global_tokens > 0) backward_globals(gradient, state);
  for (at::Tensor* sum : {&state.sums.query, &state.sums.key, &state.sums.value}) *sum = sum->to(gradient.call.query.scalar_type());
  return state.sums;
}

}  // namespace fovea::reference_tiles
