// The panel "Histogram": the values in sight, and which of them are black and white.
#pragma once

#include "app/viewer/workspace.h"

namespace fovea {

void add_histogram_panel(Workspace& workspace);

}  // namespace fovea
