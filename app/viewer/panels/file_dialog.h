// Choosing a file to open or to write: the system's dialog where there is one, else a small one of our own.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace fovea {

enum class FilePurpose { kOpen, kSave };

struct FileQuestion {
  FilePurpose purpose = FilePurpose::kOpen;
  std::string title = "Open";
  std::filesystem::path start = {};          // kOpen: a folder; kSave: the suggested file
  std::vector<std::string> extensions = {};  // ".png": what may be chosen; kSave: the first one is added to names that have none of them
  std::function<void(const std::filesystem::path&)> chosen;
};

class FileDialog {
 public:
  FileDialog();
  ~FileDialog();
  enum class Kind { kSystem, kOwn };
  // kOwn: for tests, and for folders that the system's dialog does not reach. A dialog that is open already is closed.
  void ask(FileQuestion question, Kind kind = Kind::kSystem);
  // Once a frame.
  void show();
  bool is_open() const { return native_ || open_; }

 private:
  struct Native;
  void list(const std::filesystem::path& folder);
  void show_own();
  void show_files(std::filesystem::path& go, std::filesystem::path& take);
  void show_open(std::filesystem::path& take);
  void show_save(std::filesystem::path& take);
  void finish(const std::filesystem::path& file);
  bool is_wanted(const std::filesystem::path& file) const;

  FileQuestion question_;
  std::unique_ptr<Native> native_;
  std::filesystem::path folder_;
  std::vector<std::filesystem::path> folders_, files_;
  std::filesystem::path marked_;       // the file that was clicked
  std::string typed_, name_, problem_;
  bool opening_ = false, open_ = false;
};

}  // namespace fovea
