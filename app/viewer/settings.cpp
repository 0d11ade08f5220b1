#include "app/viewer/settings.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "core/base/files.h"

namespace fovea {

void Settings::remember(const std::filesystem::path& path) {
  forget(path);
  recent.insert(recent.begin(), path);
  if (recent.size() > kRecent) recent.resize(kRecent);
}

bool Settings::forget(const std::filesystem::path& path) { return std::erase(recent, path) > 0; }

Settings load_settings(const std::filesystem::path& file) {
  Settings settings;
  try {
    const auto json = nlohmann::json::parse(read_text_file(file, 1 << 20));
    if (json.value("theme", "dark") == "light") settings.theme = Theme::kLight;
    const auto megabytes = [&](const char* name, std::int64_t bytes) {
      return std::clamp<std::int64_t>(json.value(name, bytes / Settings::kMegabyte), 64, 1 << 20) * Settings::kMegabyte;
    };
    settings.video_memory_bytes = megabytes("video_memory_mb", settings.video_memory_bytes);
    settings.memory_bytes = megabytes("memory_mb", settings.memory_bytes);
    settings.pyramid_cache_bytes = megabytes("disk_cache_mb", settings.pyramid_cache_bytes);
    settings.minimap = json.value("minimap", true);
    settings.scale_bar = json.value("scale_bar", true);
    settings.system_dialogs = json.value("system_dialogs", true);
    for (const auto& path : json.value("recent", nlohmann::json::array())) {
      if (path.is_string() && settings.recent.size() < Settings::kRecent) settings.recent.emplace_back(path.get<std::string>());
    }
  } catch (const std::exception&) {
    return settings;   // missing or spoilt: what was understood so far, defaults for the rest
  }
  return settings;
}

void save_settings(const std::filesystem::path& file, const Settings& settings) {
  nlohmann::json recent = nlohmann::json::array();
  for (const auto& path : settings.recent) recent.push_back(path.string());
  const nlohmann::json json{{"theme", theme_name(settings.theme)}, {"video_memory_mb", settings.video_memory_bytes / Settings::kMegabyte},
                            {"memory_mb", settings.memory_bytes / Settings::kMegabyte},
                            {"disk_cache_mb", settings.pyramid_cache_bytes / Settings::kMegabyte}, {"minimap", settings.minimap},
                            {"scale_bar", settings.scale_bar}, {"system_dialogs", settings.system_dialogs}, {"recent", recent}};
  std::error_code ignored;
  std::filesystem::create_directories(file.parent_path(), ignored);
  write_file_atomically(file, json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

}  // namespace fovea
