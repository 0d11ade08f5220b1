// The program fovea: arguments in, exit code out. What the commands do is in the library beside it (app/cli/commands.h).
#include <dlfcn.h>
#include <malloc.h>
#include <pthread.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <thread>
#include <vector>

#include "app/cli/commands.h"
#include "app/cli/parse.h"

namespace {

using namespace fovea::cli;

// Turns the first SIGINT or SIGTERM into a stop request and the second into an exit. Constructed before any other thread exists, so
// that all of them inherit the blocked signals.
class SignalWatcher {
 public:
  SignalWatcher() {
    sigemptyset(&signals_);
    sigaddset(&signals_, SIGINT);
    sigaddset(&signals_, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &signals_, nullptr);
    watcher_ = std::jthread([this](const std::stop_token& end) { watch(end); });
  }

  std::stop_token token() const { return source_.get_token(); }
  // The signal that asked for the stop, 0 for none.
  int signal() const { return signal_; }

 private:
  void watch(const std::stop_token& end) {
    const timespec interval{.tv_sec = 0, .tv_nsec = 50'000'000};
    while (!end.stop_requested()) {
      const int signal = sigtimedwait(&signals_, nullptr, &interval);
      if (signal < 0) continue;
      if (source_.stop_requested()) _exit(128 + signal);
      signal_ = signal;
      std::fputs("\nfovea: stopping after the current step (once more: at once)\n", stderr);
      source_.request_stop();
    }
  }

  sigset_t signals_{};
  std::atomic<int> signal_{0};
  std::stop_source source_;
  std::jthread watcher_;
};

constexpr int kMallocArenas = 2;

RunFunction* load_commands() {
  std::error_code code;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", code);
  void* library = nullptr;
  for (const char* folder : {".", "../lib/fovea"}) {   // the build tree, an installation
    const auto path = program.parent_path() / folder / kCommandsLibrary;
    if (!std::filesystem::exists(path, code)) continue;
    // Global: torch's CUDA libraries, loaded later, resolve against the same torch.
    library = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (library == nullptr) std::fprintf(stderr, "%s: cannot be loaded: %s\n", path.c_str(), dlerror());
    break;
  }
  return library == nullptr ? nullptr : reinterpret_cast<RunFunction*>(dlsym(library, kRunFunctionName));
}

}  // namespace

// `fovea bench view` is a program of its own, so that this one knows nothing of windows and that one nothing of torch.
int run_view_bench(int argument_count, char** arguments) {
  std::error_code code;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", code).parent_path() / "fovea_bench_view";
  std::vector<char*> passed{arguments[0]};
  passed.insert(passed.end(), arguments + 3, arguments + argument_count);
  passed.push_back(nullptr);
  execv(program.c_str(), passed.data());
  std::fprintf(stderr, "fovea bench view: %s: %s; it is built with the viewer\n", program.c_str(), std::strerror(errno));
  return kExitEnvironment;
}

int main(int argument_count, char** arguments) {
  const auto is = [&](int i, std::string_view word) { return argument_count > i && arguments[i] == word; };
  if (is(1, "bench") && is(2, "view")) return run_view_bench(argument_count, arguments);
  const ParseResult parsed = parse_command_line(argument_count, arguments);
  std::fputs(parsed.standard_output.c_str(), stdout);
  std::fputs(parsed.standard_error.c_str(), stderr);
  if (!parsed.request) return parsed.exit_code;
  // Threads come and go with every image: with an arena each, glibc would keep a copy of what each of them once needed.
  mallopt(M_ARENA_MAX, kMallocArenas);
  SignalWatcher signals;
  RunFunction* const run = load_commands();
  if (run == nullptr) {
    std::fprintf(stderr, "fovea: %s is missing or broken: build or install the program again\n", kCommandsLibrary);
    return kExitEnvironment;
  }
  const int exit_code = run(*parsed.request, signals.token());
  std::fflush(nullptr);
  return exit_code == kExitInterrupted && signals.signal() != 0 ? 128 + signals.signal() : exit_code;
}
