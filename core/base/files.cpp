#include "core/base/files.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>

#include "core/base/error.h"

namespace fovea {
namespace {

[[noreturn]] void fail_write(const std::filesystem::path& target, int code) {
  throw Error(ErrorKind::kEnvironment, target.string() + ": cannot write: " + std::strerror(code));
}

// rename() is durable only once both the file and the folder that names it have reached the disk.
void sync_path(const std::filesystem::path& path, int flags, const std::filesystem::path& target) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC);
  if (fd < 0) fail_write(target, errno);
  const int result = ::fsync(fd);
  const int code = errno;
  ::close(fd);
  // Some network and FUSE file systems cannot sync a folder; the rename itself is still atomic there.
  if (result != 0 && code != EINVAL && code != ENOTSUP) fail_write(target, code);
}

std::filesystem::path temporary_beside(const std::filesystem::path& target) {
  static std::atomic<unsigned> counter{0};
  std::string name = "." + target.stem().string() + "." + std::to_string(::getpid()) + "-" + std::to_string(counter++) + ".partial";
  return target.parent_path() / (name + target.extension().string());
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path target) : target_(std::move(target)), temporary_(temporary_beside(target_)) {}

AtomicFile::~AtomicFile() {
  if (committed_) return;
  std::error_code ignored;
  std::filesystem::remove(temporary_, ignored);
}

void AtomicFile::commit() {
  sync_path(temporary_, O_RDONLY, target_);
  if (std::rename(temporary_.c_str(), target_.c_str()) != 0) fail_write(target_, errno);
  committed_ = true;
  const auto folder = target_.has_parent_path() ? target_.parent_path() : std::filesystem::path(".");
  sync_path(folder, O_RDONLY | O_DIRECTORY, target_);
}

std::optional<std::filesystem::path> target_of_temporary(const std::filesystem::path& file) {
  static constexpr std::string_view kMark = ".partial", kNumber = "0123456789-";
  const std::string name = file.filename().string();
  const auto mark = name.rfind(kMark);
  if (!name.starts_with('.') || mark == std::string::npos) return std::nullopt;
  const auto stem_end = name.find_last_of('.', mark - 1);
  const bool numbered = stem_end != std::string::npos && stem_end > 0 && stem_end + 1 < mark &&
                        name.find_first_not_of(kNumber, stem_end + 1) == mark;
  if (!numbered) return std::nullopt;
  return file.parent_path() / (name.substr(1, stem_end - 1) + name.substr(mark + kMark.size()));
}

std::string read_text_file(const std::filesystem::path& path, std::size_t max_bytes) {
  std::error_code code;
  const auto size = std::filesystem::file_size(path, code);
  if (code) throw Error(ErrorKind::kInput, path.string() + ": " + code.message());
  if (size > max_bytes) throw Error(ErrorKind::kInput, path.string() + ": " + std::to_string(size) + " bytes, at most " + std::to_string(max_bytes) + " expected");
  std::ifstream file(path, std::ios::binary);
  if (!file) throw Error(ErrorKind::kInput, path.string() + ": " + std::strerror(errno));
  std::string content(size, '\0');
  file.read(content.data(), static_cast<std::streamsize>(size));
  if (static_cast<std::uintmax_t>(file.gcount()) != size) throw Error(ErrorKind::kInput, path.string() + ": could not be read to its end");
  return content;
}

void write_file_atomically(const std::filesystem::path& target, std::string_view content) {
  AtomicFile file(target);
  const int fd = ::open(file.path().c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) fail_write(target, errno);
  for (std::size_t done = 0; done < content.size();) {
    const ssize_t n = ::write(fd, content.data() + done, content.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) { const int code = errno; ::close(fd); fail_write(target, code); }
    done += static_cast<std::size_t>(n);
  }
  if (::close(fd) != 0) fail_write(target, errno);
  file.commit();
}

}  // namespace fovea
