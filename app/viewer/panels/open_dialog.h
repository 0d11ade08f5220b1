// Open: the system's file dialog where there is one, else a small one of our own.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace fovea {

class OpenDialog {
 public:
  explicit OpenDialog(std::function<void(const std::filesystem::path&)> chosen);
  ~OpenDialog();
  void open(const std::filesystem::path& folder);
  // The in-app one whatever the system has: for tests, and for folders that the system's dialog does not reach.
  void open_in_app(const std::filesystem::path& folder);
  // Once a frame.
  void show();

 private:
  struct Native;
  void list(const std::filesystem::path& folder);
  void show_in_app();

  std::function<void(const std::filesystem::path&)> chosen_;
  std::unique_ptr<Native> native_;
  std::filesystem::path folder_;
  std::vector<std::filesystem::path> folders_, images_;
  std::string typed_, problem_;
  bool opening_ = false;
};

}  // namespace fovea
