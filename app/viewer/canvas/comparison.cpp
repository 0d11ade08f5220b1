#include "app/viewer/canvas/comparison.h"

#include <vector>

namespace fovea {
namespace {

std::vector<const Layer*> overlays(const LayerList& layers) {
  std::vector<const Layer*> found;
  for (std::size_t i = layers.size(); i-- > 0;) {
    if (layers.at(i).kind() != LayerKind::kImage && layers.at(i).style.visible) found.push_back(&layers.at(i));
  }
  return found;
}

// What an overlay is compared with: another of its kind, as a kept map is of the next one, else the topmost other.
const Layer* counterpart(const std::vector<const Layer*>& tops, const Layer* layer) {
  const Layer* found = nullptr;
  for (const Layer* other : tops) {
    if (!layer || other == layer) continue;
    if (other->kind() == layer->kind()) return other;
    if (!found) found = other;
  }
  return found;
}

}  // namespace

Span Comparison::span(const LayerList& layers, std::size_t index, int view) const {
  const Layer& layer = layers.at(index);
  constexpr Span kNowhere{0, 0};
  if (!layer.style.visible) return kNowhere;
  if (layer.kind() != LayerKind::kImage && peeking) return kNowhere;
  if (arrangement == Arrangement::kQuad && layer.kind() != LayerKind::kImage) {
    if (view == 0) return kNowhere;
    const auto tops = overlays(layers);
    const auto own = static_cast<std::size_t>(view - 1);
    if (own > tops.size() || (own < tops.size() && tops[own] != &layer)) return kNowhere;
  }
  if (curtain.on && arrangement == Arrangement::kSingle) {
    if (layer.id == curtain.left) return {0, curtain.place};
    if (layer.id == curtain.right) return {curtain.place, 1};
  }
  return {};
}

std::string Comparison::caption(const LayerList& layers, int view) const {
  if (arrangement == Arrangement::kSingle) return {};
  if (view == 0) return "Image";
  const auto tops = overlays(layers);
  const auto own = static_cast<std::size_t>(view - 1);
  return own < tops.size() ? tops[own]->name : own == tops.size() ? "All layers" : "K keeps a map as a layer: it is shown here then";
}

void Comparison::start_curtain(const LayerList& layers) {
  curtain.on = true;
  if (!layers.find(curtain.left)) curtain.left.clear();
  if (!layers.find(curtain.right)) curtain.right.clear();
  if (!curtain.left.empty() || !curtain.right.empty()) return;
  const Layer* right = layers.selected();
  const auto tops = overlays(layers);
  if (!right || right->kind() == LayerKind::kImage) right = tops.empty() ? nullptr : tops.front();
  if (right) curtain.right = right->id;
  else if (!layers.empty()) curtain.right = layers.at(0).id;
  if (const Layer* left = counterpart(tops, right)) curtain.left = left->id;
}

}  // namespace fovea
