#include "tests/image/float_planes.h"

#include <gdal_priv.h>

#include <stdexcept>

#include "core/image/gdal_support.h"

namespace fovea::test {

FloatPlane read_float_plane(const std::filesystem::path& path) {
  gdal::initialise();
  const auto dataset = gdal::open(path, "GTiff");
  if (!dataset || dataset->GetRasterCount() != 1 || dataset->GetRasterBand(1)->GetRasterDataType() != GDT_Float32) {
    throw std::runtime_error(path.string() + ": not one band of float32");
  }
  auto* band = dataset->GetRasterBand(1);
  FloatPlane plane{.width = band->GetXSize(), .height = band->GetYSize()};
  plane.values.resize(static_cast<std::size_t>(plane.width * plane.height));
  const int width = band->GetXSize(), height = band->GetYSize();
  if (band->RasterIO(GF_Read, 0, 0, width, height, plane.values.data(), width, height, GDT_Float32, 0, 0, nullptr) != CE_None) {
    throw std::runtime_error(path.string() + ": cannot be read");
  }
  plane.georeference = gdal::georeference_of(*dataset);
  plane.description = band->GetDescription();
  return plane;
}

}  // namespace fovea::test
