// An image at every power of two, for looking at it: what a viewer reads tiles from.
#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>

#include "core/base/progress.h"
#include "core/image/image_source.h"
#include "core/image/pyramid_cache.h"
#include "core/image/pyramid_preview.h"

namespace fovea {

// What all readers of one image share; thread-safe.
//
// Level k has ceil(width / 2^k) x ceil(height / 2^k) pixels; the last level's longer side is at most kCoarsestSide. Each level is read from
// the nearest finer one that is stored: the file itself, its overviews, or a cache file that build() makes once. The cache is sparse: it
// starts kNearby levels above what the file gives quickly.
class PyramidImage {
 public:
  static constexpr std::int64_t kCoarsestSide = 512;
  static constexpr int kNearby = 2;            // decoding 4 x 4 as many pixels as shown is still quick

  // cache_file: where build() keeps what the image lacks (pyramid_cache_file()); used if it is there and fits the image; damage: built
  // again.
  // limits.max_kept_bytes: images of formats without windows (JPEG, PNG) up to this size are decoded once and kept; larger ones are decoded
  // by build() in rows and then read from the cache only. Errors: as open_image().
  PyramidImage(std::filesystem::path image, std::filesystem::path cache_file, const ImageLimits& limits = {});

  const ImageInfo& info() const { return info_; }
  int levels() const { return levels_; }
  ImageInfo::Level level_size(int level) const;
  int white_level();                           // ImageSource::white_level(); the first call reads pixels of 16-bit images
  std::int64_t kept_bytes() const;             // of a decoded image that is kept; 0: none, or not yet

  // Whether some level can only be read slowly.
  bool needs_build() const;
  // Writes the cache file, whole or not at all; readers use it from then on, and before get a preview that grows. Memory: a few rows of
  // tiles. Progress in rows. Errors: Error{kInput} from reading, Error{kEnvironment} "CACHE: cannot write: ...", Error{kCancelled}.
  void build(Progress& progress, const std::stop_token& stop);
  // Grows whenever a level that is not ready would look better than before.
  int version() const { return version_; }

 private:
  friend class Pyramid;
  template <class Sample> PyramidPreview<Sample>& preview();
  template <class Sample> void build_samples(Progress& progress, const std::stop_token& stop);
  template <class Sample> void make_preview();
  bool path_is_jpeg() const;
  int first_cached_level() const;              // the finest level that the cache file holds
  std::unique_ptr<ImageSource> open_cache() const;   // nullptr: none that fits

  const std::filesystem::path path_, cache_file_;
  const ImageLimits limits_;
  std::shared_ptr<ImageSource> kept_;          // of a format without windows
  ImageInfo info_;
  int levels_ = 1;
  std::atomic<int> version_{0}, cache_generation_{0};
  std::atomic<bool> cached_{false}, decoded_{false}, given_up_{false};   // given up: the cache file cannot be written
  std::mutex preview_making_;
  PyramidPreview<std::uint8_t> preview8_;
  PyramidPreview<std::uint16_t> preview16_;
};

// Reads the levels. Not thread-safe: one object a thread.
class Pyramid {
 public:
  explicit Pyramid(std::shared_ptr<PyramidImage> image);
  Pyramid(const std::filesystem::path& image, const std::filesystem::path& cache_file, const ImageLimits& limits = {})
      : Pyramid(std::make_shared<PyramidImage>(image, cache_file, limits)) {}

  const ImageInfo& info() const { return image_->info(); }
  int levels() const { return image_->levels(); }
  ImageInfo::Level level_size(int level) const { return image_->level_size(level); }
  bool needs_build() const { return image_->needs_build(); }
  void build(Progress& progress, const std::stop_token& stop) { image_->build(progress, stop); }

  // [rect.height, rect.width, 3]; the window must lie inside the level. Shrunk by area from the stored level, however long that takes.
  // Sample: std::uint8_t, as ImageSource::read_rgb(), or std::uint16_t, as read_rgb16().
  template <class Sample> BasicImage<Sample> read(const Rect& rect_level, int level);
  ImageU8 read_rgb(const Rect& rect_level, int level) { return read<std::uint8_t>(rect_level, level); }

  // Whether read() is quick.
  bool ready(int level);
  // What can be had quickly where that is not so: the window out of a preview of the whole image.
  template <class Sample> BasicImage<Sample> read_preview(const Rect& rect_level, int level);
  // Whether the preview has the level's pixels.
  bool preview_is_exact(int level);

 private:
  struct Stored {
    ImageSource* source;                       // nullptr: no such level
    int source_level;
  };
  void find_stored_levels();
  void add_stored_levels(ImageSource& source, int first_level);
  int stored_below(int level) const;           // the nearest stored level that is not coarser

  std::shared_ptr<PyramidImage> image_;
  std::shared_ptr<ImageSource> source_;
  std::unique_ptr<ImageSource> cache_;
  int cache_generation_ = -1;
  std::vector<Stored> stored_;                 // by level
};

}  // namespace fovea
