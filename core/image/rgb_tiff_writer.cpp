#include "core/image/tiled_tiff.h"
#include "core/image/writers.h"

namespace fovea {
namespace {

class TiledRgbWriter final : public RgbWriter {
 public:
  explicit TiledRgbWriter(const RgbTiffWriterOptions& options)
      : tiff_({.path = options.path,
               .width = options.width,
               .height = options.height,
               .bands = 3,
               .georeference = options.georeference,
               .overviews = options.overviews ? OverviewKind::kAverage : OverviewKind::kNone}) {}

  void append(const ImageU8& rgb) override { tiff_.append(rgb); }
  void finish() override { tiff_.finish(); }

 private:
  TiledTiff tiff_;
};

}  // namespace

std::unique_ptr<RgbWriter> create_rgb_tiff_writer(const RgbTiffWriterOptions& options) {
  return std::make_unique<TiledRgbWriter>(options);
}

}  // namespace fovea
