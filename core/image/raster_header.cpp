// What RasterSource learns and checks before it reads a pixel.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string_view>

#include "core/image/raster_source.h"

namespace fovea {
namespace {

constexpr double kMaxBlockBytes = 512 << 20;   // real tiles have a few megabytes

bool decodes_as_a_whole(std::string_view driver) { return driver == "JPEG" || driver == "PNG" || driver == "WEBP"; }

std::string_view readable_name(std::string_view driver) {
  return driver == "GTiff" ? "TIFF" : driver == "JP2OpenJPEG" ? "JPEG 2000" : driver == "WEBP" ? "WebP" : driver;
}

std::string describe_size(std::int64_t width, std::int64_t height) {
  return std::to_string(width) + " x " + std::to_string(height) + " pixels";
}

std::string in_gib(double bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f GiB", bytes / (1 << 30));
  return text;
}

}  // namespace

RasterSource::RasterSource(const std::filesystem::path& path, const FileHeader& header, const ImageLimits& limits)
    : path_(path), header_(header), max_kept_bytes_(limits.max_kept_bytes) {
  if (header.width >= 0 && header.height >= 0) check_size(header.width, header.height, limits);
  if (header.jpeg_components > 0 && header.jpeg_bits != 8) fail(std::to_string(header.jpeg_bits) + " bits a sample, expected 8");
  const gdal::ErrorScope errors;
  dataset_ = gdal::open(path, header.driver);
  if (!dataset_)
    fail("damaged or unsupported " + std::string(readable_name(header.driver)) + " file: " + errors.reason(path, "it cannot be opened"));
  info_.format = header.driver;
  info_.width = dataset_->GetRasterXSize(), info_.height = dataset_->GetRasterYSize();
  check_size(info_.width, info_.height, limits);
  info_.windowed = !decodes_as_a_whole(header.driver);
  read_samples();
  read_levels();
  if (info_.windowed) read_block_size();
  else check_decoded_bytes(limits);
  info_.georeference = gdal::georeference_of(*dataset_);
}

void RasterSource::fail(const std::string& what) const { throw Error(ErrorKind::kInput, path_.string() + ": " + what); }

void RasterSource::check_size(std::int64_t width, std::int64_t height, const ImageLimits& limits) const {
  const std::string size = describe_size(width, height);
  if (width <= 0 || height <= 0) fail(size + ", expected at least 1 x 1");
  if (width > limits.max_side || height > limits.max_side) fail(size + ", at most " + std::to_string(limits.max_side) + " a side");
  if (width * height > limits.max_pixels) fail(size + ", at most " + std::to_string(limits.max_pixels) + " in all");
  const double pixels = static_cast<double>(width) * static_cast<double>(height);
  if (header_.max_pixels_per_byte > 0 && pixels > header_.max_pixels_per_byte * static_cast<double>(header_.file_bytes)) {
    fail("truncated: " + std::to_string(header_.file_bytes) + " bytes cannot hold " + size);
  }
}

void RasterSource::read_samples() {
  const int count = dataset_->GetRasterCount();
  if (count == 0) fail("no pixels");
  const auto interpretation = [&](int number) { return dataset_->GetRasterBand(number)->GetColorInterpretation(); };
  const bool alpha_last = interpretation(count) == GCI_AlphaBand;
  const bool countable = count == 1 || count == 3 || count == 4 || (count == 2 && alpha_last);
  if (!countable) fail(std::to_string(count) + (count == 1 ? " band" : " bands") + ", expected 1, 3 or 4");
  GDALRasterBand& first = *dataset_->GetRasterBand(1);
  for (int number = 1; number <= count; ++number) {
    GDALRasterBand& band = *dataset_->GetRasterBand(number);
    const GDALDataType type = band.GetRasterDataType();
    const char* kind = band.GetMetadataItem("PIXELTYPE", "IMAGE_STRUCTURE");
    const bool is_signed = kind && std::string_view(kind) == "SIGNEDBYTE";
    if ((type != GDT_Byte && type != GDT_UInt16) || is_signed) {
      fail(std::string(is_signed ? "signed 8-bit" : GDALGetDataTypeName(type)) +
           " samples, expected unsigned 8 or 16 bits; gdal_translate -ot UInt16 -scale converts them");
    }
    if (type != first.GetRasterDataType()) fail("bands of different types");
  }
  info_.bits = first.GetRasterDataType() == GDT_Byte ? 8 : 16;
  info_.bands = header_.jpeg_components > 0 ? header_.jpeg_components : count;   // GDAL shows four inks as RGB
  info_.has_alpha = has_mask_ = alpha_last && count > 1;
  alpha_band_ = info_.has_alpha ? count : 0;
  plan_.significant_bits = info_.bits == 8 ? 8 : 0;
  if (const char* declared = first.GetMetadataItem("NBITS", "IMAGE_STRUCTURE")) {
    const int bits = std::atoi(declared);
    if (bits >= 1 && bits <= info_.bits) plan_.significant_bits = bits;
  }
  plan_.bands = {1};
  if (first.GetColorTable() && interpretation(1) == GCI_PaletteIndex) {
    read_palette(first);
  } else if (count >= 3) {
    plan_.bands = {1, 2, 3};
    // Files that say where red, green and blue are (blue first, as some sensors store them) are believed.
    std::vector<int> named;
    for (const auto colour : {GCI_RedBand, GCI_GreenBand, GCI_BlueBand}) {
      for (int number = 1; number <= count; ++number) if (interpretation(number) == colour) named.push_back(number);
    }
    if (named.size() == 3) plan_.bands = named;
  }
  for (const int number : plan_.bands) {
    if (dataset_->GetRasterBand(number)->GetMaskFlags() != GMF_ALL_VALID) has_mask_ = true;
  }
  int has_nodata = 0;
  const double nodata = first.GetNoDataValue(&has_nodata);
  if (has_nodata) info_.nodata = nodata;
}

void RasterSource::read_palette(GDALRasterBand& band) {
  if (info_.bits != 8) fail("a palette of 16-bit indices, expected 8 bits");
  const GDALColorTable& table = *band.GetColorTable();
  if (table.GetPaletteInterpretation() != GPI_RGB) fail("a palette that is not RGB");
  // Indices beyond the table are black, as in other readers.
  plan_.palette.assign(256, {0, 0, 0, 255});
  for (int i = 0; i < std::min(256, table.GetColorEntryCount()); ++i) {
    const GDALColorEntry& entry = *table.GetColorEntry(i);
    const auto sample = [](short value) { return static_cast<std::uint8_t>(std::clamp<int>(value, 0, 255)); };
    plan_.palette[static_cast<std::size_t>(i)] = {sample(entry.c1), sample(entry.c2), sample(entry.c3), sample(entry.c4)};
    if (entry.c4 == 0) has_mask_ = info_.has_alpha = true;
  }
  info_.bands = 3;
}

void RasterSource::read_levels() {
  info_.levels = {{info_.width, info_.height}};
  overview_of_level_ = {-1};
  if (!info_.windowed) return;   // JPEG's reduced decodes are not stored levels
  GDALRasterBand& first = *dataset_->GetRasterBand(plan_.bands[0]);
  for (int i = 0; i < first.GetOverviewCount(); ++i) {
    GDALRasterBand* overview = first.GetOverview(i);
    if (!overview || overview->GetRasterDataType() != first.GetRasterDataType()) continue;
    const std::int64_t width = overview->GetXSize(), height = overview->GetYSize();
    const auto& above = info_.levels.back();
    if (width < 1 || height < 1 || width > above.width || height > above.height || width * height == above.width * above.height) continue;
    info_.levels.push_back({width, height});
    overview_of_level_.push_back(i);
  }
}

// What one read must hold at least where the format has no windows.
void RasterSource::check_decoded_bytes(const ImageLimits& limits) const {
  const double pixels = static_cast<double>(info_.width) * static_cast<double>(info_.height);
  const double channels = plan_.bands.size() == 1 && plan_.palette.empty() ? 1 : 3;
  const double bytes = pixels * (channels + (has_mask_ ? 1 : 0) + header_.jpeg_transform_bytes_per_pixel);
  if (bytes <= static_cast<double>(limits.max_decoded_bytes)) return;
  fail(describe_size(info_.width, info_.height) + " that only decode in one piece of " + in_gib(bytes) + ", at most " +
       in_gib(static_cast<double>(limits.max_decoded_bytes)) + "; convert the image to a tiled TIFF");
}

// A tile may claim to be larger than its image. GDAL divides large strips itself.
void RasterSource::read_block_size() {
  int width = 0, height = 0;
  dataset_->GetRasterBand(1)->GetBlockSize(&width, &height);
  const double bytes = static_cast<double>(width) * height * dataset_->GetRasterCount() * info_.bits / 8;
  if (bytes > kMaxBlockBytes) {
    fail("tiles of " + describe_size(width, height) + ", at most " + in_gib(kMaxBlockBytes) + " in one piece");
  }
  info_.block_width = width, info_.block_height = height;
}

}  // namespace fovea
