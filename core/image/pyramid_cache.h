// The folder in which pyramids are kept: names by content, a budget, no litter.
#pragma once

#include <cstdint>
#include <filesystem>

namespace fovea {

// A name in the folder that follows the file's content, so that a copy or a moved file finds it: all bytes up to 64 MB; of larger files the
// size, the time of change and 256 samples of 64 KB. An unreadable file gets a name too; opening it says what is wrong.
std::filesystem::path pyramid_cache_file(const std::filesystem::path& image, const std::filesystem::path& folder);

// Marks a cache file as used now.
void touch_pyramid(const std::filesystem::path& cache_file);

// Removes the files that were not used for longest until the rest has at most budget_bytes, and what builds that did not end left behind
// (a process that is gone). `in_use` stays. Never fails: what cannot be removed stays. Returns the bytes that are left.
std::int64_t trim_pyramids(const std::filesystem::path& folder, std::int64_t budget_bytes, const std::filesystem::path& in_use);

}  // namespace fovea
