#include <algorithm>
#include <cstring>

#include "core/segment/outputs.h"

namespace fovea {
namespace {

constexpr std::int64_t kRowsAtOnce = 256;   // read and coloured at a time
constexpr float kOpacity = 0.45f;

class OverlayOutput final : public OutputWriter {
 public:
  OverlayOutput(const std::filesystem::path& path, ImageSource& source, const ModelConfig& config)
      : writer_(create_overlay_writer({.path = path, .width = source.info().width, .height = source.info().height})),
        source_(source), palette_(palette_of(config)), ignore_index_(static_cast<int>(config.ignore_index)) {}

  void append(const LabelRows& rows) override {
    const ImageU8& classes = rows.classes;
    for (std::int64_t y = 0; y < classes.height(); y += kRowsAtOnce) {
      ImageU8 part(classes.width(), std::min(kRowsAtOnce, classes.height() - y), 1);
      std::memcpy(part.samples().data(), classes.row(y), part.samples().size());
      const ImageU8 rgb = source_.read_rgb({0, rows_done_ + y, part.width(), part.height()});
      writer_->append(blend_overlay(rgb, part, palette_, kOpacity, ignore_index_));
    }
    rows_done_ += classes.height();
  }

  void finish() override { writer_->finish(); }

 private:
  std::unique_ptr<OverlayWriter> writer_;
  ImageSource& source_;
  std::vector<Colour> palette_;
  int ignore_index_;
  std::int64_t rows_done_ = 0;
};

}  // namespace

std::unique_ptr<OutputWriter> create_overlay_output(const std::filesystem::path& path, ImageSource& source, const ModelConfig& config) {
  return std::make_unique<OverlayOutput>(path, source, config);
}

}  // namespace fovea
