// Whether the open file is still what was opened.
#pragma once

#include <filesystem>
#include <string>

namespace fovea {

class FileWatch {
 public:
  void start(const std::filesystem::path& path);
  void stop() { path_.clear(); }
  // Looks at the disk once a second. What there is to say, once for each event: "scene.tif: gone from the disk ..."; "" for nothing.
  std::string look(double now_s);

 private:
  std::filesystem::path path_;
  std::filesystem::file_time_type time_;     // when it was opened, or when last spoken of
  bool gone_ = false;
  double next_look_s_ = 0;
};

}  // namespace fovea
