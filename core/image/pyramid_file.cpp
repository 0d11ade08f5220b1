#include "core/image/pyramid_file.h"

#include <cpl_string.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "core/base/files.h"
#include "core/base/progress.h"
#include "core/image/gdal_support.h"
#include "core/image/write_error.h"

namespace fovea {
namespace {

constexpr int kTile = 256;

}  // namespace

struct PyramidFile::State {
  Options options;
  std::optional<AtomicFile> file;
  gdal::DatasetPtr dataset;            // after the file: closed before the temporary is removed
  std::int64_t rows_written = 0;

  [[noreturn]] void fail(const gdal::ErrorScope& errors) {
    dataset.reset();
    fail_write(options.path, write_failure_reason(file->path(), errors.reason(file->path(), "GDAL gave no reason")));
  }

  void create() {
    const gdal::ErrorScope errors;
    CPLStringList creation;
    creation.SetNameValue("TILED", "YES");
    creation.SetNameValue("BLOCKXSIZE", std::to_string(kTile).c_str());
    creation.SetNameValue("BLOCKYSIZE", std::to_string(kTile).c_str());
    creation.SetNameValue("COMPRESS", "DEFLATE");
    creation.SetNameValue("ZLEVEL", "1");       // a cache: written once, thrown away, read often
    creation.SetNameValue("PREDICTOR", "2");
    creation.SetNameValue("INTERLEAVE", "PIXEL");
    creation.SetNameValue("PHOTOMETRIC", "RGB");
    creation.SetNameValue("BIGTIFF", "IF_SAFER");
    GDALDriver* driver = GetGDALDriverManager()->GetDriverByName("GTiff");
    const GDALDataType type = options.bits == 8 ? GDT_Byte : GDT_UInt16;
    dataset.reset(
        driver->Create(file->path().c_str(), static_cast<int>(options.width), static_cast<int>(options.height), 3, type, creation.List()));
    if (!dataset || errors.failed()) fail(errors);
  }

  template <class Sample>
  void write(const BasicImage<Sample>& rows) {
    require(rows.width() == options.width && rows.channels() == 3 && options.bits == 8 * static_cast<int>(sizeof(Sample)),
            "rows do not fit the pyramid");
    require(rows_written + rows.height() <= options.height, "more rows than the pyramid has");
    const gdal::ErrorScope errors;
    constexpr auto kSample = static_cast<GSpacing>(sizeof(Sample));
    const auto width = static_cast<int>(rows.width()), height = static_cast<int>(rows.height());
    const CPLErr result = dataset->RasterIO(
        GF_Write, 0, static_cast<int>(rows_written), width, height, const_cast<Sample*>(rows.samples().data()), width, height,
        sizeof(Sample) == 1 ? GDT_Byte : GDT_UInt16, 3, nullptr, 3 * kSample, 3 * kSample * width, kSample, nullptr);
    rows_written += rows.height();
    // Whole rows of tiles leave GDAL's cache now, so that a full disk is noticed at this row.
    if (rows_written % kTile == 0) dataset->FlushCache(false);
    if (result != CE_None || errors.failed()) fail(errors);
  }
};

PyramidFile::PyramidFile(const Options& options) : state_(std::make_unique<State>()) {
  require(options.width > 0 && options.height > 0 && (options.bits == 8 || options.bits == 16), "a pyramid has pixels of 8 or 16 bits");
  gdal::initialise();
  state_->options = options;
  state_->file.emplace(options.path);
  state_->create();
}

PyramidFile::~PyramidFile() = default;

void PyramidFile::append(const ImageU8& rows) { state_->write(rows); }
void PyramidFile::append(const ImageU16& rows) { state_->write(rows); }

void PyramidFile::finish(const std::stop_token& stop) {
  State& state = *state_;
  require(state.rows_written == state.options.height, "the pyramid lacks rows");
  const gdal::ErrorScope errors;
  state.dataset->FlushCache(false);
  std::vector<int> factors;
  const std::int64_t side = std::max(state.options.width, state.options.height);
  for (int factor = 2; 2 * side / factor > state.options.coarsest_side; factor *= 2) factors.push_back(factor);
  const auto go_on = [](double, const char*, void* token) -> int { return !static_cast<const std::stop_token*>(token)->stop_requested(); };
  const auto count = static_cast<int>(factors.size());
  const bool built = factors.empty() || state.dataset->BuildOverviews("AVERAGE", count, factors.data(), 0, nullptr, go_on,
                                                                      const_cast<std::stop_token*>(&stop), nullptr) == CE_None;
  throw_if_stopped(stop);
  if (!built) state.fail(errors);
  state.dataset.reset();   // the last bytes are written here
  if (errors.failed()) state.fail(errors);
  state.file->commit();
}

}  // namespace fovea
