#include "core/segment/outputs.h"

#include <system_error>

#include "core/image/coco.h"
#include "core/image/polygons.h"
#include "core/image/probability_writer.h"
#include "core/segment/label_output.h"

namespace fovea {
namespace {

constexpr std::int64_t kLargestPngMask = std::int64_t{1} << 28;   // pixels: few programs open larger PNGs

// Masks, polygons and annotations: all take class indices.
class MaskOutput final : public OutputWriter {
 public:
  explicit MaskOutput(std::unique_ptr<MaskWriter> writer) : writer_(std::move(writer)) {}
  void append(const LabelRows& rows) override { writer_->append(rows.classes); }
  void finish() override { writer_->finish(); }

 private:
  std::unique_ptr<MaskWriter> writer_;
};

class ProbabilityOutput final : public OutputWriter {
 public:
  explicit ProbabilityOutput(std::unique_ptr<ProbabilityWriter> writer) : writer_(std::move(writer)) {}
  void append(const LabelRows& rows) override {
    require(!rows.probabilities.empty(), "probabilities were not asked of the model");
    writer_->append(rows.probabilities);
  }
  void finish() override { writer_->finish(); }

 private:
  std::unique_ptr<ProbabilityWriter> writer_;
};

// What all writers of class indices are told.
struct Labels {
  const ImageInfo& info;
  const ModelConfig& config;
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const ClassInfo& entry : config.classes) names.push_back(entry.name);
    return names;
  }
  int nodata() const { return may_lack_data(info) ? static_cast<int>(config.ignore_index) : -1; }
};

std::unique_ptr<MaskWriter> mask_writer(const std::filesystem::path& path, MaskFormat format, const Labels& labels) {
  return create_mask_writer({.path = path, .format = format, .width = labels.info.width, .height = labels.info.height,
                             .palette = palette_of(labels.config), .class_names = labels.names(),
                             .georeference = labels.info.georeference, .nodata = labels.nodata()});
}

std::unique_ptr<MaskWriter> polygon_writer(const std::filesystem::path& path, const OutputChoice& choice, const Labels& labels) {
  return create_polygon_writer({.path = path, .width = labels.info.width, .height = labels.info.height,
                                .palette = palette_of(labels.config), .class_names = labels.names(),
                                .georeference = labels.info.georeference, .coordinates = choice.polygon_coordinates,
                                .simplify_pixels = choice.polygon_tolerance_pixels, .ignore_index = labels.nodata()});
}

std::unique_ptr<MaskWriter> coco_writer(const std::filesystem::path& path, const std::filesystem::path& image, const Labels& labels) {
  return create_coco_writer({.path = path, .image_file_name = image.filename().string(), .width = labels.info.width,
                             .height = labels.info.height, .class_names = labels.names(), .ignore_index = labels.nodata()});
}

std::unique_ptr<OutputWriter> probability_output(const std::filesystem::path& path, const Labels& labels) {
  return std::make_unique<ProbabilityOutput>(create_probability_writer({.path = path,
                                                                        .width = labels.info.width,
                                                                        .height = labels.info.height,
                                                                        .class_names = labels.names(),
                                                                        .georeference = labels.info.georeference}));
}

const char* suffix_of(OutputKind kind) {
  switch (kind) {
    case OutputKind::kMask:
    case OutputKind::kMaskPng: return "_mask.png";
    case OutputKind::kMaskTiff:
    case OutputKind::kMaskCog: return "_mask.tif";
    case OutputKind::kPolygons: return ".geojson";
    case OutputKind::kCoco: return "_coco.json";
    case OutputKind::kProbabilities: return "_probs.tif";
    case OutputKind::kOverlay: break;
  }
  return "_overlay.jpg";
}

std::filesystem::path with_suffix(std::filesystem::path stem, const char* suffix) { return stem += suffix; }

}  // namespace

std::vector<std::filesystem::path> possible_outputs(const std::filesystem::path& stem) {
  std::vector<std::filesystem::path> files;
  for (const OutputKind kind : {OutputKind::kMaskPng, OutputKind::kMaskTiff, OutputKind::kPolygons, OutputKind::kCoco,
                                OutputKind::kProbabilities, OutputKind::kOverlay}) {
    files.push_back(with_suffix(stem, suffix_of(kind)));
  }
  return files;
}

std::vector<Colour> palette_of(const ModelConfig& config) {
  std::vector<Colour> palette;
  for (const ClassInfo& entry : config.classes) palette.push_back({entry.colour[0], entry.colour[1], entry.colour[2]});
  return palette;
}

ImageOutputs::ImageOutputs(const Subject& subject, const OutputChoice& choice, ImageSource& source, const ModelConfig& config) {
  const ImageInfo& info = source.info();
  const Labels labels{info, config};
  const std::filesystem::path folder = subject.stem.parent_path();
  std::error_code code;
  if (!folder.empty()) std::filesystem::create_directories(folder, code);
  if (code) throw Error(ErrorKind::kEnvironment, folder.string() + ": cannot create this folder: " + code.message());
  for (OutputKind kind : choice.kinds) {
    if (kind == OutputKind::kMask) kind = info.width * info.height <= kLargestPngMask ? OutputKind::kMaskPng : OutputKind::kMaskTiff;
    const auto& path = files_.emplace_back(with_suffix(subject.stem, suffix_of(kind)));
    const auto take = [&](std::unique_ptr<MaskWriter> writer) { writers_.push_back(std::make_unique<MaskOutput>(std::move(writer))); };
    switch (kind) {
      case OutputKind::kOverlay: writers_.push_back(create_overlay_output(path, source, config)); break;
      case OutputKind::kPolygons: take(polygon_writer(path, choice, labels)); break;
      case OutputKind::kCoco: take(coco_writer(path, subject.image, labels)); break;
      case OutputKind::kProbabilities: writers_.push_back(probability_output(path, labels)); break;
      case OutputKind::kMaskTiff: take(mask_writer(path, MaskFormat::kTiff, labels)); break;
      case OutputKind::kMaskCog: take(mask_writer(path, MaskFormat::kCog, labels)); break;
      case OutputKind::kMask:
      case OutputKind::kMaskPng: take(mask_writer(path, MaskFormat::kPng, labels)); break;
    }
  }
}

void ImageOutputs::append(LabelRows rows) {
  for (const auto& writer : writers_) writer->append(rows);
}

void ImageOutputs::finish() {
  for (const auto& writer : writers_) writer->finish();
}

}  // namespace fovea
