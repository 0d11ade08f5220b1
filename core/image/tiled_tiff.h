// Tiled, DEFLATE-compressed BigTIFF written by bands of rows, overviews with them, in memory of two rows of tiles.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/image/image.h"
#include "core/image/image_source.h"
#include "core/image/overviews.h"
#include "core/image/writers.h"

namespace fovea {

enum class TiffLayout { kTiled, kCloudOptimized };   // the latter needs twice the disk while it is written

struct TiledTiffOptions {
  std::filesystem::path path;
  std::int64_t width = 0, height = 0;
  int bands = 1;                          // samples of 8 bits
  GeoReference georeference = {};
  int nodata = -1;                        // -1: none
  std::vector<Colour> palette = {};            // of a single band, empty: none
  std::vector<std::string> class_names =
      {};  // stored as metadata items CLASS_0, CLASS_1, ...; with several bands also as their descriptions
  OverviewKind overviews = OverviewKind::kAverage;
  TiffLayout layout = TiffLayout::kTiled;
};

class TiledTiff {
 public:
  // Errors of all: Error{kEnvironment} "PATH: cannot write: ...".
  explicit TiledTiff(const TiledTiffOptions& options);
  ~TiledTiff();
  TiledTiff(const TiledTiff&) = delete;
  TiledTiff& operator=(const TiledTiff&) = delete;

  void append(const ImageU8& rows);   // [any height, width, bands]
  void finish();                      // the file appears

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fovea
