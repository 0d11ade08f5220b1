#include "core/attention/analysis/dense_sweep.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <memory>

#include "core/attention/analysis/attention_blocks.h"
#include "core/attention/analysis/large_pages.h"
#include "core/attention/analysis/tile_planes.h"
#include "core/base/progress.h"
#include "kernels/cpu/half_rows.h"

namespace fovea::analysis::dense_sweep {
namespace {

constexpr double kHalfUnit = kernels::cpu::kHalfUnit;

std::int64_t cells_of(const AttentionLayer& layer) { return layer.height() * layer.width(); }

// Queries of the grid, counted row by row.
struct Queries { std::int64_t first = 0, count = 0; };

// As many as keep a head's scores, probabilities and their fusion in a core's second cache.
std::int64_t queries_at_once(const AttentionLayer& layer) { return std::clamp<std::int64_t>((1 << 18) / layer.tokens(), 16, 64); }

// Rows of the matrix [count, N], float32, until the next call; times inverse_sums [count] they sum to one where that is defined.
struct Rows { at::Tensor values, inverse_sums{}; };
class RowSource {   // of one thread
 public:
  virtual ~RowSource() = default;
  virtual Rows rows(const Queries& queries) = 0;
};
using MakeSource = std::function<std::unique_ptr<RowSource>()>;

void scale_to_one(const at::Tensor& rows) { rows.div_(rows.sum({-1}, true).clamp_min_(std::numeric_limits<float>::min())); }

// Heads made one, as they come.
class Fusion {
 public:
  Fusion(const HeadChoice& heads, std::int64_t count) : fusion_(heads.fusion), count_(count) {}
  void begin() { done_ = 0; }
  // The rows themselves where there is but one head.
  at::Tensor add(const at::Tensor& rows) {
    if (count_ == 1) return rows;
    if (!fused_.defined()) fused_ = at::empty_like(rows);
    fused_.resize_(rows.sizes());
    if (done_++ == 0) fused_.copy_(rows);
    else if (fusion_ == HeadFusion::kMax) at::maximum_out(fused_, fused_, rows);
    else if (fusion_ == HeadFusion::kMin) at::minimum_out(fused_, fused_, rows);
    else fused_.add_(rows);
    if (done_ == count_ && fusion_ == HeadFusion::kMean) fused_.div_(static_cast<double>(count_));
    return fused_;
  }

 private:
  HeadFusion fusion_;
  std::int64_t count_, done_ = 0;
  at::Tensor fused_;
};

bool is_linear(const HeadChoice& heads) { return heads.fusion == HeadFusion::kMean || heads.fusion == HeadFusion::kOne; }

// What the threads share: [heads, cells, D] and [heads, D, N], float32.
struct Factors {
  at::Tensor query, key;
  Factors(const AttentionLayer& layer, const HeadChoice& heads) {
    const auto chosen = chosen_heads(layer, heads);
    const auto on_grid = chosen.query.narrow(0, layer.global_tokens(), cells_of(layer)).to(at::kFloat);
    query = (on_grid * layer.softmax_scale()).transpose(0, 1).contiguous();
    key = chosen.key.to(at::kFloat).transpose(0, 1).contiguous().transpose(1, 2);
  }
};

class ComputedRows : public RowSource {
 public:
  ComputedRows(const Factors& factors, const HeadChoice& heads, RowSums sums)
      : factors_(factors), scale_(sums == RowSums::kOne && !is_linear(heads)), fusion_(heads, factors.query.size(0)),
        scores_(at::empty({0}, at::kFloat)), probabilities_(at::empty({0}, at::kFloat)) {}
  Rows rows(const Queries& queries) override {
    at::Tensor fused;
    fusion_.begin();
    for (auto* buffer : {&scores_, &probabilities_}) buffer->resize_({queries.count, factors_.key.size(2)});
    for (std::int64_t head = 0; head < factors_.query.size(0); ++head) {
      at::mm_out(scores_, factors_.query[head].narrow(0, queries.first, queries.count), factors_.key[head]);
      at::_softmax_out(probabilities_, scores_, -1, false);
      fused = fusion_.add(probabilities_);
    }
    if (scale_) scale_to_one(fused);
    return {fused};
  }

