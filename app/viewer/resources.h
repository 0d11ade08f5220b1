// Files the viewer needs at run time and writes on its own account.
#pragma once

#include <filesystem>

namespace fovea {

// Folder of the shaders: FOVEA_SHADERS, else beside the program (shaders/, ../share/fovea/shaders/), else the source tree's.
// Error{kEnvironment} if there is none.
std::filesystem::path shader_folder();

// Where pyramids and settings of this user are kept: XDG_CACHE_HOME/fovea, else ~/.cache/fovea, else a folder for temporary files.
std::filesystem::path user_cache_folder();

}  // namespace fovea
