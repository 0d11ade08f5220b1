// Reads every file of a folder through open_image(), each in a process of its own with a limit on time and memory, and says how it went:
// "read", "refused" (one-line error), or what must never happen: "crashed", "too slow", "bad message".
//   fovea_read_folder FOLDER [MAX_SECONDS=10] [MAX_MIB=2048]      exit code 1 if anything happened that must not
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/image/image_source.h"

namespace {

using Clock = std::chrono::steady_clock;

struct Limits {
  unsigned seconds = 10;
  long mebibytes = 2048;
};

// Windows of one megapixel, at every level, so that levels and masks are exercised too.
std::string read_everything(const std::filesystem::path& path) {
  const auto image = fovea::open_image(path);
  const auto& info = image->info();
  constexpr std::int64_t kSide = 1024;
  std::uint64_t sum = 0;
  for (int level = 0; level < static_cast<int>(info.levels.size()); ++level) {
    const auto& size = info.levels[static_cast<std::size_t>(level)];
    for (std::int64_t y = 0; y < size.height; y += kSide) {
      for (std::int64_t x = 0; x < size.width; x += kSide) {
        const fovea::Rect rect{x, y, std::min(kSide, size.width - x), std::min(kSide, size.height - y)};
        const fovea::ImageU8 rgb = image->read_rgb(rect, level);
        const fovea::ImageU8 valid = image->read_valid(rect, level);
        for (const auto value : rgb.samples()) sum += value;
        for (const auto value : valid.samples()) sum += value;
      }
    }
  }
  return std::to_string(info.width) + " x " + std::to_string(info.height) + ", " + std::to_string(info.bands) + " bands of " +
         std::to_string(info.bits) + " bits, checksum " + std::to_string(sum);
}

// In the child: one line to the pipe, "read ..." or "refused ...".
[[noreturn]] void run_child(const std::filesystem::path& path, int pipe_end, const Limits& limits) {
  alarm(limits.seconds);   // kills by SIGALRM
  std::string line;
  try {
    line = "read     " + read_everything(path);
  } catch (const fovea::Error& error) {
    const std::string message = error.what();
    const bool good =
        error.kind() == fovea::ErrorKind::kInput && message.starts_with(path.string() + ": ") && message.find('\n') == std::string::npos;
    line = (good ? "refused  " : "bad message  ") + message;
  } catch (const std::exception& error) {
    line = std::string("bad message  ") + error.what();
  }
  if (write(pipe_end, line.data(), line.size()) < 0) _exit(3);
  _exit(0);
}

std::string describe_end(int status, const std::string& line, const rusage& usage, const Limits& limits) {
  if (usage.ru_maxrss / 1024 > limits.mebibytes) return "too much memory  " + line;
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) return "too slow";
  if (WIFSIGNALED(status)) return "crashed  signal " + std::to_string(WTERMSIG(status));
  if (WEXITSTATUS(status) != 0) return "crashed  exit code " + std::to_string(WEXITSTATUS(status));
  return line;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 4) return std::fprintf(stderr, "fovea_read_folder FOLDER [MAX_SECONDS] [MAX_MIB]\n"), 2;
  Limits limits;
  if (argc > 2) limits.seconds = static_cast<unsigned>(std::atoi(argv[2]));
  if (argc > 3) limits.mebibytes = std::atol(argv[3]);
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(argv[1]))
    if (entry.is_regular_file()) files.push_back(entry.path());
  std::ranges::sort(files);
  std::map<std::string, int> tally;
  for (const auto& path : files) {
    int ends[2];
    if (pipe(ends) != 0) return 3;
    const auto start = Clock::now();
    const pid_t child = fork();
    if (child == 0) run_child(path, ends[1], limits);
    close(ends[1]);
    std::string line;
    char buffer[4096];
    for (ssize_t n; (n = read(ends[0], buffer, sizeof buffer)) > 0;) line.append(buffer, static_cast<std::size_t>(n));
    close(ends[0]);
    int status = 0;
    rusage usage{};
    wait4(child, &status, 0, &usage);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    const std::string end = describe_end(status, line, usage, limits);
    ++tally[end.substr(0, end.find("  "))];
    std::printf("%6.2f s %5ld MiB  %s\n", seconds, usage.ru_maxrss / 1024, end.c_str());
  }
  int bad = 0;
  for (const auto& [what, count] : tally) {
    std::printf("%5d %s\n", count, what.c_str());
    if (what != "read" && what != "refused") bad += count;
  }
  return bad == 0 ? 0 : 1;
}
