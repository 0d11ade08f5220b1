// A project on disk: which image, and what every part of the window keeps about it. JSON, "fovea-project/1".
#pragma once

#include <filesystem>
#include <string>

#include <nlohmann/json.hpp>

namespace fovea {

inline constexpr const char* kProjectExtension = ".fovea";

struct ProjectFile {
  std::filesystem::path image;             // absolute; in the file relative to its folder
  std::string image_key;                   // of the image's content (core/image/pyramid_cache.h): says whether it is still the same
  nlohmann::json sections = nlohmann::json::object();
};

nlohmann::json to_json(const ProjectFile& project, const std::filesystem::path& folder);
// Whole or not at all. Errors: Error{kEnvironment} "PATH: cannot write: ...".
void save_project(const std::filesystem::path& path, const ProjectFile& project);
// Errors: Error{kInput} "PATH: not a project: ...".
ProjectFile load_project(const std::filesystem::path& path);

// An autosaved project also knows whose it is.
struct Autosave {
  std::filesystem::path file;              // where it lies
  std::filesystem::path project_path;      // the project that was open; empty: none
  ProjectFile project;
};
void save_autosave(const std::filesystem::path& file, const ProjectFile& project, const std::filesystem::path& project_path);
Autosave load_autosave(const std::filesystem::path& file);
// Of processes that are gone without having ended properly, the newest; empty: none.
std::filesystem::path find_abandoned_autosave(const std::filesystem::path& folder);
std::filesystem::path own_autosave(const std::filesystem::path& folder);   // of this process

}  // namespace fovea
