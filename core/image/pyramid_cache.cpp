#include "core/image/pyramid_cache.h"

#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <vector>

namespace fovea {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kHashedWhole = std::int64_t{64} << 20, kSample = 64 << 10;
constexpr int kSamples = 256;

// 64-bit FNV-1a, eight bytes a step: a name for a cache file, no protection.
struct Hash {
  std::uint64_t value = 14695981039346656037ull;
  void add(const char* bytes, std::size_t count) {
    for (; count >= 8; bytes += 8, count -= 8) {
      std::uint64_t word;
      std::memcpy(&word, bytes, 8);
      value = (value ^ word) * 1099511628211ull;
      value ^= value >> 29;   // FNV alone never carries high bits down
    }
    for (; count > 0; ++bytes, --count) value = (value ^ static_cast<unsigned char>(*bytes)) * 1099511628211ull;
  }
  void add(std::int64_t number) { add(reinterpret_cast<const char*>(&number), sizeof number); }
};

// ".NAME.PID-K.partial.tif" as AtomicFile names them: of a process that is gone?
bool is_abandoned(const std::string& name) {
  const auto partial = name.rfind(".partial.");
  if (!name.starts_with(".") || partial == std::string::npos) return false;
  const auto dot = name.rfind('.', partial - 1);
  const int process = dot == std::string::npos ? 0 : std::atoi(name.c_str() + dot + 1);
  return process > 0 && ::kill(process, 0) != 0 && errno == ESRCH;
}

struct Kept {
  fs::path path;
  std::int64_t bytes;
  fs::file_time_type used;
};

}  // namespace

fs::path pyramid_cache_file(const fs::path& image, const fs::path& folder) {
  std::error_code ignored;
  const auto bytes = static_cast<std::int64_t>(fs::file_size(image, ignored));
  Hash hash;
  hash.add(bytes);
  std::ifstream file(image, std::ios::binary);
  std::vector<char> buffer(kSample);
  const bool whole = bytes <= kHashedWhole;
  if (!whole) hash.add(fs::last_write_time(image, ignored).time_since_epoch().count());
  const std::int64_t count = whole ? (bytes + kSample - 1) / kSample : kSamples;
  for (std::int64_t i = 0; i < count && file; ++i) {
    file.seekg(whole ? i * kSample : (bytes - kSample) / (kSamples - 1) * i);
    file.read(buffer.data(), kSample);
    hash.add(buffer.data(), static_cast<std::size_t>(file.gcount()));
  }
  char name[24];
  std::snprintf(name, sizeof name, "%016llx.tif", static_cast<unsigned long long>(hash.value));
  return folder / name;
}

void touch_pyramid(const fs::path& cache_file) {
  std::error_code ignored;
  fs::last_write_time(cache_file, fs::file_time_type::clock::now(), ignored);
}

std::int64_t trim_pyramids(const fs::path& folder, std::int64_t budget_bytes, const fs::path& in_use) {
  std::vector<Kept> kept;
  std::int64_t total = 0;
  std::error_code code, ignored;
  for (fs::directory_iterator entry(folder, code), end; !code && entry != end; entry.increment(code)) {
    const fs::path path = entry->path();
    if (is_abandoned(path.filename().string())) {
      fs::remove(path, ignored);
    } else if (path.extension() == ".tif" && !path.filename().string().starts_with(".")) {
      kept.push_back({path, static_cast<std::int64_t>(entry->file_size(ignored)), entry->last_write_time(ignored)});
      total += kept.back().bytes;
    }
  }
  std::ranges::sort(kept, {}, &Kept::used);
  for (const Kept& oldest : kept) {
    if (total <= budget_bytes) break;
    if (oldest.path == in_use || !fs::remove(oldest.path, ignored)) continue;
    total -= oldest.bytes;
  }
  return total;
}

}  // namespace fovea
