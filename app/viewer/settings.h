// What the program remembers of a person: recent files, theme, budgets. Kept as JSON in the folder of settings.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "app/viewer/theme.h"

namespace fovea {

struct Settings {
  static constexpr std::size_t kRecent = 12;
  static constexpr std::int64_t kMegabyte = std::int64_t{1} << 20;

  Theme theme = Theme::kDark;
  std::int64_t video_memory_bytes = 512 * kMegabyte;
  std::int64_t memory_bytes = 1024 * kMegabyte;
  std::int64_t pyramid_cache_bytes = 4096 * kMegabyte;   // on disk
  bool minimap = true, scale_bar = true;
  bool system_dialogs = true;                  // for files; else the program's own
  std::vector<std::filesystem::path> recent;   // newest first

  void remember(const std::filesystem::path& path);
  bool forget(const std::filesystem::path& path);
};

// Defaults for whatever the file lacks or has wrong; a file that is no JSON counts as missing.
Settings load_settings(const std::filesystem::path& file);
// Whole or not at all. Errors: Error{kEnvironment}.
void save_settings(const std::filesystem::path& file, const Settings& settings);

}  // namespace fovea
