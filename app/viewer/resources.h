// Files the viewer needs at run time and writes on its own account.
#pragma once

#include <filesystem>

namespace fovea {

// Folder of the shaders: FOVEA_SHADERS, else beside the program (shaders/, ../share/fovea/shaders/), else the source tree's.
// Error{kEnvironment} if there is none.
std::filesystem::path shader_folder();

// A font for all text: FOVEA_FONT, else beside the program, else of the unpacked sources; empty if there is none.
std::filesystem::path font_file();

// Where pyramids and unsaved projects of this user are kept: XDG_CACHE_HOME/fovea, else ~/.cache/fovea, else a folder for temporary files.
std::filesystem::path user_cache_folder();

// Where settings are kept: XDG_CONFIG_HOME/fovea, else ~/.config/fovea, else as user_cache_folder().
std::filesystem::path user_config_folder();

}  // namespace fovea