 private:
  const Factors& factors_;
  bool scale_;
  Fusion fusion_;
  at::Tensor scores_, probabilities_;
};

struct HalfRows { at::Tensor weights, inverse_sums; };

// rows: sum to one.
HalfRows rounded(const at::Tensor& rows) {
  const auto weights = (rows * kHalfUnit).to(at::kHalf);
  const auto sums = weights.to(at::kFloat).sum({-1});
  return {weights, at::where(sums > 0, sums.reciprocal(), at::zeros_like(sums))};
}

// Stored, or made of every head.
class KeptRows : public RowSource {
 public:
  explicit KeptRows(const KeptWindows& kept)
      : kept_(kept), fusion_(kept.heads, static_cast<std::int64_t>(kept.every_head.size())), rows_(at::empty({0}, at::kFloat)) {}
  Rows rows(const Queries& queries) override {
    if (kept_.weights.defined()) return {read(kept_, queries), kept_.inverse_sums.narrow(0, queries.first, queries.count)};
    const auto half = fused(queries);
    rows_.copy_(half.weights);
    return {rows_, half.inverse_sums};
  }
  HalfRows fused(const Queries& queries) {
    at::Tensor fused;
    fusion_.begin();
    for (const auto& head : kept_.every_head) {
      fused = fusion_.add(read(*head, queries).mul_(head->inverse_sums.narrow(0, queries.first, queries.count).unsqueeze(1)));
    }
    scale_to_one(fused);
    return rounded(fused);
  }

