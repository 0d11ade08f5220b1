// What the program has to say, over the lower left of the canvas: news for some seconds, errors until they are dismissed.
#pragma once

#include <imgui.h>

#include "app/viewer/messages.h"

namespace fovea {

// Windows of their own, over the area in ImGui's screen coordinates. Returns whether one of them will go by itself: look again soon.
bool show_toasts(Messages& messages, ImVec2 origin, ImVec2 size);

}  // namespace fovea
