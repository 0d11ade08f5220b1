#include <algorithm>
#include <cstring>

#include "core/segment/outputs.h"

namespace fovea {
namespace {

constexpr std::int64_t kLargestOverlay = std::int64_t{1} << 26;   // pixels held in memory: 256 MB of colours and classes
constexpr std::int64_t kLongestJpegSide = 65500;                  // the format's own limit
constexpr std::int64_t kRowsAtOnce = 256;                         // source rows read for the overlay at a time
constexpr float kOpacity = 0.45f;

std::int64_t reduction_factor(std::int64_t width, std::int64_t height) {
  const auto reduced = [](std::int64_t side, std::int64_t factor) { return (side + factor - 1) / factor; };
  std::int64_t factor = 1;
  while (reduced(width, factor) * reduced(height, factor) > kLargestOverlay || reduced(std::max(width, height), factor) > kLongestJpegSide) ++factor;
  return factor;
}

// Keeps the image reduced by area and the classes reduced to those at the blocks' centres until the last row.
class OverlayWriter final : public OutputWriter {
 public:
  OverlayWriter(const std::filesystem::path& path, ImageSource& source, const ModelConfig& config)
      : path_(path), source_(source), palette_(palette_of(config)), ignore_index_(static_cast<int>(config.ignore_index)),
        factor_(reduction_factor(source.info().width, source.info().height)),
        rgb_((source.info().width + factor_ - 1) / factor_, (source.info().height + factor_ - 1) / factor_, 3),
        classes_(rgb_.width(), rgb_.height(), 1) {}

  void append(const ImageU8& classes) override {
    for (std::int64_t y = 0; y < classes.height(); ++y) take_classes(rows_done_ + y, classes.row(y));
    rows_done_ += classes.height();
    const std::int64_t block_rows = rows_done_ == source_.info().height ? rgb_.height() : rows_done_ / factor_;
    while (block_rows_read_ < block_rows) read_blocks(std::min(block_rows, block_rows_read_ + std::max<std::int64_t>(1, kRowsAtOnce / factor_)));
  }

  void finish() override { write_jpeg(path_, blend_overlay(rgb_, classes_, palette_, kOpacity, ignore_index_)); }

 private:
  void take_classes(std::int64_t y, const std::uint8_t* row) {
    const std::int64_t last = source_.info().width - 1, centre = std::min(y / factor_ * factor_ + factor_ / 2, source_.info().height - 1);
    if (y != centre) return;
    std::uint8_t* reduced = classes_.row(y / factor_);
    for (std::int64_t x = 0; x < classes_.width(); ++x) reduced[x] = row[std::min(x * factor_ + factor_ / 2, last)];
  }

  void read_blocks(std::int64_t end) {
    const std::int64_t y0 = block_rows_read_ * factor_, y1 = std::min(end * factor_, source_.info().height);
    ImageU8 rows = source_.read_rgb({0, y0, source_.info().width, y1 - y0});
    if (factor_ > 1) rows = resize(rows, rgb_.width(), end - block_rows_read_);
    std::memcpy(rgb_.row(block_rows_read_), rows.samples().data(), rows.samples().size());
    block_rows_read_ = end;
  }

  std::filesystem::path path_;
  ImageSource& source_;
  std::vector<Colour> palette_;
  int ignore_index_;
  std::int64_t factor_;               // source pixels a side of one overlay pixel
  ImageU8 rgb_, classes_;             // [height / factor, width / factor, 3 and 1], rounded up
  std::int64_t rows_done_ = 0;        // of the source
  std::int64_t block_rows_read_ = 0;  // of rgb_
};

}  // namespace

std::unique_ptr<OutputWriter> create_overlay_writer(const std::filesystem::path& path, ImageSource& source, const ModelConfig& config) {
  return std::make_unique<OverlayWriter>(path, source, config);
}

}  // namespace fovea
