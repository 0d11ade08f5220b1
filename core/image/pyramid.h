// An image at every power of two, for looking at it: what a viewer reads tiles from.
#pragma once

#include <filesystem>
#include <memory>
#include <stop_token>

#include "core/base/progress.h"
#include "core/image/image_source.h"

namespace fovea {

// Level k has ceil(width / 2^k) x ceil(height / 2^k) pixels; the last level's longer side is at most kCoarsestSide. Each level is read from the
// nearest finer level that is stored: the file itself, its overviews, or a cache file that build() makes once for images whose coarse
// levels would otherwise mean decoding everything. Not thread-safe: one object a thread; many may share a cache file.
class Pyramid {
 public:
  static constexpr std::int64_t kCoarsestSide = 512;

  // cache_file: where build() keeps what the image lacks (pyramid_cache_file()); used if it is there and fits the image.
  // Errors: as open_image(). An unusable cache file is ignored: needs_build() then says so.
  Pyramid(const std::filesystem::path& image, std::filesystem::path cache_file, const ImageLimits& limits = {});

  const ImageInfo& info() const { return source_->info(); }
  int levels() const { return levels_; }
  ImageInfo::Level level_size(int level) const;

  // 8-bit RGB [rect.height, rect.width, 3]; the window must lie inside the level. Shrunk by area from the stored level.
  ImageU8 read_rgb(Rect rect_level, int level);

  // Whether some level is more than kNearby powers of two from a stored one, or the format has no windows.
  bool needs_build() const;

  // Writes the cache file (lossless, whole or not at all) and uses it from now on. Memory: a few rows of tiles. Progress in rows.
  // Errors: Error{kInput} from reading, Error{kEnvironment} "CACHE: cannot write: ...", Error{kCancelled}.
  void build(Progress& progress, const std::stop_token& stop);

 private:
  static constexpr int kNearby = 2;           // decoding 4 x 4 as many pixels as shown is still quick
  struct Stored {
    ImageSource* source;                      // nullptr: no such level
    int source_level;
  };
  int first_cached_level() const;             // the finest level that the cache file holds
  void find_stored_levels();
  void add_stored_levels(ImageSource& source, int first_level);

  std::filesystem::path cache_file_;
  ImageLimits limits_;
  std::unique_ptr<ImageSource> source_, cache_;
  int levels_ = 1;
  std::vector<Stored> stored_;                // by level
};

// A name in the folder that changes when the file does: from its path, size and time of change.
std::filesystem::path pyramid_cache_file(const std::filesystem::path& image, const std::filesystem::path& folder);

}  // namespace fovea
