// Files that appear under their final name only when they are whole.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace fovea {

// A temporary file beside its target. Write to path(), then commit(): fsync, rename over the target, fsync of the folder.
// Destroyed without commit(), it removes the temporary. Errors: Error{kEnvironment} "TARGET: cannot write: REASON".
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path target);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  // Same folder and same extension as the target (some writers choose the format by it): ".NAME.PID-K.partial.EXT".
  const std::filesystem::path& path() const noexcept { return temporary_; }
  void commit();

 private:
  std::filesystem::path target_, temporary_;
  bool committed_ = false;
};

// The target of a temporary as AtomicFile names them, whoever made it; none for any other name.
std::optional<std::filesystem::path> target_of_temporary(const std::filesystem::path& file);

// Whole small files. Errors: Error{kInput} "PATH: REASON" on reading, Error{kEnvironment} on writing.
std::string read_text_file(const std::filesystem::path& path, std::size_t max_bytes = 256u << 20);
void write_file_atomically(const std::filesystem::path& target, std::string_view content);

}  // namespace fovea
