// What the readers of an image share: the build of its cache file, and a preview until that is there.
#include <algorithm>
#include <chrono>

#include "core/image/file_header.h"
#include "core/image/jpeg_codec.h"
#include "core/image/oriented_source.h"
#include "core/image/pyramid.h"
#include "core/image/pyramid_file.h"
#include "core/image/shared_source.h"

namespace fovea {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kQuickPixels = 12 << 20;    // a kept image of so many pixels is shrunk as fast as a cache is read
constexpr std::int64_t kPreviewSide = 1024;
constexpr std::int64_t kSampleSide = 32;           // pixels of the windows that a preview is sampled from
constexpr auto kSamplingTime = std::chrono::milliseconds(300);
constexpr auto kPreviewEvery = std::chrono::milliseconds(400);

std::int64_t halved(std::int64_t pixels, int level) { return (pixels + (std::int64_t{1} << level) - 1) >> level; }

// A mosaic of mean colours from a grid of small windows: a windowed image without overviews at once. Finer and finer until time is up.
template <class Sample, class Read>
BasicImage<Sample> sample_mosaic(const ImageInfo& info, Read read) {
  const auto started = Clock::now();
  BasicImage<Sample> mosaic;
  for (std::int64_t cells = 6; cells <= 96; cells *= 2) {
    const double longer = static_cast<double>(std::max(info.width, info.height));
    const auto columns = std::max<std::int64_t>(1, static_cast<std::int64_t>(cells * info.width / longer));
    const auto rows = std::max<std::int64_t>(1, static_cast<std::int64_t>(cells * info.height / longer));
    BasicImage<Sample> finer(columns, rows, 3);
    for (std::int64_t row = 0; row < rows; ++row) {
      for (std::int64_t column = 0; column < columns; ++column) {
        if (!mosaic.empty() && Clock::now() - started > kSamplingTime) return mosaic;
        const std::int64_t width = std::min(kSampleSide, info.width), height = std::min(kSampleSide, info.height);
        const std::int64_t x = std::min((2 * column + 1) * info.width / (2 * columns) / kSampleSide * kSampleSide, info.width - width);
        const std::int64_t y = std::min((2 * row + 1) * info.height / (2 * rows) / kSampleSide * kSampleSide, info.height - height);
        const BasicImage<Sample> mean = resize(read(Rect{x, y, width, height}), 1, 1);
        std::copy_n(mean.row(0), 3, finer.row(row) + 3 * column);
      }
    }
    mosaic = std::move(finer);
  }
  return mosaic;
}

}  // namespace

PyramidImage::PyramidImage(std::filesystem::path image, std::filesystem::path cache_file, const ImageLimits& limits)
    : path_(std::move(image)), cache_file_(std::move(cache_file)), limits_(limits) {
  auto source = open_image(path_, limits_);
  info_ = source->info();
  while (std::max(halved(info_.width, levels_ - 1), halved(info_.height, levels_ - 1)) > kCoarsestSide) ++levels_;
  const std::int64_t decoded_bytes = info_.width * info_.height * (info_.bands < 3 ? 1 : 3) * (info_.bits / 8);
  if (!info_.windowed && decoded_bytes <= limits_.max_kept_bytes) kept_ = std::make_shared<SharedSource>(std::move(source));
  cached_ = open_cache() != nullptr;
  if (cached_) touch_pyramid(cache_file_);
}

ImageInfo::Level PyramidImage::level_size(int level) const { return {halved(info_.width, level), halved(info_.height, level)}; }

int PyramidImage::white_level() { return kept_ ? kept_->white_level() : open_image(path_, limits_)->white_level(); }

std::int64_t PyramidImage::kept_bytes() const {
  return decoded_ ? info_.width * info_.height * (info_.bands < 3 ? 1 : 3) * (info_.bits / 8) : 0;
}

bool PyramidImage::path_is_jpeg() const { return info_.format == "JPEG"; }

int PyramidImage::first_cached_level() const { return info_.windowed || kept_ ? std::min(kNearby, levels_ - 1) : 0; }

std::unique_ptr<ImageSource> PyramidImage::open_cache() const {
  std::error_code ignored;
  if (cache_file_.empty() || !std::filesystem::exists(cache_file_, ignored)) return nullptr;
  try {
    auto cache = open_image(cache_file_, limits_);
    const auto expected = level_size(first_cached_level());
    const bool fits = cache->info().width == expected.width && cache->info().height == expected.height && cache->info().bits == info_.bits;
    return fits ? std::move(cache) : nullptr;
  } catch (const Error&) {
    return nullptr;   // made by something else, or damaged: it will be built again
  }
}

