#include "core/image/raster_source.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/image/copy_rows.h"
#include "core/image/jpeg_codec.h"

namespace fovea {
namespace {

constexpr std::int64_t kDecodeRows = 128;

template <class Sample>
BasicImage<Sample> crop(const BasicImage<Sample>& image, Rect rect) {
  if (rect == Rect{0, 0, image.width(), image.height()}) return image.clone();
  return part_of(image, rect);
}

template <class Sample>
BasicImage<Sample> repeat_grey(BasicImage<Sample> grey) {
  if (grey.channels() == 3) return grey;
  BasicImage<Sample> rgb(grey.width(), grey.height(), 3);
  auto* out = rgb.samples().data();
  for (const Sample value : grey.samples()) {
    out[0] = out[1] = out[2] = value;
    out += 3;
  }
  return rgb;
}

}  // namespace

ImageU8 RasterSource::read_rgb(Rect rect, int level) {
  require_window(rect, level);
  if (kept()) decode_whole();
  return repeat_grey(kept() ? crop(decoded_, rect) : colours(rect, level));
}

ImageU16 RasterSource::read_rgb16(Rect rect, int level) {
  if (info_.bits == 8) return ImageSource::read_rgb16(rect, level);
  require_window(rect, level);
  if (kept()) decode_whole16();
  return repeat_grey(kept() ? crop(decoded16_, rect) : stored<std::uint16_t>(rect, level));
}

int RasterSource::white_level() {
  if (info_.bits == 8) return 255;
  find_significant_bits();
  return (1 << plan_.significant_bits) - 1;
}

bool RasterSource::kept() const {
  const std::int64_t channels = plan_.bands.size() == 1 && plan_.palette.empty() ? 1 : 3;
  return !info_.windowed && info_.width * info_.height * channels * (info_.bits / 8) <= max_kept_bytes_;
}

ImageU8 RasterSource::read_valid(Rect rect, int level) {
  require_window(rect, level);
  if (!has_mask_) {
    ImageU8 all(rect.width, rect.height, 1);
    std::ranges::fill(all.samples(), std::uint8_t{255});
    return all;
  }
  if (!kept()) return valid_samples(rect, level);
  decode_whole();
  return crop(decoded_valid_, rect);
}

ImageU8 RasterSource::read_indices() {
  const bool grey_or_palette = plan_.bands.size() == 1 && (info_.bands == 1 || !plan_.palette.empty());
  if (!grey_or_palette || info_.bits != 8) {
    fail(std::to_string(info_.bands) + " bands of " + std::to_string(info_.bits) + " bits, expected an index mask: 1 band of 8 bits");
  }
  const Rect whole{0, 0, info_.width, info_.height};
  return header_.jpeg_components > 0 ? decode_jpeg(path_) : stored<std::uint8_t>(whole, 0);
}

void RasterSource::require_window(Rect rect, int level) const {
  require(level >= 0 && level < static_cast<int>(info_.levels.size()), "the image has no such level");
  const auto& size = info_.levels[static_cast<std::size_t>(level)];
  const bool inside = rect.x >= 0 && rect.y >= 0 && rect.width > 0 && rect.height > 0 && rect.x <= size.width - rect.width &&
                      rect.y <= size.height - rect.height;
  require(inside, "the window leaves the image");
}

GDALRasterBand& RasterSource::band(int number, int level) const {
  GDALRasterBand* full = dataset_->GetRasterBand(number);
  const int overview = overview_of_level_[static_cast<std::size_t>(level)];
  GDALRasterBand* result = overview < 0 ? full : full->GetOverview(overview);
  if (!result) fail("an overview cannot be read");
  return *result;
}

template <class Sample>
BasicImage<Sample> RasterSource::stored(Rect rect, int level) {
  constexpr auto kType = sizeof(Sample) == 1 ? GDT_Byte : GDT_UInt16;
  const auto channels = static_cast<int>(plan_.bands.size());
  BasicImage<Sample> image(rect.width, rect.height, channels);
  const gdal::ErrorScope errors;
  const auto pixel_bytes = static_cast<GSpacing>(channels * sizeof(Sample));
  const auto x = static_cast<int>(rect.x), y = static_cast<int>(rect.y), width = static_cast<int>(rect.width),
             height = static_cast<int>(rect.height);
  // Through the dataset where that is possible: pixel-interleaved files are then decoded once, not once a band.
  GDALDataset* source = level == 0 ? dataset_.get() : band(plan_.bands[0], level).GetDataset();
  CPLErr result = CE_None;
  if (source && source->GetRasterCount() == dataset_->GetRasterCount()) {
    result = source->RasterIO(GF_Read, x, y, width, height, image.samples().data(), width, height, kType, channels, plan_.bands.data(),
                              pixel_bytes, pixel_bytes * width, sizeof(Sample), nullptr);
  } else {
    for (int c = 0; c < channels && result == CE_None; ++c) {
      result = band(plan_.bands[static_cast<std::size_t>(c)], level)
                   .RasterIO(GF_Read, x, y, width, height, image.samples().data() + c, width, height, kType, pixel_bytes,
                             pixel_bytes * width, nullptr);
    }
  }
  if (result != CE_None || errors.failed()) fail("truncated or damaged: " + errors.reason(path_, "pixels cannot be read"));
  return image;
}

ImageU8 RasterSource::to_8_bits(const ImageU16& samples) const {
  // 65,536 divisions once instead of one a sample.
  std::vector<std::uint8_t> table(1 << 16, 255);
  const std::uint32_t top = (1u << plan_.significant_bits) - 1;
  for (std::uint32_t value = 0; value <= top; ++value) table[value] = static_cast<std::uint8_t>((value * 255 + top / 2) / top);
  ImageU8 image(samples.width(), samples.height(), samples.channels());
  std::ranges::transform(samples.samples(), image.samples().begin(), [&](std::uint16_t value) { return table[value]; });
  return image;
}

ImageU8 RasterSource::colours(Rect rect, int level) {
  if (info_.bits == 16) {
    find_significant_bits();
    return to_8_bits(stored<std::uint16_t>(rect, level));
  }
  ImageU8 image = stored<std::uint8_t>(rect, level);
  if (!plan_.palette.empty()) {
    ImageU8 rgb(rect.width, rect.height, 3);
    auto* out = rgb.samples().data();
    for (const std::uint8_t index : image.samples()) {
      std::memcpy(out, plan_.palette[index].data(), 3);
      out += 3;
    }
    return rgb;
  }
  if (plan_.significant_bits < 8) {
    const int top = (1 << plan_.significant_bits) - 1;
    for (auto& value : image.samples()) value = static_cast<std::uint8_t>((std::min<int>(value, top) * 255 + top / 2) / top);
  }
  return image;
}

ImageU8 RasterSource::valid_samples(Rect rect, int level) {
  ImageU8 valid(rect.width, rect.height, 1);
  ImageU8 one(rect.width, rect.height, 1);
  const gdal::ErrorScope errors;
  const auto x = static_cast<int>(rect.x), y = static_cast<int>(rect.y), width = static_cast<int>(rect.width),
             height = static_cast<int>(rect.height);
  const auto read = [&](GDALRasterBand& source) {
    const CPLErr result = source.RasterIO(GF_Read, x, y, width, height, one.samples().data(), width, height, GDT_Byte, 0, 0, nullptr);
    if (result != CE_None || errors.failed()) fail("truncated or damaged: " + errors.reason(path_, "the mask cannot be read"));
  };
  // GDAL's mask is 0 where alpha is 0, where the file's own mask says so, and, band by band, where a sample equals nodata.
  for (const int number : plan_.bands) {
    GDALRasterBand& source = band(number, level);
    read(*source.GetMaskBand());
    std::ranges::transform(valid.samples(), one.samples(), valid.samples().begin(),
                           [](std::uint8_t a, std::uint8_t b) { return static_cast<std::uint8_t>(a | (b ? 255 : 0)); });
    if (source.GetMaskFlags() & (GMF_PER_DATASET | GMF_ALL_VALID)) break;
  }
  const bool masked_by_alpha = band(plan_.bands[0], level).GetMaskFlags() & GMF_ALPHA;
  if (alpha_band_ > 0 && !masked_by_alpha) {   // GDAL lets nodata hide alpha
    read(band(alpha_band_, level));
    std::ranges::transform(valid.samples(), one.samples(), valid.samples().begin(),
                           [](std::uint8_t value, std::uint8_t alpha) { return alpha == 0 ? std::uint8_t{0} : value; });
  }
  const auto transparent = [](const auto& entry) { return entry[3] == 0; };
  if (std::ranges::any_of(plan_.palette, transparent)) {
    read(band(plan_.bands[0], level));
    std::ranges::transform(valid.samples(), one.samples(), valid.samples().begin(), [&](std::uint8_t value, std::uint8_t index) {
      return transparent(plan_.palette[index]) ? std::uint8_t{0} : value;
    });
  }
  return valid;
}

// 16-bit files rarely use 16 bits. The range is 0 to the smallest 2^n - 1, n >= 8, that holds 99.9% of a fixed sample of the file's pixels
// with data: it depends on nothing but the file, and files of one sensor get the same one.
void RasterSource::find_significant_bits() {
  if (plan_.significant_bits != 0) return;
  constexpr std::int64_t kGrid = 5, kSide = 256;
  const auto& size = info_.levels[0];
  std::vector<std::int64_t> count_of_bits(17, 0);
  std::int64_t total = 0;
  const std::int64_t columns = std::min<std::int64_t>(kGrid, (size.width + kSide - 1) / kSide);
  const std::int64_t rows = std::min<std::int64_t>(kGrid, (size.height + kSide - 1) / kSide);
  for (std::int64_t i = 0; i < rows * columns; ++i) {
    Rect rect{0, 0, std::min(kSide, size.width), std::min(kSide, size.height)};
    if (columns > 1) rect.x = (size.width - rect.width) * (i % columns) / (columns - 1);
    if (rows > 1) rect.y = (size.height - rect.height) * (i / columns) / (rows - 1);
    const ImageU16 samples = stored<std::uint16_t>(rect, 0);
    const ImageU8 valid = has_mask_ ? valid_samples(rect, 0) : ImageU8();
    for (std::int64_t k = 0; k < rect.area(); ++k) {
      if (has_mask_ && valid.samples()[static_cast<std::size_t>(k)] == 0) continue;
      for (int c = 0; c < samples.channels(); ++c, ++total) {
        const unsigned value = samples.samples()[static_cast<std::size_t>(k * samples.channels() + c)];
        ++count_of_bits[static_cast<std::size_t>(std::bit_width(value))];
      }
    }
  }
  int bits = 16;
  std::int64_t above = 0;
  while (bits > 8 && (above + count_of_bits[static_cast<std::size_t>(bits)]) * 1000 <= total)
    above += count_of_bits[static_cast<std::size_t>(bits--)];
  plan_.significant_bits = bits;
}

void RasterSource::read_rows(const RowTaker& take) {
  if (info_.windowed || !decoded_.empty()) return ImageSource::read_rows(take);
  decode_rows([&](ImageU8 part, ImageU8 valid) { return take(repeat_grey(std::move(part)), std::move(valid)); });
}

// Of a file that only decodes as a whole. take: as that of read_rows(), but grey is not repeated.
void RasterSource::decode_rows(const RowTaker& take) {
  if (header_.jpeg_components > 0) {
    std::int64_t height = 0;
    decode_jpeg_rows(path_, [&](ImageU8 part) {
      height += part.height();
      if (part.width() != info_.width || height > info_.height) fail("the file changed while it was read");
      return take(std::move(part), ImageU8());
    });
    return;
  }
  // Few rows at a time, so that GDAL's cache still holds the alpha of the rows whose colours were read: one pass over the file.
  for (std::int64_t y = 0; y < info_.height; y += kDecodeRows) {
    const Rect rows{0, y, info_.width, std::min(kDecodeRows, info_.height - y)};
    ImageU8 part = colours(rows, 0);
    if (!take(std::move(part), has_mask_ ? valid_samples(rows, 0) : ImageU8())) return;
  }
}

void RasterSource::decode_whole() {
  if (!decoded_.empty()) return;
  ImageU8 pixels, valid;
  std::int64_t y = 0;
  decode_rows([&](ImageU8 part, ImageU8 part_valid) {
    if (pixels.empty()) pixels = ImageU8(info_.width, info_.height, part.channels());
    std::ranges::copy(part.samples(), pixels.row(y));
    if (valid.empty() && !part_valid.empty()) valid = ImageU8(info_.width, info_.height, 1);
    if (!valid.empty()) std::ranges::copy(part_valid.samples(), valid.row(y));
    y += part.height();
    return true;
  });
  if (y != info_.height) fail("the file changed while it was read");
  decoded_ = std::move(pixels), decoded_valid_ = std::move(valid);
  if (info_.bits == 8) dataset_.reset();        // its blocks leave GDAL's cache; 16 bits may be asked for in either form
}

void RasterSource::decode_whole16() {
  if (!decoded16_.empty()) return;
  ImageU16 pixels(info_.width, info_.height, static_cast<int>(plan_.bands.size()));
  for (std::int64_t y = 0; y < info_.height; y += kDecodeRows) {
    const ImageU16 part = stored<std::uint16_t>({0, y, info_.width, std::min(kDecodeRows, info_.height - y)}, 0);
    std::ranges::copy(part.samples(), pixels.row(y));
  }
  decoded16_ = std::move(pixels);
}

}  // namespace fovea
