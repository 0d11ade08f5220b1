#include "core/image/pyramid.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <string>

#include "core/image/tiled_tiff.h"
#include "core/image/writers.h"

namespace fovea {
namespace {

std::int64_t halved(std::int64_t pixels, int level) { return (pixels + (std::int64_t{1} << level) - 1) >> level; }

// 64-bit FNV-1a: a short name for a cache file, no protection.
std::uint64_t short_hash(std::string_view text) {
  std::uint64_t hash = 14695981039346656037ull;
  for (const unsigned char c : text) hash = (hash ^ c) * 1099511628211ull;
  return hash;
}

}  // namespace

Pyramid::Pyramid(const std::filesystem::path& image, std::filesystem::path cache_file, const ImageLimits& limits)
    : cache_file_(std::move(cache_file)), limits_(limits), source_(open_image(image, limits)) {
  while (std::max(halved(info().width, levels_ - 1), halved(info().height, levels_ - 1)) > kCoarsestSide) ++levels_;
  find_stored_levels();
}

ImageInfo::Level Pyramid::level_size(int level) const { return {halved(info().width, level), halved(info().height, level)}; }

int Pyramid::first_cached_level() const { return info().windowed ? std::min(kNearby, levels_ - 1) : 0; }

void Pyramid::find_stored_levels() {
  stored_.assign(static_cast<std::size_t>(levels_), {nullptr, 0});
  add_stored_levels(*source_, 0);
  cache_.reset();
  std::error_code ignored;
  if (!std::filesystem::exists(cache_file_, ignored)) return;
  try {
    cache_ = open_image(cache_file_, limits_);
  } catch (const Error&) {
    return;   // made by something else, or damaged: it will be built again
  }
  const auto expected = level_size(first_cached_level());
  if (cache_->info().width != expected.width || cache_->info().height != expected.height) cache_.reset();
  else add_stored_levels(*cache_, first_cached_level());
}

// Levels of the source whose size is that of one of ours, within a pixel of rounding.
void Pyramid::add_stored_levels(ImageSource& source, int first_level) {
  const auto& sizes = source.info().levels;
  for (int level = first_level; level < levels_; ++level) {
    const auto wanted = level_size(level);
    for (std::size_t i = 0; i < sizes.size(); ++i) {
      const bool fits = std::abs(sizes[i].width - wanted.width) <= 1 && std::abs(sizes[i].height - wanted.height) <= 1;
      if (fits) stored_[static_cast<std::size_t>(level)] = {&source, static_cast<int>(i)};
    }
  }
}

bool Pyramid::needs_build() const {
  if (levels_ == 1) return false;
  if (!info().windowed && !cache_) return true;
  int stored = 0;
  for (int level = 0; level < levels_; ++level) {
    if (stored_[static_cast<std::size_t>(level)].source) stored = level;
    if (level - stored > kNearby) return true;
  }
  return false;
}

ImageU8 Pyramid::read_rgb(Rect rect, int level) {
  const auto size = level_size(level);
  require(level >= 0 && level < levels_ && rect.x >= 0 && rect.y >= 0 && rect.width > 0 && rect.height > 0 && rect.x + rect.width <= size.width &&
              rect.y + rect.height <= size.height, "Pyramid::read_rgb: the window must lie inside the level");
  int base = level;
  while (!stored_[static_cast<std::size_t>(base)].source) --base;   // level 0 is always stored
  const Stored stored = stored_[static_cast<std::size_t>(base)];
  const auto base_size = stored.source->info().levels[static_cast<std::size_t>(stored.source_level)];
  const int shift = level - base;
  // A stored level may be a pixel smaller than ours: its last pixel then stands for both.
  Rect window{std::min(rect.x << shift, base_size.width - 1), std::min(rect.y << shift, base_size.height - 1), rect.width << shift, rect.height << shift};
  window.width = std::min(window.width, base_size.width - window.x);
  window.height = std::min(window.height, base_size.height - window.y);
  ImageU8 pixels = stored.source->read_rgb(window, stored.source_level);
  if (pixels.width() == rect.width && pixels.height() == rect.height) return pixels;
  return resize(pixels, rect.width, rect.height);
}

void Pyramid::build(Progress& progress, const std::stop_token& stop) {
  const int first = first_cached_level();
  const auto size = level_size(first);
  std::error_code ignored;
  std::filesystem::create_directories(cache_file_.parent_path(), ignored);
  TiledTiff tiff({.path = cache_file_, .width = size.width, .height = size.height, .bands = 3, .georeference = {}, .palette = {}, .class_names = {}});
  constexpr std::int64_t kRows = 64;
  for (std::int64_t y = 0; y < size.height; y += kRows) {
    throw_if_stopped(stop);
    progress.report("pyramid", y, size.height);
    tiff.append(read_rgb({0, y, size.width, std::min(kRows, size.height - y)}, first));
  }
  tiff.finish();
  progress.report("pyramid", size.height, size.height);
  find_stored_levels();
}

std::filesystem::path pyramid_cache_file(const std::filesystem::path& image, const std::filesystem::path& folder) {
  std::error_code ignored;
  const auto absolute = std::filesystem::weakly_canonical(image, ignored);
  const auto changed = std::filesystem::last_write_time(image, ignored).time_since_epoch().count();
  const auto key = absolute.string() + '\0' + std::to_string(std::filesystem::file_size(image, ignored)) + '\0' + std::to_string(changed);
  char name[17];
  std::snprintf(name, sizeof name, "%016llx", static_cast<unsigned long long>(short_hash(key)));
  return folder / (std::string(name) + ".tif");
}

}  // namespace fovea
