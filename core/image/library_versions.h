// For people who report a bug.
#pragma once

#include <string>

namespace fovea {

std::string gdal_version();     // of the library that runs, "3.6.2"
std::string opencv_version();   // of the headers it was built with, "4.6.0"

}  // namespace fovea
