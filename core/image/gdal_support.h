// GDAL behind a fence: an allow-list of drivers, no environment variables, no sidecar files, no messages on stderr.
#pragma once

#include <gdal_priv.h>

#include <filesystem>
#include <memory>
#include <string>

#include "core/image/image_source.h"

namespace fovea::gdal {

// Registers the allowed drivers and fixes every configuration option that could otherwise change results or memory. Thread-safe; the
// first call does the work. Everything in core/image that touches GDAL calls it.
void initialise();

struct DatasetCloser {
  void operator()(GDALDataset* dataset) const { GDALClose(dataset); }
};
using DatasetPtr = std::unique_ptr<GDALDataset, DatasetCloser>;

// While it lives, GDAL's messages of this thread are kept here instead of printed.
class ErrorScope {
 public:
  ErrorScope();
  ~ErrorScope();
  ErrorScope(const ErrorScope&) = delete;
  ErrorScope& operator=(const ErrorScope&) = delete;

  bool failed() const noexcept { return failed_; }
  void clear() { failed_ = false, message_.clear(); }
  // The first failure in one line, without the driver's repetition of the file's name; `otherwise` if GDAL said nothing.
  std::string reason(const std::filesystem::path& path, const std::string& otherwise) const;

 private:
  static void receive(CPLErr level, CPLErrorNum number, const char* text);
  bool failed_ = false;
  std::string message_;
};

// Opens with one driver of the allow-list and none of the file's neighbours but overviews (.ovr) and world files. Null on failure.
DatasetPtr open(const std::filesystem::path& path, const char* driver);

GeoReference georeference_of(GDALDataset& dataset);
// Throws Error{kEnvironment} "PATH: cannot write: ..." if GDAL refuses it.
void set_georeference(GDALDataset& dataset, const GeoReference& georeference, const std::filesystem::path& path);

}  // namespace fovea::gdal
