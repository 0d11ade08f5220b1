#include "app/viewer/bench/camera_path.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace fovea {
namespace {

struct Station {
  double share;                // of the way
  double x, y;                 // of the image
  double zoom;                 // canvas pixels an image pixel; 0: fit
};

constexpr Station kStations[] = {
    {0.00, 0.50, 0.50, 0},    {0.05, 0.50, 0.50, 0},      // the whole image
    {0.15, 0.31, 0.27, 1},                                // down to 1:1
    {0.30, 0.38, 0.30, 1},                                // along at 1:1: 2,300 pixels to the right, 980 down
    {0.38, 0.382, 0.301, 8},  {0.42, 0.383, 0.302, 8},    // single pixels
    {0.52, 0.60, 0.55, 0.12},                             // out and across
    {0.62, 0.80, 0.60, 0.12},                             // fast along at an overview
    {0.70, 0.81, 0.62, 2},    {0.80, 0.83, 0.66, 2},      // in again and along
    {0.82, 0.15, 0.85, 0.5},                              // nearly a jump, as with the minimap
    {0.92, 0.25, 0.80, 0.5},                              // along
    {1.00, 0.50, 0.50, 0},                                // the whole image
};

double zoom_of(const Camera& camera, const Station& station) { return station.zoom > 0 ? station.zoom : camera.fit_zoom(); }

}  // namespace

void follow_path(Camera& camera, double share) {
  share = std::clamp(share, 0.0, 1.0);
  const Station* to =
      std::find_if(std::next(std::begin(kStations)), std::prev(std::end(kStations)), [&](const Station& s) { return s.share >= share; });
  const Station* from = std::prev(to);
  const double t = std::clamp((share - from->share) / (to->share - from->share), 0.0, 1.0);
  const double eased = t * t * (3 - 2 * t);
  const double zoom = zoom_of(camera, *from) * std::pow(zoom_of(camera, *to) / zoom_of(camera, *from), eased);
  camera.look_at(
      {(from->x + (to->x - from->x) * eased) * camera.image().width, (from->y + (to->y - from->y) * eased) * camera.image().height}, zoom);
  camera.jump_to_target();
}

}  // namespace fovea
