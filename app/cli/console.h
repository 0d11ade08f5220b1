// What a person sees while a command works: a bar on a terminal, a line now and then in a log.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "app/cli/requests.h"
#include "core/base/progress.h"

namespace fovea::cli {

// Control characters as escapes ("\\n", "\\x1b"): names of files must neither break a message into two lines nor drive the terminal.
std::string on_one_line(std::string_view text);

// Results go to standard output, progress and errors to standard error.
class Console final : public Progress {
 public:
  // unit: what report() counts, divided by unit_size: {"MP", 1e6} for pixels.
  struct Unit {
    const char* name;
    double size;
  };
  Console(Verbosity verbosity, Unit unit);
  ~Console() override;

  // What the following reports are about, "[3/20] b.tif".
  void begin(std::string subject);
  void report(std::string_view stage, std::int64_t done, std::int64_t total) override;
  void result(const std::string& text);    // what the command was run for: always
  void line(const std::string& text);      // not with --quiet
  void detail(const std::string& text);    // with --verbose only
  void error(const std::string& message);

 private:
  using Clock = std::chrono::steady_clock;
  void clear_bar();

  Verbosity verbosity_;
  Unit unit_;
  bool terminal_;
  bool bar_shown_ = false;
  std::string subject_;
  Clock::time_point begun_, shown_;
};

}  // namespace fovea::cli
