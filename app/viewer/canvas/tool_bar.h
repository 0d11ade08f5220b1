// The tools as buttons, at the right end of the menu bar.
#pragma once

#include "app/viewer/canvas/tool.h"

namespace fovea {

// In the menu bar's row; nothing where there is no room for all of them.
void show_tool_bar(ToolBox& tools);

}  // namespace fovea
