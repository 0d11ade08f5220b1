// The panel "Layers": eye, opacity, blend, colours, range and order of every layer.
#pragma once

#include "app/viewer/workspace.h"

namespace fovea {

// Adds the panel and its actions to the workspace.
void add_layers_panel(Workspace& workspace);

}  // namespace fovea
