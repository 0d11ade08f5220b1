// What the canvas shows while nothing is open: how to begin.
#pragma once

#include <filesystem>

#include "app/viewer/workspace.h"

namespace fovea {

// Inside the canvas window. The recent file that was chosen in this frame; empty: none.
std::filesystem::path show_start_page(const Workspace& workspace);

}  // namespace fovea
