#include "app/viewer/layers/layer_list.h"

#include <algorithm>

#include "core/base/error.h"

namespace fovea {

void LayerList::insert(std::unique_ptr<Layer> layer) {
  require(!layer->id.empty(), "a layer needs an id before it is added");
  const auto same = std::ranges::find(layers_, layer->id, [](const auto& l) -> const std::string& { return l->id; });
  if (same == layers_.end()) {
    if (selected_.empty() || !selected()) selected_ = layer->id;
    layers_.push_back(std::move(layer));
    if (on_added) on_added(*layers_.back());
    return;
  }
  layer->style = (*same)->style;
  *same = std::move(layer);
}

Layer* LayerList::find(std::string_view id) const {
  const auto found = std::ranges::find(layers_, id, [](const auto& layer) -> std::string_view { return layer->id; });
  return found == layers_.end() ? nullptr : found->get();
}

void LayerList::remove(std::string_view id) {
  std::erase_if(layers_, [&](const auto& layer) { return layer->id == id; });
}

void LayerList::clear() { layers_.clear(); }

void LayerList::move(std::size_t from, std::size_t to) {
  require(from < layers_.size() && to < layers_.size(), "LayerList::move: no such place");
  auto layer = std::move(layers_[from]);
  layers_.erase(layers_.begin() + static_cast<std::ptrdiff_t>(from));
  layers_.insert(layers_.begin() + static_cast<std::ptrdiff_t>(to), std::move(layer));
}

}  // namespace fovea
