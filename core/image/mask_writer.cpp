// Class maps as palette PNG and as tiled BigTIFF.
#include <algorithm>
#include <string>

#include "core/base/files.h"
#include "core/image/png_codec.h"
#include "core/image/tiled_tiff.h"
#include "core/image/writers.h"

namespace fovea {
namespace {

// Every index that may occur has a colour; the one for "no data" may lie far behind the classes.
std::vector<Colour> padded_palette(const MaskWriterOptions& options) {
  std::vector<Colour> palette = options.palette;
  palette.resize(std::max(palette.size(), static_cast<std::size_t>(options.nodata + 1)));
  return palette;
}

void check_rows(const MaskWriterOptions& options, const ImageU8& rows) {
  require(rows.width() == options.width && rows.channels() == 1, "rows do not fit the mask");
  if (rows.empty()) return;
  bool beyond = false;   // without a branch, so that the compiler takes many pixels at a time
  for (const std::uint8_t index : rows.samples()) beyond |= (index >= options.palette.size()) & (index != options.nodata);
  require(!beyond, "a class index beyond the palette");
}

class PngMaskWriter final : public MaskWriter {
 public:
  explicit PngMaskWriter(const MaskWriterOptions& options)
      : options_(options), file_(options.path), encoder_({.path = file_.path(), .target = options.path, .width = options.width,
                                                           .height = options.height, .channels = 1, .palette = padded_palette(options),
                                                           .transparent_index = options.nodata}) {}
  void append(const ImageU8& rows) override {
    check_rows(options_, rows);
    encoder_.append(rows);
  }
  void finish() override {
    encoder_.finish();
    file_.commit();
  }

 private:
  MaskWriterOptions options_;
  AtomicFile file_;       // before the encoder: its temporary is removed after the encoder has closed it
  PngEncoder encoder_;
};

class TiffMaskWriter final : public MaskWriter {
 public:
  explicit TiffMaskWriter(const MaskWriterOptions& options)
      : options_(options), tiff_({.path = options.path, .width = options.width, .height = options.height, .bands = 1,
                                  .georeference = options.georeference, .nodata = options.nodata, .palette = padded_palette(options),
                                  .class_names = options.class_names, .overviews = OverviewKind::kMajority,
                                  .layout = options.format == MaskFormat::kCog ? TiffLayout::kCloudOptimized : TiffLayout::kTiled}) {}
  void append(const ImageU8& rows) override {
    check_rows(options_, rows);
    tiff_.append(rows);
  }
  void finish() override { tiff_.finish(); }

 private:
  MaskWriterOptions options_;
  TiledTiff tiff_;
};

}  // namespace

std::unique_ptr<MaskWriter> create_mask_writer(const MaskWriterOptions& options) {
  require(options.width > 0 && options.height > 0, "a mask has at least one pixel");
  require(!options.palette.empty() && options.palette.size() <= 256, "a mask has 1 to 256 classes");
  require(options.nodata >= -1 && options.nodata <= 255, "nodata is a class index or -1");
  if (options.format == MaskFormat::kPng) return std::make_unique<PngMaskWriter>(options);
  return std::make_unique<TiffMaskWriter>(options);
}

}  // namespace fovea
