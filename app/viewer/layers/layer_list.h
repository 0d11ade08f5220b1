// The layers of the open image, bottom first.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "app/viewer/layers/layer.h"

namespace fovea {

class LayerList {
 public:
  // On top of the others; a layer of the same id is replaced in its place and hands its style on. Returns the layer.
  template <class L>
  L& add(std::unique_ptr<L> layer) {
    L& added = *layer;
    insert(std::move(layer));
    return added;
  }
  // nullptr: none of this id.
  Layer* find(std::string_view id) const;
  void remove(std::string_view id);
  void clear();
  // Moves the layer at `from` so that it is at `to` afterwards.
  void move(std::size_t from, std::size_t to);

  std::size_t size() const { return layers_.size(); }
  bool empty() const { return layers_.empty(); }
  Layer& at(std::size_t index) const { return *layers_.at(index); }
  std::span<const std::unique_ptr<Layer>> all() const { return layers_; }
  // The layer that the panels edit; nullptr: none.
  Layer* selected() const { return find(selected_); }
  void select(std::string_view id) { selected_ = id; }
  // Told of every layer that is added, not of one that takes another's place.
  std::function<void(Layer&)> on_added;

 private:
  void insert(std::unique_ptr<Layer> layer);
  std::vector<std::unique_ptr<Layer>> layers_;
  std::string selected_;
};

}  // namespace fovea
