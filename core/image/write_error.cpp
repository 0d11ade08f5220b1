#include "core/image/write_error.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "core/base/error.h"

namespace fovea {

void fail_write(const std::filesystem::path& target, std::string_view reason) {
  throw Error(ErrorKind::kEnvironment, target.string() + ": cannot write: " + std::string(reason));
}

std::string write_failure_reason(const std::filesystem::path& path, std::string_view otherwise) {
  const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (fd < 0) return std::strerror(errno);
  // As much as a codec's buffer: the last free block may still take a single one.
  static constexpr std::array<char, 1 << 16> kProbe{};
  std::string reason = otherwise.empty() ? "unknown error" : first_line(otherwise);
  for (int i = 0; i < 16; ++i) {
    const ssize_t written = ::write(fd, kProbe.data(), kProbe.size());
    if (written < 0) { reason = std::strerror(errno); break; }
  }
  if (::fsync(fd) != 0 && errno != EINVAL) reason = std::strerror(errno);   // quotas and network file systems answer late
  ::close(fd);
  return reason;
}

}  // namespace fovea
