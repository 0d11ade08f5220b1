#include "core/image/probability_writer.h"

#include "core/image/tiled_tiff.h"

namespace fovea {
namespace {

class TiffProbabilityWriter final : public ProbabilityWriter {
 public:
  explicit TiffProbabilityWriter(const ProbabilityWriterOptions& options)
      : tiff_({.path = options.path,
               .width = options.width,
               .height = options.height,
               .bands = static_cast<int>(options.class_names.size()),
               .georeference = options.georeference,
               .class_names = options.class_names,
               .overviews = OverviewKind::kAverage}) {}
  void append(const ImageU8& rows) override { tiff_.append(rows); }
  void finish() override { tiff_.finish(); }

 private:
  TiledTiff tiff_;
};

}  // namespace

std::unique_ptr<ProbabilityWriter> create_probability_writer(const ProbabilityWriterOptions& options) {
  require(!options.class_names.empty(), "probabilities belong to at least one class");
  return std::make_unique<TiffProbabilityWriter>(options);
}

}  // namespace fovea
