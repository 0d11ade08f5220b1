// One run at a time in an output folder, or the shards of one run side by side.
#pragma once

#include <filesystem>
#include <set>
#include <string>
#include <vector>

namespace fovea {

// Part index of count of a run, 1-based; {1, 1} is the whole run.
struct Shard {
  int index = 1, count = 1;
  bool whole() const { return count == 1; }
};
// name + extension for the whole run, "NAME-2-of-8.EXT" for a shard.
std::string shard_file(const std::string& name, const std::string& extension, const Shard& shard);

// Held while it lives; the system releases it when the process dies, however it dies. A whole run excludes every other; shards exclude
// whole runs and the same shard. Errors: Error{kEnvironment} "DIR: another run writes to this folder".
class OutputLock {
 public:
  OutputLock(const std::filesystem::path& folder, const Shard& shard);
  ~OutputLock();
  OutputLock(const OutputLock&) = delete;
  OutputLock& operator=(const OutputLock&) = delete;

 private:
  void take(const std::filesystem::path& folder, const std::string& name, int operation);
  std::vector<int> descriptors_;
};

// Removes temporaries that a killed run left behind (core/base/files.h). Only while the run's lock is held: a whole run removes all, a
// shard those of the files that it writes itself, since others may be at work beside it.
void remove_stale_temporaries(const std::filesystem::path& folder);
void remove_stale_temporaries(const std::filesystem::path& folder, const std::set<std::filesystem::path>& targets);

}  // namespace fovea
