#include "core/image/library_versions.h"

#include <gdal.h>

#include <opencv2/core/version.hpp>

namespace fovea {

std::string gdal_version() { return GDALVersionInfo("RELEASE_NAME"); }
std::string opencv_version() { return CV_VERSION; }

}  // namespace fovea
