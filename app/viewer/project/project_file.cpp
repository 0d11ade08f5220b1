#include "app/viewer/project/project_file.h"

#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "core/base/error.h"
#include "core/base/files.h"
#include "core/model/strict_json.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

constexpr const char* kFormat = "fovea-project/1";
constexpr std::size_t kMost_bytes = 16 << 20;
constexpr int kDeepest = 16;

std::string text_of(const json& project) { return project.dump(2, ' ', false, json::error_handler_t::replace) + "\n"; }

json read(const fs::path& path) {
  json project;
  try {
    project = parse_strict_json(read_text_file(path, kMost_bytes), kDeepest, path.string());
  } catch (const Error& error) {
    throw Error(ErrorKind::kInput, error.kind() == ErrorKind::kModel ? std::string(error.what()) + "; not a project" : error.what());
  }
  const auto fail = [&](const std::string& what) { throw Error(ErrorKind::kInput, path.string() + ": not a project: " + what); };
  if (!project.is_object()) fail("expected a JSON object");
  const json format = project.value("format", json());
  if (!format.is_string() || format.get<std::string>() != kFormat) fail(std::string("its format is not \"") + kFormat + "\"");
  if (!project.value("image", json()).is_string()) fail("it names no image");
  return project;
}

ProjectFile from_json(const json& project, const fs::path& folder) {
  ProjectFile file;
  file.image = (folder / project["image"].get<std::string>()).lexically_normal();
  if (const json key = project.value("image_key", json()); key.is_string()) file.image_key = key.get<std::string>();
  if (const json sections = project.value("sections", json()); sections.is_object()) file.sections = sections;
  return file;
}

}  // namespace

json to_json(const ProjectFile& project, const fs::path& folder) {
  return {{"format", kFormat},
          {"image", project.image.lexically_proximate(folder).string()},
          {"image_key", project.image_key},
          {"sections", project.sections}};
}

void save_project(const fs::path& path, const ProjectFile& project) {
  write_file_atomically(path, text_of(to_json(project, fs::absolute(path).parent_path())));
}

ProjectFile load_project(const fs::path& path) { return from_json(read(path), fs::absolute(path).parent_path()); }

void save_autosave(const fs::path& file, const ProjectFile& project, const fs::path& project_path) {
  std::error_code ignored;
  fs::create_directories(file.parent_path(), ignored);
  json saved = to_json(project, file.parent_path());
  saved["image"] = project.image.string();
  saved["project_path"] = project_path.string();
  write_file_atomically(file, text_of(saved));
}

Autosave load_autosave(const fs::path& file) {
  const json saved = read(file);
  const json path = saved.value("project_path", json());
  return {file, path.is_string() ? path.get<std::string>() : std::string(), from_json(saved, file.parent_path())};
}

fs::path own_autosave(const fs::path& folder) { return folder / (std::to_string(::getpid()) + kProjectExtension); }

fs::path find_abandoned_autosave(const fs::path& folder) {
  fs::path newest;
  fs::file_time_type newest_time;
  std::error_code code, ignored;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code)) {
    const fs::path path = entry->path();
    const int process = std::atoi(path.stem().c_str());
    if (path.extension() != kProjectExtension || process <= 0 || (::kill(process, 0) == 0 || errno != ESRCH)) continue;
    const auto time = entry->last_write_time(ignored);
    if (newest.empty() || time > newest_time) newest = path, newest_time = time;
  }
  return newest;
}

}  // namespace fovea
