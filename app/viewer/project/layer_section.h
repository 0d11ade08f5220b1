// The layers' styles and order as a section of the project: what undo brings back.
#pragma once

#include "app/viewer/project/history.h"
#include "app/viewer/workspace.h"

namespace fovea {

ProjectSection layer_section(Workspace& workspace);

}  // namespace fovea
