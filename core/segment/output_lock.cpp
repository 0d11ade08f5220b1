#include "core/segment/output_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "core/base/error.h"
#include "core/base/files.h"

namespace fovea {

namespace fs = std::filesystem;

std::string shard_file(const std::string& name, const std::string& extension, const Shard& shard) {
  return shard.whole() ? name + extension : name + "-" + std::to_string(shard.index) + "-of-" + std::to_string(shard.count) + extension;
}

OutputLock::OutputLock(const fs::path& folder, const Shard& shard) {
  try {
    take(folder, ".fovea.lock", shard.whole() ? LOCK_EX : LOCK_SH);
    if (!shard.whole()) take(folder, shard_file(".fovea", ".lock", shard), LOCK_EX);
  } catch (...) {
    for (const int descriptor : descriptors_) ::close(descriptor);
    throw;
  }
}

OutputLock::~OutputLock() {
  for (const int descriptor : descriptors_) ::close(descriptor);
}

void OutputLock::take(const fs::path& folder, const std::string& name, int operation) {
  const int descriptor = ::open((folder / name).c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (descriptor < 0) throw Error(ErrorKind::kEnvironment, folder.string() + ": cannot write: " + std::strerror(errno));
  descriptors_.push_back(descriptor);
  if (::flock(descriptor, operation | LOCK_NB) == 0) return;
  if (errno == EWOULDBLOCK) throw Error(ErrorKind::kEnvironment, folder.string() + ": another run writes to this folder");
  throw Error(ErrorKind::kEnvironment, folder.string() + ": cannot be locked: " + std::strerror(errno));
}

namespace {

template <class Choose>
void remove_temporaries(const fs::path& folder, const Choose& choose) {
  std::error_code code;
  for (fs::recursive_directory_iterator it(folder, fs::directory_options::skip_permission_denied, code), end; !code && it != end;
       it.increment(code)) {
    std::error_code ignored;
    const auto target = target_of_temporary(it->path());
    if (target && choose(*target) && it->is_regular_file(ignored)) fs::remove(it->path(), ignored);
  }
}

}  // namespace

void remove_stale_temporaries(const fs::path& folder) {
  remove_temporaries(folder, [](const fs::path&) { return true; });
}

void remove_stale_temporaries(const fs::path& folder, const std::set<fs::path>& targets) {
  std::set<fs::path> normal;
  for (const fs::path& target : targets) normal.insert(target.lexically_normal());
  remove_temporaries(folder, [&](const fs::path& target) { return normal.contains(target.lexically_normal()); });
}

}  // namespace fovea
