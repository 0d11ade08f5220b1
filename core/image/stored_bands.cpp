#include "core/image/stored_bands.h"

#include <algorithm>

#include "core/image/copy_rows.h"
#include "core/image/file_header.h"
#include "core/image/gdal_support.h"

namespace fovea {

struct StoredBands::State {
  std::filesystem::path path;
  gdal::DatasetPtr dataset;
  BandsInfo info;
  std::vector<int> overview_of_level;        // -1 for level 0
  ImageU8 decoded;                           // of PNG, after the first read

  [[noreturn]] void fail(const std::string& what) const { throw Error(ErrorKind::kInput, path.string() + ": " + what); }
  void read_header(const FileHeader& header);
  void read_levels();
  void read_palette(GDALRasterBand& band);
  void read_names();
  ImageU8 stored(const Rect& rect, GDALRasterBand& band, ImageInfo::Level size) const;
  GDALRasterBand& band_at(int level, int band) const;
  void require_inside(const Rect& rect, int level, int band) const;
};

void StoredBands::State::read_header(const FileHeader& header) {
  const std::string driver = header.driver;
  if (driver != "PNG" && driver != "GTiff") fail("a class map is a PNG or a TIFF");
  const gdal::ErrorScope errors;
  dataset = gdal::open(path, header.driver);
  if (!dataset) fail("damaged or unsupported: " + errors.reason(path, "it cannot be opened"));
  info.width = dataset->GetRasterXSize(), info.height = dataset->GetRasterYSize(), info.bands = dataset->GetRasterCount();
  if (info.bands < 1) fail("no pixels");
  for (int band = 1; band <= info.bands; ++band) {
    if (dataset->GetRasterBand(band)->GetRasterDataType() != GDT_Byte) {
      fail("samples of more than 8 bits, expected class indices or probabilities");
    }
  }
  if (driver == "PNG" && info.bands != 1) fail(std::to_string(info.bands) + " bands, expected one: class indices");
  if (driver == "PNG" && info.width * info.height > kMaxDecodedPixels) {
    fail("too large for a PNG that decodes in one piece; convert it to a tiled TIFF");
  }
  GDALRasterBand& first = *dataset->GetRasterBand(1);
  if (info.bands == 1 && first.GetColorTable()) read_palette(first);
  int has_nodata = 0;
  const double nodata = first.GetNoDataValue(&has_nodata);
  if (has_nodata && nodata >= 0 && nodata <= 255) info.nodata = static_cast<int>(nodata);
  read_levels();
  read_names();
  info.georeference = gdal::georeference_of(*dataset);
}

void StoredBands::State::read_palette(GDALRasterBand& band) {
  const GDALColorTable& table = *band.GetColorTable();
  const auto sample = [](short value) { return static_cast<std::uint8_t>(std::clamp<int>(value, 0, 255)); };
  for (int i = 0; i < std::min(256, table.GetColorEntryCount()); ++i) {
    const GDALColorEntry& entry = *table.GetColorEntry(i);
    info.palette.push_back({sample(entry.c1), sample(entry.c2), sample(entry.c3)});
  }
}

// Only halves count: tiles of the levels between are read from the next finer one.
void StoredBands::State::read_levels() {
  info.levels = {{info.width, info.height}};
  overview_of_level = {-1};
  GDALRasterBand& first = *dataset->GetRasterBand(1);
  for (int i = 0; i < first.GetOverviewCount(); ++i) {
    GDALRasterBand* overview = first.GetOverview(i);
    const auto& above = info.levels.back();
    if (!overview || overview->GetXSize() != (above.width + 1) / 2 || overview->GetYSize() != (above.height + 1) / 2) continue;
    info.levels.push_back({overview->GetXSize(), overview->GetYSize()});
    overview_of_level.push_back(i);
  }
}

void StoredBands::State::read_names() {
  for (int i = 0; i < 256; ++i) {
    const char* name = dataset->GetMetadataItem(("CLASS_" + std::to_string(i)).c_str());
    if (!name) break;
    info.names.emplace_back(name);
  }
}

ImageU8 StoredBands::State::stored(const Rect& rect, GDALRasterBand& band, ImageInfo::Level size) const {
  ImageU8 image(size.width, size.height, 1);
  const gdal::ErrorScope errors;
  const CPLErr result = band.RasterIO(GF_Read, static_cast<int>(rect.x), static_cast<int>(rect.y), static_cast<int>(rect.width),
                                      static_cast<int>(rect.height), image.samples().data(), static_cast<int>(size.width),
                                      static_cast<int>(size.height), GDT_Byte, 0, 0, nullptr);
  if (result != CE_None || errors.failed()) fail("truncated or damaged: " + errors.reason(path, "pixels cannot be read"));
  return image;
}

StoredBands::StoredBands(const std::filesystem::path& path) : state_(std::make_unique<State>()) {
  gdal::initialise();
  state_->path = path;
  state_->read_header(read_file_header(path));
}

StoredBands::~StoredBands() = default;
const BandsInfo& StoredBands::info() const { return state_->info; }

void StoredBands::State::require_inside(const Rect& rect, int level, int band) const {
  require(level >= 0 && level < static_cast<int>(info.levels.size()) && band >= 0 && band < info.bands, "no such level or band");
  const auto& size = info.levels[static_cast<std::size_t>(level)];
  require(rect.x >= 0 && rect.y >= 0 && rect.width > 0 && rect.height > 0 && rect.x <= size.width - rect.width &&
              rect.y <= size.height - rect.height,
          "the window leaves the level");
}

GDALRasterBand& StoredBands::State::band_at(int level, int band) const {
  GDALRasterBand* full = dataset->GetRasterBand(band + 1);
  const int overview = overview_of_level[static_cast<std::size_t>(level)];
  GDALRasterBand* source = overview < 0 ? full : full->GetOverview(overview);
  if (!source) fail("an overview cannot be read");
  return *source;
}

ImageU8 StoredBands::read(const Rect& rect, int level, int band) {
  State& state = *state_;
  state.require_inside(rect, level, band);
  if (std::string_view(state.dataset->GetDriverName()) != "PNG") {
    return state.stored(rect, state.band_at(level, band), {rect.width, rect.height});
  }
  const BandsInfo& info = state.info;
  if (state.decoded.empty()) state.decoded = state.stored({0, 0, info.width, info.height}, state.band_at(0, 0), {info.width, info.height});
  return part_of(state.decoded, rect);
}

ImageU8 StoredBands::read_some(const Rect& rect, int level, int band, ImageInfo::Level size) {
  state_->require_inside(rect, level, band);
  require(size.width > 0 && size.height > 0 && size.width <= rect.width && size.height <= rect.height,
          "some of the samples are at most all of them");
  return state_->stored(rect, state_->band_at(level, band), size);
}

}  // namespace fovea
