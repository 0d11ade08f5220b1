#include "core/segment/outputs.h"

#include <system_error>

namespace fovea {
namespace {

constexpr std::int64_t kLargestPngMask = std::int64_t{1} << 28;   // pixels: few programs open larger PNGs

class MaskOutput final : public OutputWriter {
 public:
  explicit MaskOutput(const MaskWriterOptions& options) : writer_(create_mask_writer(options)) {}
  void append(const ImageU8& classes) override { writer_->append(classes); }
  void finish() override { writer_->finish(); }

 private:
  std::unique_ptr<MaskWriter> writer_;
};

MaskWriterOptions mask_options(const std::filesystem::path& path, MaskFormat format, const ImageInfo& info, const ModelConfig& config) {
  MaskWriterOptions options;
  options.path = path;
  options.format = format;
  options.width = info.width;
  options.height = info.height;
  options.palette = palette_of(config);
  for (const ClassInfo& entry : config.classes) options.class_names.push_back(entry.name);
  options.georeference = info.georeference;
  if (may_lack_data(info)) options.nodata = static_cast<int>(config.ignore_index);
  return options;
}

std::filesystem::path with_suffix(std::filesystem::path stem, const char* suffix) { return stem += suffix; }

}  // namespace

std::vector<Colour> palette_of(const ModelConfig& config) {
  std::vector<Colour> palette;
  for (const ClassInfo& entry : config.classes) palette.push_back({entry.colour[0], entry.colour[1], entry.colour[2]});
  return palette;
}

ImageOutputs::ImageOutputs(const std::filesystem::path& stem, std::span<const OutputKind> kinds, ImageSource& source,
                           const ModelConfig& config) {
  const ImageInfo& info = source.info();
  std::error_code code;
  if (stem.has_parent_path()) std::filesystem::create_directories(stem.parent_path(), code);
  if (code) throw Error(ErrorKind::kEnvironment, stem.parent_path().string() + ": cannot create this folder: " + code.message());
  for (OutputKind kind : kinds) {
    if (kind == OutputKind::kMask) kind = info.width * info.height <= kLargestPngMask ? OutputKind::kMaskPng : OutputKind::kMaskTiff;
    if (kind == OutputKind::kOverlay) {
      files_.push_back(with_suffix(stem, "_overlay.jpg"));
      writers_.push_back(create_overlay_writer(files_.back(), source, config));
    } else {
      const MaskFormat format = kind == OutputKind::kMaskPng ? MaskFormat::kPng : MaskFormat::kTiff;
      files_.push_back(with_suffix(stem, format == MaskFormat::kPng ? "_mask.png" : "_mask.tif"));
      writers_.push_back(std::make_unique<MaskOutput>(mask_options(files_.back(), format, info, config)));
    }
  }
}

void ImageOutputs::append(const ImageU8& classes) {
  for (const auto& writer : writers_) writer->append(classes);
}

void ImageOutputs::finish() {
  for (const auto& writer : writers_) writer->finish();
}

}  // namespace fovea
