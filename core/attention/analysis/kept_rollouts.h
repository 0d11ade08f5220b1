// What is kept of all layers of an encoded image so that rollouts are quick: every head and their mean where memory allows, else the mean
// alone; and the latest other choice of heads, their maximum, say.
#pragma once

#include <vector>

#include "core/attention/analysis/kept_windows.h"
#include "core/base/progress.h"

namespace fovea::analysis {

class KeptRollouts {
 public:
  struct Request {
    LayerStack layers;
    std::int64_t budget_bytes = 0;   // of all that is kept, from before and from now on
    Progress& progress;              // "rollouts", in layers
    const std::stop_token& stop;     // Error{kCancelled}: the layers that were done stay
  };
  // What nobody has asked for yet: every head and the mean, if that and room for another choice fit into the budget; else the mean alone.
  void keep_first(const Request& request);
  // These heads, in place of the other choice from before. From queries and keys, unless every head is kept.
  void keep(const HeadChoice& heads, const Request& request);

  bool has_every_head() const { return !every_head_.empty(); }
  std::int64_t bytes() const { return bytes_of(every_head_) + bytes_of(mean_) + bytes_of(other_); }
  // Also what is made of kept heads when it is read. nullptr where there is nothing.
  Kept find(const AttentionLayer& own, std::int64_t layer, const HeadChoice& heads) const;
  bool holds(std::int64_t layer, const HeadChoice& heads) const { return stored(layer, heads) != nullptr; }

 private:
  using Layers = std::vector<std::vector<Kept>>;   // by layer: heads or, of those made one, one; empty: nothing
  static std::int64_t bytes_of(const Layers& layers);
  Kept stored(std::int64_t layer, const HeadChoice& heads) const;
  void keep_every_head(const Request& request);
  void keep_one(Layers& layers, const HeadChoice& heads, const Request& request);

  Layers every_head_, mean_, other_;
};

}  // namespace fovea::analysis
