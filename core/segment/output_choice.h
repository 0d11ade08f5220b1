// Which files an image becomes, and how. No torch.
#pragma once

#include <vector>

#include "core/image/polygons.h"

namespace fovea {

enum class OutputKind {
  kMask,            // kMaskPng up to 2^28 pixels, kMaskTiff above
  kMaskPng,         // NAME_mask.png
  kMaskTiff,        // NAME_mask.tif, tiled BigTIFF
  kMaskCog,         // NAME_mask.tif, cloud-optimised GeoTIFF
  kPolygons,        // NAME.geojson
  kCoco,            // NAME_coco.json
  kProbabilities,   // NAME_probs.tif, one 8-bit band a class
  kOverlay,         // NAME_overlay.jpg, shrunk where JPEG cannot hold the image
};

struct OutputChoice {
  std::vector<OutputKind> kinds{OutputKind::kMask};
  PolygonCoordinates polygon_coordinates = PolygonCoordinates::kImage;
  double polygon_tolerance_pixels = 1;
};

}  // namespace fovea