 private:
  at::Tensor read(const KeptWindows& kept, const Queries& queries) {
    const auto weights = kept.weights.narrow(0, queries.first, queries.count);
    return rows_.resize_(weights.sizes()).copy_(weights);
  }
  const KeptWindows& kept_;
  Fusion fusion_;
  at::Tensor rows_;
};

// Visits all blocks of queries, some on each of torch's threads: visit(share, source, queries). Shares do not depend on threads.
constexpr std::int64_t kShares = 64;
using Visit = std::function<void(std::int64_t, RowSource&, const Queries&)>;
void for_each_block(const AttentionLayer& layer, const MakeSource& make, const Visit& visit, const std::stop_token& stop = {}) {
  const auto cells = cells_of(layer), at_once = queries_at_once(layer), blocks = (cells + at_once - 1) / at_once;
  const auto blocks_a_share = (blocks + kShares - 1) / kShares;
  std::vector<GridRect> shares;   // of blocks
  for (std::int64_t first = 0; first < blocks; first += blocks_a_share) {
    shares.push_back({0, first, 1, std::min(blocks_a_share, blocks - first)});
  }
  for_each_share(shares, [&](TileShare& next) {
    const at::NoGradGuard no_gradients;
    const auto source = make();
    for (std::size_t i = next.next(); i < shares.size(); i = next.next()) {
      for (std::int64_t block = shares[i].x; block < shares[i].x + shares[i].width && !stop.stop_requested(); ++block) {
        const auto first = block * at_once;
        visit(static_cast<std::int64_t>(i), *source, {first, std::min(at_once, cells - first)});
      }
    }
  });
  throw_if_stopped(stop);
}

TokenMap times(const TokenMap& r, const AttentionLayer& layer, const MakeSource& make) {
  const auto weights = r.dense().flatten();
  const auto partial = at::zeros({kShares, layer.tokens()}, at::kFloat);
  for_each_block(layer, make, [&](std::int64_t share, RowSource& source, const Queries& queries) {
    auto of_block = weights.narrow(0, queries.first, queries.count);
    if (!of_block.ne(0).any().item<bool>()) return;   // rollouts begin with one token
    const auto rows = source.rows(queries);
    if (rows.inverse_sums.defined()) of_block = of_block * rows.inverse_sums;
    partial[share].add_(at::mv(rows.values.t(), of_block));
  });
  const auto sum = partial.sum({0});
  const auto globals = layer.global_tokens();
  return {.grid = layer.pattern.grid, .globals = sum.narrow(0, 0, globals), .support = layer.grid_rect(),
          .values = sum.narrow(0, globals, cells_of(layer)).view({layer.height(), layer.width()})};
}

TokenMap times(const AttentionLayer& layer, const MakeSource& make, const TokenMap& c, const GridRect& rect) {
  auto result = zero_map(layer, rect);
  if (rect.empty()) return result;
  const auto column = at::cat({c.globals, c.dense().flatten()});
  const auto values = at::empty({cells_of(layer)}, at::kFloat);
  for_each_block(layer, make, [&](std::int64_t, RowSource& source, const Queries& queries) {
    const auto rows = source.rows(queries);
    const auto products = at::mv(rows.values, column);
    values.narrow(0, queries.first, queries.count).copy_(rows.inverse_sums.defined() ? products * rows.inverse_sums : products);
  });
  result.values.copy_(values.view({layer.height(), layer.width()}).narrow(0, rect.y, rect.height).narrow(1, rect.x, rect.width));
  return result;
}

MakeSource computed(const Factors& factors, const HeadChoice& heads, RowSums sums) {
  return [&, heads, sums] { return std::make_unique<ComputedRows>(factors, heads, sums); };
}

MakeSource read_from(const KeptWindows& kept) {
  return [&] { return std::make_unique<KeptRows>(kept); };
}

std::shared_ptr<KeptWindows> empty_rows(const AttentionLayer& layer, const HeadChoice& heads) {
  auto kept = std::make_shared<KeptWindows>();
  kept->heads = heads;
  kept->weights = empty_in_large_pages({cells_of(layer), layer.tokens()}, at::kHalf);
  kept->inverse_sums = at::empty({cells_of(layer)}, at::kFloat);
  return kept;
}

void put(const KeptWindows& kept, const Queries& queries, const HalfRows& rows) {
  kept.weights.narrow(0, queries.first, queries.count).copy_(rows.weights);
  kept.inverse_sums.narrow(0, queries.first, queries.count).copy_(rows.inverse_sums);
}

}  // namespace

bool runs(const AttentionLayer& layer) { return layer.query.is_cpu() && layer.dense(); }

TokenMap times_attention(const TokenMap& r, const AttentionLayer& layer, const HeadChoice& heads, RowSums sums) {
  const Factors factors(layer, heads);
  return times(r, layer, computed(factors, heads, sums));
}

TokenMap attention_times(const AttentionLayer& layer, const TokenMap& c, const GridRect& rect, const HeadChoice& heads, RowSums sums) {
  const Factors factors(layer, heads);
  return times(layer, computed(factors, heads, sums), c, rect);
}

std::int64_t kept_bytes(const AttentionLayer& layer) {
  constexpr std::int64_t kHalfBytes = 2, kFloatBytes = 4;
  const auto tokens = layer.tokens();
  return cells_of(layer) * (tokens * kHalfBytes + kFloatBytes) + layer.global_tokens() * tokens * kFloatBytes;
}

Kept keep(const AttentionLayer& layer, const HeadChoice& heads, const std::stop_token& stop) {
  const auto result = empty_rows(layer, heads);
  const Factors factors(layer, heads);
  for_each_block(layer, computed(factors, heads, RowSums::kOne), [&](std::int64_t, RowSource& source, const Queries& queries) {
    put(*result, queries, rounded(source.rows(queries).values));
  }, stop);
  if (layer.global_tokens() > 0) result->global_rows = global_rows(layer, heads, RowSums::kOne);
  return result;
}

Kept keep_fused(const AttentionLayer& layer, const KeptWindows& made_when_read, const std::stop_token& stop) {
  const auto result = empty_rows(layer, made_when_read.heads);
  result->global_rows = made_when_read.global_rows;
  for_each_block(layer, read_from(made_when_read), [&](std::int64_t, RowSource& source, const Queries& queries) {
    put(*result, queries, static_cast<KeptRows&>(source).fused(queries));
  }, stop);
  return result;
}

TokenMap times_attention(const TokenMap& r, const AttentionLayer& layer, const KeptWindows& kept) {
  return times(r, layer, read_from(kept));
}

TokenMap attention_times(const AttentionLayer& layer, const KeptWindows& kept, const TokenMap& c, const GridRect& rect) {
  return times(layer, read_from(kept), c, rect);
}

}  // namespace fovea::analysis::dense_sweep
