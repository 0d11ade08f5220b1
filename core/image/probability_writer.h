// Class probabilities as a tiled, compressed BigTIFF of one 8-bit band a class.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/image/image_source.h"

namespace fovea {

struct ProbabilityWriterOptions {
  std::filesystem::path path;
  std::int64_t width = 0, height = 0;
  std::vector<std::string> class_names = {};   // one a class: descriptions of the bands
  GeoReference georeference = {};
};

// Written by bands of rows from top to bottom; finish() adds overviews and makes the file appear. Memory: 256 rows of every class.
class ProbabilityWriter {
 public:
  virtual ~ProbabilityWriter() = default;
  // rows: [any height, image width, classes], round(255 p); the next rows of the image. Errors: Error{kEnvironment}.
  virtual void append(const ImageU8& rows) = 0;
  virtual void finish() = 0;
};
std::unique_ptr<ProbabilityWriter> create_probability_writer(const ProbabilityWriterOptions& options);

}  // namespace fovea
