#include "app/viewer/model_choice.h"

#include <imgui.h>

#include <algorithm>

#include "app/viewer/theme.h"
#include "core/base/model_folder.h"

namespace fovea {
namespace {

// A folder is named by its last part, a name by itself.
std::string label_of(const std::string& model) {
  const std::filesystem::path path(model);
  return path.has_parent_path() ? path.filename().string() : model;
}

}  // namespace

std::vector<std::string> installed_models() {
  std::vector<std::string> names;
  for (const auto& folder : model_search_path()) {
    std::error_code code;
    for (std::filesystem::directory_iterator it(folder, code), end; !code && it != end; it.increment(code)) {
      if (is_model_folder(it->path())) names.push_back(it->path().filename().string());
    }
  }
  std::ranges::sort(names);
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

bool is_model_folder(const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::is_directory(path, ignored) && std::filesystem::exists(path / "config.json", ignored);
}

std::string model_for_project(const std::string& model, const std::filesystem::path& image_folder) {
  constexpr const char* kTooFar = "../../..";
  const std::filesystem::path path(model);
  if (!path.is_absolute()) return model;
  const std::string way = path.lexically_proximate(image_folder).string();
  if (way.starts_with(kTooFar)) return model;
  return way.find('/') == std::string::npos ? "./" + way : way;   // a bare name is an installed model's
}

std::string model_of_project(const std::string& saved, const std::filesystem::path& image_folder) {
  return saved.find('/') == std::string::npos ? saved : (image_folder / saved).lexically_normal().string();
}

ModelChoice::ModelChoice() : offered(installed_models()) {
  const bool shipped = std::ranges::find(offered, name) != offered.end();
  if (!shipped && !offered.empty()) name = offered.front();
}

void ModelChoice::choose(const std::string& name_or_folder) {
  name = name_or_folder;
  if (std::ranges::find(offered, name) == offered.end()) offered.push_back(name);
}

bool show_model_combo(ModelChoice& choice) {
  bool changed = false;
  if (ImGui::BeginCombo("Model", label_of(choice.name).c_str())) {
    for (const std::string& name : choice.offered) {
      if (ImGui::Selectable((label_of(name) + "##" + name).c_str(), name == choice.name)) {
        changed = choice.name != name;
        choice.name = name;
      }
      ImGui::SetItemTooltip("%s", name.c_str());
    }
    if (choice.offered.empty()) ImGui::TextColored(theme_colours().muted, "No model is installed: drop a model's folder here");
    ImGui::EndCombo();
  }
  ImGui::SetItemTooltip("Drop a model's folder on the window to add it");
  return changed;
}

}  // namespace fovea
