// The actions that need nothing but the workspace: undo, looking around, ways to compare, layers by digits.
#pragma once

#include "app/viewer/workspace.h"

namespace fovea {

void add_edit_actions(Workspace& workspace);
void add_view_actions(Workspace& workspace);
void add_layer_actions(Workspace& workspace);

}  // namespace fovea
