#include "core/image/pyramid.h"

#include <algorithm>
#include <cstdlib>

#include "core/image/writers.h"

namespace fovea {
namespace {

bool near(const ImageInfo::Level& a, const ImageInfo::Level& b) {
  return std::abs(a.width - b.width) <= 1 && std::abs(a.height - b.height) <= 1;
}

template <class Sample>
BasicImage<Sample> read_source(ImageSource& source, const Rect& rect, int level) {
  if constexpr (sizeof(Sample) == 1) return source.read_rgb(rect, level);
  else return source.read_rgb16(rect, level);
}

}  // namespace

Pyramid::Pyramid(std::shared_ptr<PyramidImage> image) : image_(std::move(image)), source_(image_->kept_) {
  if (!source_) source_ = open_image(image_->path_, image_->limits_);
  find_stored_levels();
}

void Pyramid::find_stored_levels() {
  cache_generation_ = image_->cache_generation_;
  stored_.assign(static_cast<std::size_t>(levels()), {nullptr, 0});
  add_stored_levels(*source_, 0);
  cache_ = image_->open_cache();
  if (cache_) add_stored_levels(*cache_, image_->first_cached_level());
}

// Levels of the source whose size is that of one of ours, within a pixel of rounding.
void Pyramid::add_stored_levels(ImageSource& source, int first_level) {
  const auto& sizes = source.info().levels;
  for (int level = first_level; level < levels(); ++level) {
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      if (near(sizes[i], level_size(level))) stored_[static_cast<std::size_t>(level)] = {&source, static_cast<int>(i)};
    }
  }
}

int Pyramid::stored_below(int level) const {
  while (!stored_[static_cast<std::size_t>(level)].source) --level;   // level 0 is always stored
  return level;
}

bool Pyramid::ready(int level) {
  if (cache_generation_ != image_->cache_generation_) find_stored_levels();
  const int base = stored_below(level);
  const Stored& stored = stored_[static_cast<std::size_t>(base)];
  if (stored.source == cache_.get()) return true;
  if (base > 0 || info().windowed) return level - base <= PyramidImage::kNearby;
  return image_->kept_ && (level <= PyramidImage::kNearby || !image_->needs_build() || image_->given_up_);
}

template <class Sample>
BasicImage<Sample> Pyramid::read(const Rect& rect, int level) {
  if (cache_generation_ != image_->cache_generation_) find_stored_levels();
  const auto size = level_size(level);
  require(level >= 0 && level < levels() && rect.x >= 0 && rect.y >= 0 && rect.width > 0 && rect.height > 0 &&
              rect.x + rect.width <= size.width && rect.y + rect.height <= size.height,
          "Pyramid::read: the window must lie inside the level");
  const int base = stored_below(level);
  const Stored stored = stored_[static_cast<std::size_t>(base)];
  const auto base_size = stored.source->info().levels[static_cast<std::size_t>(stored.source_level)];
  const int shift = level - base;
  // A stored level may be a pixel smaller than ours: its last pixel then stands for both.
  Rect window{std::min(rect.x << shift, base_size.width - 1), std::min(rect.y << shift, base_size.height - 1), rect.width << shift,
              rect.height << shift};
  window.width = std::min(window.width, base_size.width - window.x);
  window.height = std::min(window.height, base_size.height - window.y);
  BasicImage<Sample> pixels = read_source<Sample>(*stored.source, window, stored.source_level);
  if (stored.source == source_.get() && image_->kept_) image_->decoded_ = true;
  if (pixels.width() == rect.width && pixels.height() == rect.height) return pixels;
  return resize(pixels, rect.width, rect.height);
}

template <class Sample>
BasicImage<Sample> Pyramid::read_preview(const Rect& rect, int level) {
  image_->make_preview<Sample>();
  const auto size = level_size(level);
  return image_->preview<Sample>().read(rect, size.width, size.height);
}

bool Pyramid::preview_is_exact(int level) {
  const auto width = level_size(level).width;
  return info().bits == 8 && image_->path_is_jpeg() && image_->preview8_.resolves(width);
}

template ImageU8 Pyramid::read(const Rect&, int);
template ImageU16 Pyramid::read(const Rect&, int);
template ImageU8 Pyramid::read_preview(const Rect&, int);
template ImageU16 Pyramid::read_preview(const Rect&, int);

}  // namespace fovea
