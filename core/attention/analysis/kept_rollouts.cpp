#include "core/attention/analysis/kept_rollouts.h"

namespace fovea::analysis {
namespace {

// The mean, and one other choice.
constexpr std::int64_t kBesideHeads = 2;

std::int64_t bytes_of_one(const LayerStack& layers) {
  std::int64_t bytes = 0;
  for (std::int64_t layer = 0; layer < layers.depth; ++layer) bytes += kept_windows_bytes(layers.layer(layer));
  return bytes;
}

std::size_t place(std::int64_t layer) { return static_cast<std::size_t>(layer); }

}  // namespace

std::int64_t KeptRollouts::bytes_of(const Layers& layers) {
  std::int64_t bytes = 0;
  for (const auto& layer : layers) {
    for (const Kept& kept : layer) {
      if (kept) bytes += kept->bytes();
    }
  }
  return bytes;
}

Kept KeptRollouts::find(const AttentionLayer& own, std::int64_t layer, const HeadChoice& heads) const {
  if (auto kept = stored(layer, heads)) return kept;
  return has_every_head() ? fuse_when_read(own, every_head_[place(layer)], heads) : nullptr;
}

Kept KeptRollouts::stored(std::int64_t layer, const HeadChoice& heads) const {
  for (const Layers* layers : {&every_head_, &mean_, &other_}) {
    if (layers->empty()) continue;
    for (const Kept& kept : (*layers)[place(layer)]) {
      if (kept && kept->heads == heads) return kept;
    }
  }
  return nullptr;
}

void KeptRollouts::keep_first(const Request& request) {
  const auto heads = request.layers.depth > 0 ? request.layers.layer(0).heads() : 0;
  if (bytes_of_one(request.layers) * (heads + kBesideHeads) <= request.budget_bytes) keep_every_head(request);
  else keep_one(mean_, {}, request);
}

void KeptRollouts::keep_every_head(const Request& request) {
  const auto depth = request.layers.depth;
  Layers heads(place(depth)), mean(place(depth));
  for (std::int64_t layer = 0; layer < depth; ++layer) {
    throw_if_stopped(request.stop);
    request.progress.report("rollouts", layer, depth);
    const auto own = request.layers.layer(layer);
    heads[place(layer)] = analysis::keep_every_head(own, request.stop);
    mean[place(layer)] = {keep_fused(own, heads[place(layer)], {}, request.stop)};
  }
  request.progress.report("rollouts", depth, depth);
  every_head_ = std::move(heads), mean_ = std::move(mean);
}

void KeptRollouts::keep(const HeadChoice& heads, const Request& request) {
  if (heads == HeadChoice{}) return keep_one(mean_, heads, request);
  if (has_every_head() && heads.fusion == HeadFusion::kOne) return;
  for (auto& layer : other_) {
    if (!layer.empty() && !(layer.front()->heads == heads)) layer.clear();
  }
  keep_one(other_, heads, request);
}

// From the last layer on, where rollouts begin.
void KeptRollouts::keep_one(Layers& layers, const HeadChoice& heads, const Request& request) {
  const auto depth = request.layers.depth;
  layers.resize(place(depth));
  for (std::int64_t layer = depth - 1; layer >= 0; --layer) {
    throw_if_stopped(request.stop);
    request.progress.report("rollouts", depth - 1 - layer, depth);
    auto& kept = layers[place(layer)];
    if (!kept.empty()) continue;
    const auto own = request.layers.layer(layer);
    if (bytes() + kept_windows_bytes(own) > request.budget_bytes) return;
    auto fresh = has_every_head() ? keep_fused(own, every_head_[place(layer)], heads, request.stop)
                                  : keep_windows(own, heads, request.stop);
    if (fresh) kept = {std::move(fresh)};
  }
  request.progress.report("rollouts", depth, depth);
}

}  // namespace fovea::analysis
