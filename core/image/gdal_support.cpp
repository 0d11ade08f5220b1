#include "core/image/gdal_support.h"

#include <cpl_conv.h>
#include <gdal_frmts.h>
#include <ogr_spatialref.h>

#include <algorithm>
#include <mutex>
#include <string_view>
#include <system_error>
#include <vector>

namespace fovea::gdal {
namespace {

// Blocks that neighbouring windows share are worth keeping; more than this only grows the process. Covers a row of 512-pixel RGB tiles
// of an image 160,000 pixels wide.
constexpr GIntBig kBlockCacheBytes = GIntBig{256} << 20;

// Values set here win over environment variables of the same name.
constexpr const char* kOptions[][2] = {
    {"GDAL_PAM_ENABLED", "NO"},               // .aux.xml beside an image must not change what is read, and none is written
    {"GTIFF_IGNORE_READ_ERRORS", "NO"},
    {"GDAL_ERROR_ON_LIBJPEG_WARNING", "NO"},  // ErrorScope judges them
    {"GTIFF_FORCE_RGBA", "NO"},
    {"GDAL_JPEG_TO_RGB", "YES"},
    {"GDAL_NUM_THREADS", "1"},                // parallelism is the caller's: images and bands of rows
    {"GDAL_TIFF_INTERNAL_MASK", "YES"},
    {"GDAL_TIFF_OVR_BLOCKSIZE", "512"},
    {"GDAL_VALIDATE_CREATION_OPTIONS", "YES"},
    {"CPL_DEBUG", "OFF"},
};

std::vector<std::string> allowed_siblings(const std::filesystem::path& path) {
  const std::string name = path.filename().string(), stem = path.stem().string();
  std::vector<std::string> names = {name};
  std::vector<std::string> candidates = {name + ".ovr"};
  for (const char* world_file : {".wld", ".tfw", ".jgw", ".pgw", ".j2w", ".bpw"}) candidates.push_back(stem + world_file);
  for (const auto& candidate : candidates) {
    std::error_code ignored;
    if (std::filesystem::is_regular_file(path.parent_path() / candidate, ignored)) names.push_back(candidate);
  }
  return names;
}

}  // namespace

void initialise() {
  static std::once_flag once;
  std::call_once(once, [] {
    for (const auto& [key, value] : kOptions) CPLSetConfigOption(key, value);
    GDALRegister_GTiff();
    GDALRegister_COG();
    GDALRegister_PNG();
    GDALRegister_JPEG();
    GDALRegister_JP2OpenJPEG();
    GDALRegister_BMP();
    GDALRegister_WEBP();
    GDALRegister_MEM();
    GDALSetCacheMax64(kBlockCacheBytes);
    CPLSetErrorHandler(CPLQuietErrorHandler);   // GDAL's own threads, which no ErrorScope reaches, do not write to the terminal
  });
}

ErrorScope::ErrorScope() { CPLPushErrorHandlerEx(&ErrorScope::receive, this); }
ErrorScope::~ErrorScope() { CPLPopErrorHandler(); }

void ErrorScope::receive(CPLErr level, CPLErrorNum, const char* text) {
  // libjpeg, also inside a TIFF, goes on after damage and delivers grey pixels. Stray bytes between segments are harmless.
  const std::string_view words = text;
  const bool names_damage = words.find("Corrupt JPEG data") != words.npos || words.find("Premature end of JPEG") != words.npos;
  if (level < CE_Failure && !(level == CE_Warning && names_damage && words.find("extraneous bytes") == words.npos)) return;
  auto* scope = static_cast<ErrorScope*>(CPLGetErrorHandlerUserData());
  if (!scope->failed_) scope->message_ = text;   // later failures are mostly consequences of the first
  scope->failed_ = true;
}

std::string ErrorScope::reason(const std::filesystem::path& path, const std::string& otherwise) const {
  std::string text = first_line(message_);
  text.erase(std::min(text.find(" (this warning can be turned"), text.size()));   // advice to who writes programs
  std::error_code ignored;
  for (const std::string& name : {std::filesystem::absolute(path, ignored).string(), path.string(), path.filename().string()}) {
    if (name.empty()) continue;
    for (const std::string& decorated : {"`" + name + "'", "'" + name + "'", "\"" + name + "\"", name}) {
      for (auto at = text.find(decorated); at != std::string::npos; at = text.find(decorated)) text.erase(at, decorated.size());
    }
  }
  const auto begin = text.find_first_not_of(" :,.");
  text.erase(0, begin == std::string::npos ? text.size() : begin);
  const auto end = text.find_last_not_of(" :,.");
  text.erase(end == std::string::npos ? 0 : end + 1);
  // libtiff and libpng take bytes of the file into their messages.
  std::replace_if(text.begin(), text.end(), [](unsigned char c) { return c < 0x20 || c > 0x7e; }, '?');
  return text.empty() ? otherwise : text;
}

DatasetPtr open(const std::filesystem::path& path, const char* driver) {
  initialise();
  // Absolute: a relative name such as GTIFF_DIR:1:x.tif would be read as a command.
  std::error_code ignored;
  const std::string name = std::filesystem::absolute(path, ignored).string();
  const auto siblings = allowed_siblings(name);
  std::vector<const char*> sibling_names;
  for (const auto& sibling : siblings) sibling_names.push_back(sibling.c_str());
  sibling_names.push_back(nullptr);
  const char* drivers[] = {driver, nullptr};
  const unsigned flags = GDAL_OF_RASTER | GDAL_OF_READONLY | GDAL_OF_VERBOSE_ERROR;
  return DatasetPtr(GDALDataset::Open(name.c_str(), flags, drivers, nullptr, sibling_names.data()));
}

GeoReference georeference_of(GDALDataset& dataset) {
  GeoReference result;
  std::array<double, 6> transform{};
  if (dataset.GetGeoTransform(transform.data()) == CE_None) result.geotransform = transform;
  if (const OGRSpatialReference* reference = dataset.GetSpatialRef()) {
    const char* const options[] = {"FORMAT=WKT2_2019", nullptr};
    char* text = nullptr;
    if (reference->exportToWkt(&text, options) == OGRERR_NONE && text) result.projection_wkt = text;
    CPLFree(text);
  }
  return result;
}

void set_georeference(GDALDataset& dataset, const GeoReference& georeference, const std::filesystem::path& path) {
  const auto fail = [&](const std::string& what) { throw Error(ErrorKind::kEnvironment, path.string() + ": cannot write: " + what); };
  if (georeference.geotransform) {
    auto transform = *georeference.geotransform;
    if (dataset.SetGeoTransform(transform.data()) != CE_None) fail("the geotransform was refused");
  }
  if (!georeference.projection_wkt.empty()) {
    OGRSpatialReference reference;
    reference.SetAxisMappingStrategy(OAMS_TRADITIONAL_GIS_ORDER);
    if (reference.importFromWkt(georeference.projection_wkt.c_str()) != OGRERR_NONE) fail("the coordinate reference system was refused");
    if (dataset.SetSpatialRef(&reference) != CE_None) fail("the coordinate reference system was refused");
  }
}

}  // namespace fovea::gdal
