// The files that one segmented image becomes.
#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "core/image/writers.h"
#include "core/segment/segment.h"

namespace fovea {

enum class OutputKind {
  kMask,       // kMaskPng up to 2^28 pixels, kMaskTiff above
  kMaskPng,    // NAME_mask.png
  kMaskTiff,   // NAME_mask.tif, tiled BigTIFF
  kMaskCog,    // NAME_mask.tif, cloud-optimised GeoTIFF
  kPolygons,   // NAME.geojson
  kCoco,       // NAME_coco.json
  kOverlay,    // NAME_overlay.jpg, shrunk where JPEG cannot hold the image
};

// One kind of file, fed by rows. Destroyed before finish(), it leaves nothing behind.
class OutputWriter : public LabelSink {
 public:
  virtual void finish() = 0;
};

// All files of one image: each row goes to each writer, finish() makes one file after the other appear.
class ImageOutputs final : public LabelSink {
 public:
  struct Subject {
    std::filesystem::path image;     // its file
    std::filesystem::path stem;
  };
  // subject.stem: where the files go, without suffix; its folder is created. source (which must outlive the object) gives the overlay its pixels.
  // Errors: Error{kEnvironment}.
  ImageOutputs(const Subject& subject, std::span<const OutputKind> kinds, ImageSource& source, const ModelConfig& config);

  void append(const ImageU8& classes) override;
  void finish();
  const std::vector<std::filesystem::path>& files() const noexcept { return files_; }

 private:
  std::vector<std::filesystem::path> files_;
  std::vector<std::unique_ptr<OutputWriter>> writers_;
};

// The image under its class colours as a JPEG. Where classes has the ignore index the image shows through.
std::unique_ptr<OutputWriter> create_overlay_output(const std::filesystem::path& path, ImageSource& source, const ModelConfig& config);

std::vector<Colour> palette_of(const ModelConfig& config);

}  // namespace fovea
