#include "app/viewer/resources.h"

#include <cstdlib>

#include "core/base/error.h"

namespace fovea {

std::filesystem::path shader_folder() {
  namespace fs = std::filesystem;
  if (const char* named = std::getenv("FOVEA_SHADERS")) return named;
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  for (const fs::path& folder : {program / "shaders", program / "../share/fovea/shaders", fs::path(FOVEA_SOURCE_DIR) / "shaders"}) {
    if (fs::exists(folder / "tile.vert", ignored)) return folder;
  }
  throw Error(ErrorKind::kEnvironment, "the folder of shaders is missing beside " + program.string() + "; FOVEA_SHADERS can name it");
}

std::filesystem::path font_file() {
  namespace fs = std::filesystem;
  if (const char* named = std::getenv("FOVEA_FONT")) return named;
  std::error_code ignored;
  const fs::path program = fs::read_symlink("/proc/self/exe", ignored).parent_path();
  const fs::path unpacked = fs::path(FOVEA_SOURCE_DIR) / ".deps/imgui/external/imgui-command-palette/imgui-command-palette/examples/fonts";
  for (const fs::path& folder : {program / "fonts", program / "../share/fovea/fonts", unpacked}) {
    if (fs::exists(folder / "NotoSans-Regular.ttf", ignored)) return folder / "NotoSans-Regular.ttf";
  }
  return {};
}

std::filesystem::path user_config_folder() {
  if (const char* config = std::getenv("XDG_CONFIG_HOME"); config && *config) return std::filesystem::path(config) / "fovea";
  if (const char* home = std::getenv("HOME"); home && *home) return std::filesystem::path(home) / ".config" / "fovea";
  return user_cache_folder();
}

std::filesystem::path user_cache_folder() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache && *cache) return std::filesystem::path(cache) / "fovea";
  if (const char* home = std::getenv("HOME"); home && *home) return std::filesystem::path(home) / ".cache" / "fovea";
  return std::filesystem::temp_directory_path() / "fovea-cache";
}

}  // namespace fovea
