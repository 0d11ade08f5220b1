// The line below the canvas: what is being saved, what is open, the tool and what is under the mouse.
#pragma once

#include "app/viewer/canvas/canvas_panel.h"
#include "app/viewer/workspace.h"

namespace fovea {

// The window and its contents, at ImGui's screen coordinates.
void show_status_line(Workspace& workspace, const CanvasState& canvas, ImVec2 place, ImVec2 size);

}  // namespace fovea
