// Overlays of images of any size, in memory of one row of the JPEG.
#include <algorithm>

#include "core/base/files.h"
#include "core/base/integers.h"
#include "core/image/jpeg_codec.h"
#include "core/image/writers.h"

namespace fovea {
namespace {

class JpegOverlayWriter final : public OverlayWriter {
 public:
  explicit JpegOverlayWriter(const OverlayWriterOptions& options)
      : options_(options), factor_(divide_up(std::max(options.width, options.height), JpegEncoder::kMaxSide)), file_(options.path),
        encoder_({.path = file_.path(), .target = options.path, .width = divide_up(options.width, factor_),
                  .height = divide_up(options.height, factor_), .quality = options.quality}),
        sums_(static_cast<std::size_t>(factor_ > 1 ? divide_up(options.width, factor_) * 3 : 0)) {}

  int shrink_factor() const override { return static_cast<int>(factor_); }

  void append(const ImageU8& rows) override {
    require(rows.width() == options_.width && rows.channels() == 3, "rows do not fit the overlay");
    require(rows_seen_ + rows.height() <= options_.height, "more rows than the overlay has");
    rows_seen_ += rows.height();
    if (factor_ == 1) return encoder_.append(rows);
    for (std::int64_t y = 0; y < rows.height(); ++y) add_row(rows.row(y));
    if (rows_seen_ == options_.height && rows_in_sums_ > 0) write_sums();
  }

  void finish() override {
    encoder_.finish();
    file_.commit();
  }

 private:
  void add_row(const std::uint8_t* row) {
    for (std::int64_t x = 0; x < options_.width; ++x) {
      for (std::int64_t c = 0; c < 3; ++c) sums_[static_cast<std::size_t>(x / factor_ * 3 + c)] += row[x * 3 + c];
    }
    if (++rows_in_sums_ == factor_) write_sums();
  }

  void write_sums() {
    const std::int64_t width = divide_up(options_.width, factor_);
    ImageU8 row(width, 1, 3);
    for (std::int64_t x = 0; x < width; ++x) {
      const std::int64_t count = std::min(factor_, options_.width - x * factor_) * rows_in_sums_;
      for (std::int64_t c = 0; c < 3; ++c)
        row.row(0)[x * 3 + c] = static_cast<std::uint8_t>((sums_[static_cast<std::size_t>(x * 3 + c)] + count / 2) / count);
    }
    encoder_.append(row);
    std::ranges::fill(sums_, 0);
    rows_in_sums_ = 0;
  }

  OverlayWriterOptions options_;
  std::int64_t factor_;
  AtomicFile file_;
  JpegEncoder encoder_;
  std::vector<std::int64_t> sums_;   // of the pixels of one output row, three channels
  std::int64_t rows_in_sums_ = 0, rows_seen_ = 0;
};

}  // namespace

std::unique_ptr<OverlayWriter> create_overlay_writer(const OverlayWriterOptions& options) {
  require(options.width > 0 && options.height > 0, "an overlay has at least one pixel");
  return std::make_unique<JpegOverlayWriter>(options);
}

}  // namespace fovea
