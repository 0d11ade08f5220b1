// What the project keeps beside layers: where one looks, how layers are compared, which model is asked.
#pragma once

#include "app/viewer/project/history.h"
#include "app/viewer/workspace.h"

namespace fovea {

ProjectSection camera_section(Workspace& workspace);       // "view"
ProjectSection comparison_section(Workspace& workspace);   // "comparison"
ProjectSection model_section(Workspace& workspace);        // "model"

}  // namespace fovea
