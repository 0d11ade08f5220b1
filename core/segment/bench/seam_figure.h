// Whether labels depend on how an image was divided.
#pragma once

#include <cstdint>
#include <vector>

#include "core/segment/bench/segment_bench.h"
#include "core/segment/segment.h"

namespace fovea {

// Keeps the labels of an image that is small enough for that.
class LabelMap final : public LabelSink {
 public:
  void append(LabelRows rows) override;
  void clear() { labels_.clear(); }
  const std::vector<std::uint8_t>& labels() const noexcept { return labels_; }   // row-major

 private:
  std::vector<std::uint8_t> labels_;
};

double share_of_equal_labels(const LabelMap& a, const LabelMap& b);

// The middles of the overlaps between tiles along one axis.
std::vector<std::int64_t> tile_borders(const SegmentOptions& options, std::int64_t patch, std::int64_t length);

// a, b: labels of one image of this size after two divisions. Near: within kNearPixels of a tile border of either of both.
constexpr std::int64_t kNearPixels = 32;
SeamFigure seam_figure(const LabelMap& a, const LabelMap& b, const SegmentBenchOptions::Size& size,
                       const std::vector<std::vector<std::int64_t>>& column_borders, const std::vector<std::vector<std::int64_t>>& row_borders);

}  // namespace fovea
