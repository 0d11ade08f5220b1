#include "app/viewer/project/file_watch.h"

namespace fovea {
namespace {

constexpr double kLookEvery_s = 1;

}  // namespace

void FileWatch::start(const std::filesystem::path& path) {
  std::error_code ignored;
  path_ = path;
  time_ = std::filesystem::last_write_time(path, ignored);
  gone_ = false;
}

std::string FileWatch::look(double now_s) {
  if (path_.empty() || now_s < next_look_s_) return {};
  next_look_s_ = now_s + kLookEvery_s;
  const std::string name = path_.filename().string();
  std::error_code code;
  const auto time = std::filesystem::last_write_time(path_, code);
  const bool was_gone = gone_;
  gone_ = static_cast<bool>(code);
  if (gone_ && !was_gone) {
    return name + ": gone from the disk (" + code.message() + "); what was read stays, F5 opens it again once it is back";
  }
  if (gone_ || (!was_gone && time == time_)) return {};
  time_ = time;
  return name + ": changed on the disk; F5 shows it as it is now";
}

}  // namespace fovea
