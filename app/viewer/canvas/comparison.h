// Ways to compare layers: hold ` to hide the overlays, a curtain between two layers, four synchronised views.
#pragma once

#include <string>

#include "app/viewer/layers/layer_list.h"

namespace fovea {

enum class Arrangement { kSingle, kQuad };

struct Curtain {
  bool on = false;
  float place = 0.5f;                    // share of the canvas's width
  std::string left, right;               // ids of layers that are shown on one side only; empty: none
};

// Where a layer is drawn in a view: a share of the width; nothing where from >= to.
struct Span {
  float from = 0, to = 1;
  bool empty() const { return from >= to; }
};

struct Comparison {
  Arrangement arrangement = Arrangement::kSingle;
  Curtain curtain;
  bool peeking = false;

  int views() const { return arrangement == Arrangement::kQuad ? 4 : 1; }
  // Four views: the first shows the image alone, the others one overlay each, the topmost first; a view without overlay shows all of them.
  Span span(const LayerList& layers, std::size_t layer, int view) const;
  // What the view shows, for its caption; "" for a single view.
  std::string caption(const LayerList& layers, int view) const;
  // Chooses sides where none are chosen: the selected layer, or the topmost overlay, on the right; on the left another overlay, if there
  // is one, rather of the same kind.
  void start_curtain(const LayerList& layers);
};

}  // namespace fovea
