// The stack of layers at full resolution, written row by row: an image of any size in memory of a few rows.
#pragma once

#include <filesystem>
#include <memory>
#include <stop_token>
#include <vector>

#include "app/viewer/layers/layer_list.h"
#include "core/base/progress.h"
#include "core/image/image_source.h"

namespace fovea {

struct PictureOptions {
  std::filesystem::path path;              // .jpg, .png, .tif
  Rect area;                               // pixels of level 0
  GeoReference georeference = {};          // of the image; moved to the area. TIFF only
};

// What is visible now, bottom first. Errors: of opening the image again.
std::vector<std::unique_ptr<LayerRows>> rows_of(const LayerList& layers);

// Progress in rows. Errors: Error{kInput} from reading, Error{kEnvironment} from writing, Error{kCancelled}: nothing is left then.
void write_picture(const PictureOptions& options, const std::vector<std::unique_ptr<LayerRows>>& layers, Progress& progress,
                   const std::stop_token& stop);

// Formats that pictures are written in, the first one suggested.
std::vector<std::string> picture_extensions();

}  // namespace fovea