bool PyramidImage::needs_build() const {
  if (cached_) return false;
  if (!info_.windowed) return !kept_ || info_.width * info_.height > kQuickPixels;
  int stored = 0;
  for (int level = 0; level < levels_; ++level) {
    for (const auto& size : info_.levels) {
      if (std::abs(size.width - level_size(level).width) <= 1 && std::abs(size.height - level_size(level).height) <= 1) stored = level;
    }
    if (level - stored > kNearby) return true;
  }
  return false;
}

template <> PyramidPreview<std::uint8_t>& PyramidImage::preview() { return preview8_; }
template <> PyramidPreview<std::uint16_t>& PyramidImage::preview() { return preview16_; }

template <class Sample>
void PyramidImage::make_preview() {
  const std::scoped_lock lock(preview_making_);
  if (!preview<Sample>().empty()) return;
  if constexpr (sizeof(Sample) == 1) {
    if (path_is_jpeg()) {
      const auto orientation = Orientation::from_exif(read_file_header(path_).orientation);
      ImageU8 small = orientation.apply(decode_jpeg(path_, 8));
      if (small.channels() == 1) {
        ImageU8 rgb(small.width(), small.height(), 3);
        for (std::size_t i = 0; i < small.samples().size(); ++i) std::fill_n(rgb.samples().data() + 3 * i, 3, small.samples()[i]);
        small = std::move(rgb);
      }
      return preview8_.set(std::move(small));
    }
  }
  if (info_.windowed) {
    const auto source = open_image(path_, limits_);
    return preview<Sample>().set(sample_mosaic<Sample>(info_, [&](const Rect& rect) {
      if constexpr (sizeof(Sample) == 1) return source->read_rgb(rect);
      else return source->read_rgb16(rect);
    }));
  }
  BasicImage<Sample> blank(1, 1, 3);   // rows come as they are decoded
  std::ranges::fill(blank.samples(), static_cast<Sample>(96));
  preview<Sample>().set(std::move(blank));
}
template void PyramidImage::make_preview<std::uint8_t>();
template void PyramidImage::make_preview<std::uint16_t>();

void PyramidImage::build(Progress& progress, const std::stop_token& stop) {
  try {
    if (info_.bits == 8) build_samples<std::uint8_t>(progress, stop);
    else build_samples<std::uint16_t>(progress, stop);
  } catch (const Error& error) {
    given_up_ = error.kind() == ErrorKind::kEnvironment;
    ++version_;
    throw;
  }
  cached_ = true;
  ++cache_generation_;
  ++version_;
}

template <class Sample>
void PyramidImage::build_samples(Progress& progress, const std::stop_token& stop) {
  const int first = first_cached_level();
  const auto size = level_size(first);
  int preview_level = first;
  while (std::max(level_size(preview_level).width, level_size(preview_level).height) > kPreviewSide) ++preview_level;
  const auto preview_size = level_size(preview_level);
  const std::int64_t rows_a_preview_row = std::int64_t{1} << (preview_level - first);
  const std::int64_t band = (std::int64_t{64} + rows_a_preview_row - 1) / rows_a_preview_row * rows_a_preview_row;
  std::error_code ignored;
  std::filesystem::create_directories(cache_file_.parent_path(), ignored);
  PyramidFile file({.path = cache_file_, .width = size.width, .height = size.height, .bits = info_.bits, .coarsest_side = kCoarsestSide});
  // A reader of its own: a format that only decodes from top to bottom must not be asked for anything else in between.
  Pyramid reader(std::shared_ptr<PyramidImage>(this, [](PyramidImage*) {}));
  // The preview is what is seen first: nothing else may take its time from it.
  const bool grows = !path_is_jpeg() || info_.bits != 8;   // it is better than what could be pasted
  if (!grows || info_.windowed) make_preview<Sample>();
  auto shown = Clock::now();
  for (std::int64_t y = 0; y < size.height; y += band) {
    throw_if_stopped(stop);
    progress.report("pyramid", y, size.height);
    const BasicImage<Sample> rows = reader.read<Sample>({0, y, size.width, std::min(band, size.height - y)}, first);
    file.append(rows);
    if (!grows) continue;
    const std::int64_t preview_y = y / rows_a_preview_row;
    const std::int64_t preview_rows =
        std::min((rows.height() + rows_a_preview_row - 1) / rows_a_preview_row, preview_size.height - preview_y);
    preview<Sample>().paste(resize(rows, preview_size.width, preview_rows), preview_y, preview_size.height);
    if (Clock::now() - shown > kPreviewEvery) ++version_, shown = Clock::now();
  }
  throw_if_stopped(stop);
  file.finish(stop);
  progress.report("pyramid", size.height, size.height);
}

}  // namespace fovea
