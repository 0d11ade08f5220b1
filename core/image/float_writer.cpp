#include "core/image/float_writer.h"

#include <cpl_string.h>

#include "core/base/files.h"
#include "core/image/gdal_support.h"
#include "core/image/write_error.h"

namespace fovea {

void write_float_tiff(const std::filesystem::path& path, const ImageF32& values, const GeoReference& georeference,
                      const std::string& description) {
  require(values.channels() == 1 && !values.empty(), "write_float_tiff: one channel, not empty");
  gdal::initialise();
  AtomicFile file(path);
  const gdal::ErrorScope errors;
  CPLStringList creation;
  creation.SetNameValue("TILED", "YES");
  creation.SetNameValue("COMPRESS", "DEFLATE");
  creation.SetNameValue("PREDICTOR", "3");   // for floating point
  creation.SetNameValue("BIGTIFF", "IF_SAFER");
  const auto width = static_cast<int>(values.width()), height = static_cast<int>(values.height());
  GDALDriver* driver = GetGDALDriverManager()->GetDriverByName("GTiff");
  gdal::DatasetPtr dataset(driver->Create(file.path().c_str(), width, height, 1, GDT_Float32, creation.List()));
  const auto fail = [&] {
    dataset.reset();
    fail_write(path, write_failure_reason(file.path(), errors.reason(file.path(), "GDAL gave no reason")));
  };
  if (!dataset) fail();
  gdal::set_georeference(*dataset, georeference, path);
  auto* band = dataset->GetRasterBand(1);
  band->SetDescription(description.c_str());
  // GDAL takes a pointer that it could write through; it does not when writing.
  auto* samples = const_cast<float*>(values.samples().data());
  if (band->RasterIO(GF_Write, 0, 0, width, height, samples, width, height, GDT_Float32, 0, 0, nullptr) != CE_None) fail();
  dataset->FlushCache(true);
  if (errors.failed()) fail();
  dataset.reset();
  if (errors.failed()) fail();
  file.commit();
}

GeoReference scaled_georeference(const GeoReference& georeference, double x, double y, double scale) {
  auto result = georeference;
  if (!result.geotransform) return result;
  auto& affine = *result.geotransform;
  affine[0] += affine[1] * x + affine[2] * y;
  affine[3] += affine[4] * x + affine[5] * y;
  for (const int term : {1, 2, 4, 5}) affine[static_cast<std::size_t>(term)] *= scale;
  return result;
}

}  // namespace fovea
