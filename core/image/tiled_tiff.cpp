#include "core/image/tiled_tiff.h"

#include <cpl_string.h>

#include <algorithm>
#include <optional>

#include "core/base/files.h"
#include "core/image/gdal_support.h"
#include "core/image/parallel_deflate.h"
#include "core/image/write_error.h"

namespace fovea {
namespace {

// Rows of tiles of several bands are held at once: smaller tiles keep that in bounds.
std::int64_t tile_side(const TiledTiffOptions& options) { return options.bands == 1 ? 512 : 256; }

}  // namespace

struct TiledTiff::State {
  TiledTiffOptions options;
  std::int64_t tile;
  std::optional<AtomicFile> file;   // what is written by tiles
  gdal::DatasetPtr dataset;         // after the file: closed before the temporary is removed
  std::vector<GDALRasterBand*> bands;
  OverviewWriter overviews;
  ImageU8 pending;                  // rows of the current row of tiles
  std::int64_t pending_rows = 0, rows_written = 0;

  explicit State(const TiledTiffOptions& o) : options(o), tile(tile_side(o)), file(o.path), overviews(o.overviews, tile) {}

  // The scope is the calling function's, never a member: it belongs to a thread, and a writer may move between threads.
  [[noreturn]] void fail(const gdal::ErrorScope& errors) {
    dataset.reset();
    fail_write(options.path, write_failure_reason(file->path(), errors.reason(file->path(), "GDAL gave no reason")));
  }
  void check(const gdal::ErrorScope& errors) { if (errors.failed()) fail(errors); }

  void create() {
    const gdal::ErrorScope errors;
    CPLStringList creation;
    creation.SetNameValue("TILED", "YES");
    creation.SetNameValue("BLOCKXSIZE", std::to_string(tile).c_str());
    creation.SetNameValue("BLOCKYSIZE", std::to_string(tile).c_str());
    creation.SetNameValue("COMPRESS", "DEFLATE");
    creation.SetNameValue("BIGTIFF", "YES");
    creation.SetNameValue("NUM_THREADS", std::to_string(usual_compressors()).c_str());
    creation.SetNameValue("INTERLEAVE", "BAND");   // a reader that wants one class decodes one
    GDALDriver* driver = GetGDALDriverManager()->GetDriverByName("GTiff");
    dataset.reset(driver->Create(file->path().c_str(), static_cast<int>(options.width), static_cast<int>(options.height), options.bands,
                                 GDT_Byte, creation.List()));
    if (!dataset) fail(errors);
    gdal::set_georeference(*dataset, options.georeference, options.path);
    describe();
    for (int number = 1; number <= options.bands; ++number) bands.push_back(dataset->GetRasterBand(number));
    if (!overviews.begin(*dataset)) fail(errors);
    check(errors);
  }

  void describe() {
    GDALRasterBand& first = *dataset->GetRasterBand(1);
    if (!options.palette.empty()) {
      GDALColorTable table;
      for (std::size_t i = 0; i < options.palette.size(); ++i) {
        const Colour& colour = options.palette[i];
        const GDALColorEntry entry{colour.red, colour.green, colour.blue,
                                   static_cast<short>(static_cast<int>(i) == options.nodata ? 0 : 255)};
        table.SetColorEntry(static_cast<int>(i), &entry);
      }
      first.SetColorTable(&table);
    }
    if (options.nodata >= 0) first.SetNoDataValue(options.nodata);
    // GDAL keeps category names only in a sidecar file, which would be lost on the first copy.
    for (std::size_t i = 0; i < options.class_names.size(); ++i) {
      dataset->SetMetadataItem(("CLASS_" + std::to_string(i)).c_str(), options.class_names[i].c_str());
      const auto number = static_cast<int>(i) + 1;
      if (options.bands > 1 && number <= options.bands) dataset->GetRasterBand(number)->SetDescription(options.class_names[i].c_str());
    }
  }

  void flush_tiles() {
    if (pending_rows == 0) return;
    const gdal::ErrorScope errors;
    if (!write_band_rows(bands, rows_written, pending, pending_rows) || !overviews.append(pending, pending_rows)) fail(errors);
    check(errors);
    rows_written += pending_rows;
    pending_rows = 0;
  }

  // A cloud-optimised file has its overviews first, so it is a copy of the finished tiled one.
  void copy_cloud_optimized() {
    AtomicFile copy(options.path);
    CPLStringList creation;
    creation.SetNameValue("COMPRESS", "DEFLATE");
    creation.SetNameValue("BLOCKSIZE", std::to_string(tile).c_str());
    creation.SetNameValue("BIGTIFF", "YES");
    creation.SetNameValue("OVERVIEWS", "FORCE_USE_EXISTING");
    creation.SetNameValue("NUM_THREADS", std::to_string(usual_compressors()).c_str());
    {
      const gdal::ErrorScope errors;
      const gdal::DatasetPtr source = gdal::open(file->path(), "GTiff");
      GDALDriver* driver = GetGDALDriverManager()->GetDriverByName("COG");
      gdal::DatasetPtr written;
      if (source) written.reset(driver->CreateCopy(copy.path().c_str(), source.get(), FALSE, creation.List(), nullptr, nullptr));
      const bool complete = written != nullptr;
      written.reset();
      if (!complete || errors.failed())
        fail_write(options.path, write_failure_reason(copy.path(), errors.reason(copy.path(), "GDAL gave no reason")));
    }
    file.reset();
    copy.commit();
  }
};

TiledTiff::TiledTiff(const TiledTiffOptions& options) {
  require(options.width > 0 && options.height > 0 && options.width <= INT32_MAX && options.height <= INT32_MAX,
          "a TIFF's side is 1 to 2^31 - 1");
  require(options.bands > 0 && (options.palette.empty() || options.bands == 1), "a palette belongs to a single band");
  gdal::initialise();
  state_ = std::make_unique<State>(options);
  state_->pending = ImageU8(options.width, std::min(state_->tile, options.height), options.bands);
  state_->create();
}

TiledTiff::~TiledTiff() = default;

void TiledTiff::append(const ImageU8& rows) {
  State& state = *state_;
  require(rows.width() == state.options.width && rows.channels() == state.options.bands, "rows do not fit the TIFF");
  require(state.rows_written + state.pending_rows + rows.height() <= state.options.height, "more rows than the TIFF has");
  for (std::int64_t y = 0; y < rows.height();) {
    const std::int64_t count = std::min(rows.height() - y, state.pending.height() - state.pending_rows);
    std::copy(rows.row(y), rows.row(y) + count * rows.width() * rows.channels(), state.pending.row(state.pending_rows));
    y += count, state.pending_rows += count;
    if (state.pending_rows == state.pending.height()) state.flush_tiles();
  }
}

void TiledTiff::finish() {
  State& state = *state_;
  state.flush_tiles();
  require(state.rows_written == state.options.height, "the TIFF lacks rows");
  {
    const gdal::ErrorScope errors;
    state.dataset.reset();   // the last bytes are written here
    state.check(errors);
  }
  if (state.options.layout == TiffLayout::kCloudOptimized) state.copy_cloud_optimized();
  else state.file->commit();
}

}  // namespace fovea
