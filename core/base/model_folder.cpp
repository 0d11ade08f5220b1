#include "core/base/model_folder.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>
#include <system_error>

#include "core/base/error.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

bool is_model(const fs::path& folder) {
  std::error_code code;
  return fs::exists(folder / "config.json", code);
}

std::string available_models(const std::vector<fs::path>& folders) {
  std::vector<std::string> names;
  for (const fs::path& folder : folders) {
    std::error_code code;
    for (fs::directory_iterator it(folder, code), end; !code && it != end; it.increment(code)) {
      if (is_model(it->path())) names.push_back(it->path().filename().string());
    }
  }
  std::sort(names.begin(), names.end());
  std::string list;
  for (const std::string& name : names) list += (list.empty() ? "" : ", ") + name;
  return list;
}

}  // namespace

std::vector<fs::path> model_search_path() {
  std::vector<fs::path> candidates;
  if (const char* variable = std::getenv("FOVEA_MODELS")) {
    std::istringstream parts(variable);
    for (std::string part; std::getline(parts, part, ':');) {
      if (!part.empty()) candidates.emplace_back(part);
    }
  }
  std::error_code code;
  const fs::path program_folder = fs::read_symlink("/proc/self/exe", code).parent_path();
  candidates.push_back(program_folder.parent_path() / "share/fovea/models");
  candidates.push_back(program_folder.parent_path().parent_path() / "assets/models");   // from build/PRESET/
  std::erase_if(candidates, [](const fs::path& folder) { std::error_code ignored; return !fs::is_directory(folder, ignored); });
  return candidates;
}

fs::path find_model(const std::string& name_or_path) {
  std::error_code code;
  if (fs::is_directory(name_or_path, code)) return name_or_path;
  const auto folders = model_search_path();
  for (const fs::path& folder : folders) {
    if (is_model(folder / name_or_path)) return folder / name_or_path;
  }
  const std::string models = available_models(folders);
  throw Error(ErrorKind::kModel, name_or_path + ": no such model" +
                                     (models.empty() ? "; there are none on the search path (FOVEA_MODELS)" : "; there are: " + models));
}

}  // namespace fovea
