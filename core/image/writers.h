// Writing results. Every writer produces its file whole or not at all (core/base/files.h).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/image/image.h"
#include "core/image/image_source.h"

namespace fovea {

struct Colour {
  std::uint8_t red = 0, green = 0, blue = 0;
  bool operator==(const Colour&) const = default;
};

// 8-bit palette PNG; tiled, compressed BigTIFF with colour table, overviews and georeference; the same laid out for range requests (COG).
enum class MaskFormat { kPng, kTiff, kCog };

// A class map written by bands of rows from top to bottom; finish() makes it appear. Destroyed before, it leaves nothing behind.
class MaskWriter {
 public:
  virtual ~MaskWriter() = default;
  // rows: [any height, image width, 1], class indices; the next rows of the image. Errors: Error{kEnvironment}.
  virtual void append(const ImageU8& rows) = 0;
  virtual void finish() = 0;
};

struct MaskWriterOptions {
  std::filesystem::path path;
  MaskFormat format = MaskFormat::kPng;
  std::int64_t width = 0, height = 0;
  std::vector<Colour> palette = {};             // one entry a class; indices beyond it are not written by the caller
  std::vector<std::string> class_names = {};    // stored in the TIFF as metadata items CLASS_0, CLASS_1, ...
  GeoReference georeference = {};               // used by kTiff and kCog
  int nodata = -1;                         // class index that means "no data", -1 for none
};
std::unique_ptr<MaskWriter> create_mask_writer(const MaskWriterOptions& options);

// A whole small mask [height, width, 1] of class indices, for masks that people drew: 8-bit grey or palette, the indices as stored.
ImageU8 read_index_mask(const std::filesystem::path& path, const ImageLimits& limits = {});

// The image with the class colours laid over it (opacity 0..1); where the mask is ignore_index the image shows through. [H, W, 3].
ImageU8 blend_overlay(const ImageU8& rgb, const ImageU8& mask, const std::vector<Colour>& palette, float opacity, int ignore_index);

// An overlay written by bands of rows from top to bottom, as a JPEG. JPEG ends at 65,500 pixels a side; larger images are shrunk by area,
// by the smallest whole factor that fits.
class OverlayWriter {
 public:
  virtual ~OverlayWriter() = default;
  virtual int shrink_factor() const = 0;           // 1: pixel for pixel
  virtual void append(const ImageU8& rgb) = 0;     // [any height, image width, 3]. Errors: Error{kEnvironment}
  virtual void finish() = 0;
};

struct OverlayWriterOptions {
  std::filesystem::path path;
  std::int64_t width = 0, height = 0;   // of the image
  int quality = 90;
};
std::unique_ptr<OverlayWriter> create_overlay_writer(const OverlayWriterOptions& options);

// A colour image written by bands of rows from top to bottom.
class RgbWriter {
 public:
  virtual ~RgbWriter() = default;
  virtual void append(const ImageU8& rgb) = 0;     // [any height, image width, 3]. Errors: Error{kEnvironment}
  virtual void finish() = 0;
};

struct RgbTiffWriterOptions {
  std::filesystem::path path;
  std::int64_t width = 0, height = 0;
  GeoReference georeference = {};
  bool overviews = true;
};
// Tiled, compressed BigTIFF of any size.
std::unique_ptr<RgbWriter> create_rgb_tiff_writer(const RgbTiffWriterOptions& options);
std::unique_ptr<RgbWriter> create_rgb_png_writer(const std::filesystem::path& path, std::int64_t width, std::int64_t height);

void write_jpeg(const std::filesystem::path& path, const ImageU8& rgb, int quality = 90);
void write_png(const std::filesystem::path& path, const ImageU8& image);    // 1, 3 or 4 channels

// Resamples by area when shrinking, bilinearly when growing.
ImageU8 resize(const ImageU8& image, std::int64_t width, std::int64_t height);
ImageU16 resize(const ImageU16& image, std::int64_t width, std::int64_t height);

}  // namespace fovea
