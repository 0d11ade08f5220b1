// Which model the window asks: one choice for attention and segmentation.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace fovea {

// Names on the search path (core/base/model_folder.h), sorted.
std::vector<std::string> installed_models();
// Whether it is a folder with a model's config.json.
// How a project names a model: folders near its image by the way from there, so that all may move together; others as they are.
std::string model_for_project(const std::string& model, const std::filesystem::path& image_folder);
std::string model_of_project(const std::string& saved, const std::filesystem::path& image_folder);

bool is_model_folder(const std::filesystem::path& path);

struct ModelChoice {
  std::string name = "aerial";           // a name on the search path, or a folder
  std::string device = "auto";           // auto, cpu, cuda, cuda:INDEX
  bool runs_on_cpu() const { return device == "cpu"; }
  std::vector<std::string> offered;      // installed ones, and folders that a person brought

  ModelChoice();                         // "aerial" if it is installed, else the first one
  // A folder that is not offered yet is from now on.
  void choose(const std::string& name_or_folder);
};

// A combo of the models; true if another was chosen.
bool show_model_combo(ModelChoice& choice);

}  // namespace fovea
