#include "app/cli/console.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

namespace fovea::cli {
namespace {

constexpr auto kBarInterval = std::chrono::milliseconds(100);
constexpr auto kLogInterval = std::chrono::seconds(30);
constexpr int kBarCells = 24;

bool is_terminal() {
  const char* kind = std::getenv("TERM");
  return isatty(STDERR_FILENO) != 0 && kind != nullptr && std::string_view(kind) != "dumb";
}

std::size_t terminal_columns() {
  winsize size{};
  return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

std::string duration_text(double seconds) {
  const auto whole = static_cast<long>(seconds + 0.5);
  char text[32];
  if (whole >= 3600) std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", whole / 3600, whole / 60 % 60, whole % 60);
  else std::snprintf(text, sizeof text, "%ld:%02ld", whole / 60, whole % 60);
  return text;
}

std::string bar_text(double share) {
  const int full = static_cast<int>(share * kBarCells);
  return "[" + std::string(static_cast<std::size_t>(full), '#') + std::string(static_cast<std::size_t>(kBarCells - full), '-') + "]";
}

}  // namespace

std::string on_one_line(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string shown;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) shown += c;
    else if (c == '\n') shown += "\\n";
    else shown += std::string("\\x") + kDigits[byte >> 4] + kDigits[byte & 15];
  }
  return shown;
}

Console::Console(Verbosity verbosity, Unit unit)
    : verbosity_(verbosity), unit_(unit), terminal_(is_terminal()), begun_(Clock::now()), shown_(begun_) {}

Console::~Console() { clear_bar(); }

void Console::begin(std::string subject) {
  subject_ = on_one_line(subject);
  begun_ = shown_ = Clock::now();
}

void Console::report(std::string_view stage, std::int64_t done, std::int64_t total) {
  const auto now = Clock::now();
  if (verbosity_ == Verbosity::kQuiet || total <= 0) return;
  if (now - shown_ < (terminal_ ? Clock::duration(kBarInterval) : Clock::duration(kLogInterval))) return;
  shown_ = now;
  const double share = std::clamp(static_cast<double>(done) / static_cast<double>(total), 0.0, 1.0);
  const double seconds = std::chrono::duration<double>(now - begun_).count();
  const double rate = static_cast<double>(done) / unit_.size / seconds;
  char figures[96];
  std::snprintf(figures, sizeof figures, "%3.0f %%  %.3g %s/s  %s left", share * 100, rate, unit_.name,
                share > 0 ? duration_text(seconds * (1 - share) / share).c_str() : "?");
  if (!terminal_) {
    std::fprintf(stderr, "%s: %.*s %s\n", subject_.c_str(), static_cast<int>(stage.size()), stage.data(), figures);
    return;
  }
  std::string text = subject_ + "  " + bar_text(share) + " " + figures;
  const std::size_t columns = terminal_columns();
  if (text.size() >= columns) text = figures;
  std::fprintf(stderr, "\r\x1b[K%s", text.substr(0, columns - 1).c_str());
  std::fflush(stderr);
  bar_shown_ = true;
}

void Console::clear_bar() {
  if (bar_shown_) std::fputs("\r\x1b[K", stderr);
  bar_shown_ = false;
}

void Console::line(const std::string& text) {
  if (verbosity_ != Verbosity::kQuiet) result(on_one_line(text));
}

void Console::result(const std::string& text) {
  clear_bar();
  std::printf("%s\n", text.c_str());
  std::fflush(stdout);
}

void Console::detail(const std::string& text) {
  if (verbosity_ == Verbosity::kVerbose) line(text);
}

void Console::error(const std::string& message) {
  clear_bar();
  std::fprintf(stderr, "%s\n", on_one_line(message).c_str());
}

}  // namespace fovea::cli
