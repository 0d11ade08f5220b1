// The recorded way over an image that `fovea bench view` takes: the same on every machine.
#pragma once

#include "app/viewer/canvas/camera.h"

namespace fovea {

// share: 0 to 1 of the way. Fit, down to single pixels, along, out again, jumps: what people do, faster than they do it.
// Sets the camera at once, without smoothing.
void follow_path(Camera& camera, double share);

}  // namespace fovea
