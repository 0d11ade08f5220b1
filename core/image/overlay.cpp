// Pictures for people: the classes over the image, and whole small images.
#include <algorithm>
#include <array>
#include <cmath>
#include <opencv2/imgproc.hpp>

#include "core/base/files.h"
#include "core/image/file_header.h"
#include "core/image/jpeg_codec.h"
#include "core/image/oriented_source.h"
#include "core/image/png_codec.h"
#include "core/image/raster_source.h"
#include "core/image/writers.h"

namespace fovea {

ImageU8 read_index_mask(const std::filesystem::path& path, const ImageLimits& limits) {
  const FileHeader header = read_file_header(path);
  RasterSource source(path, header, limits);
  ImageU8 stored = source.read_indices();
  const auto orientation = Orientation::from_exif(header.orientation);
  return orientation.is_identity() ? std::move(stored) : orientation.apply(stored);
}

ImageU8 blend_overlay(const ImageU8& rgb, const ImageU8& mask, const std::vector<Colour>& palette, float opacity, int ignore_index) {
  require(rgb.width() == mask.width() && rgb.height() == mask.height(), "image and mask differ in size");
  require(rgb.channels() == 3 && mask.channels() == 1, "an overlay needs an RGB image and a mask");
  require(opacity >= 0 && opacity <= 1, "opacity lies between 0 and 1");
  const auto weight = static_cast<std::uint32_t>(std::lround(opacity * 256));
  // Classes without a colour are left out, like ignore_index: a table of 256 entries answers both without a branch a pixel.
  std::array<std::uint32_t, 256> weight_of{};
  std::array<std::array<std::uint32_t, 3>, 256> colour_of{};
  for (std::size_t i = 0; i < std::min<std::size_t>(256, palette.size()); ++i) {
    if (static_cast<int>(i) == ignore_index) continue;
    weight_of[i] = weight;
    colour_of[i] = {palette[i].red * weight + 128, palette[i].green * weight + 128, palette[i].blue * weight + 128};
  }
  ImageU8 blended(rgb.width(), rgb.height(), 3);
  const std::uint8_t* in = rgb.samples().data();
  std::uint8_t* out = blended.samples().data();
  for (const std::uint8_t index : mask.samples()) {
    const auto& colour = colour_of[index];
    const std::uint32_t rest = 256 - weight_of[index];
    for (std::size_t c = 0; c < 3; ++c) *out++ = static_cast<std::uint8_t>((*in++ * rest + colour[c]) >> 8);
  }
  return blended;
}

void write_jpeg(const std::filesystem::path& path, const ImageU8& rgb, int quality) {
  AtomicFile file(path);
  {
    JpegEncoder encoder({.path = file.path(),
                         .target = path,
                         .width = rgb.width(),
                         .height = rgb.height(),
                         .channels = rgb.channels(),
                         .quality = quality});
    encoder.append(rgb);
    encoder.finish();
  }
  file.commit();
}

void write_png(const std::filesystem::path& path, const ImageU8& image) {
  AtomicFile file(path);
  {
    PngEncoder encoder({.path = file.path(), .target = path, .width = image.width(), .height = image.height(), .channels = image.channels(),
                        .palette = {}});
    encoder.append(image);
    encoder.finish();
  }
  file.commit();
}

namespace {

class PngRgbWriter final : public RgbWriter {
 public:
  PngRgbWriter(const std::filesystem::path& path, std::int64_t width, std::int64_t height)
      : file_(path), encoder_({.path = file_.path(), .target = path, .width = width, .height = height, .channels = 3, .palette = {}}) {}
  void append(const ImageU8& rgb) override { encoder_.append(rgb); }
  void finish() override {
    encoder_.finish();
    file_.commit();
  }

 private:
  AtomicFile file_;       // before the encoder: its temporary is removed after the encoder has closed it
  PngEncoder encoder_;
};

}  // namespace

std::unique_ptr<RgbWriter> create_rgb_png_writer(const std::filesystem::path& path, std::int64_t width, std::int64_t height) {
  require(width > 0 && height > 0, "a picture has at least one pixel");
  return std::make_unique<PngRgbWriter>(path, width, height);
}

namespace {

template <class Sample>
BasicImage<Sample> resize_samples(const BasicImage<Sample>& image, std::int64_t width, std::int64_t height) {
  require(!image.empty() && width > 0 && height > 0, "nothing to resize");
  const auto view = [](const BasicImage<Sample>& source) {  // OpenCV only reads it
    return cv::Mat(static_cast<int>(source.height()), static_cast<int>(source.width()),
                   CV_MAKETYPE(cv::DataType<Sample>::depth, source.channels()), const_cast<Sample*>(source.samples().data()));
  };
  const auto step = [&](const BasicImage<Sample>& source, std::int64_t to_width, std::int64_t to_height, int method) {
    BasicImage<Sample> target(to_width, to_height, source.channels());
    cv::Mat pixels = view(target);
    cv::resize(view(source), pixels, pixels.size(), 0, 0, method);
    return target;
  };
  // Axis by axis where one shrinks and the other grows.
  const std::int64_t least_width = std::min(width, image.width()), least_height = std::min(height, image.height());
  BasicImage<Sample> shrunk = step(image, least_width, least_height, cv::INTER_AREA);
  if (least_width == width && least_height == height) return shrunk;
  return step(shrunk, width, height, cv::INTER_LINEAR);
}

}  // namespace

ImageU8 resize(const ImageU8& image, std::int64_t width, std::int64_t height) { return resize_samples(image, width, height); }
ImageU16 resize(const ImageU16& image, std::int64_t width, std::int64_t height) { return resize_samples(image, width, height); }

}  // namespace fovea
