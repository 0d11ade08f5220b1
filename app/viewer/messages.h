// What the program has to say: kept in the log panel; warnings and errors are also shown over the canvas for a while.
#pragma once

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace fovea {

enum class Severity { kInfo, kWarning, kError };

// A way on that a message offers: a button beside its text.
struct MessageAction {
  std::string label;                     // "Use the CPU"
  std::function<void()> run;
};

struct Message {
  Severity severity = Severity::kInfo;
  std::string text;                      // one line, its subject first, then what to do: "scene.tif: gone; open it again once it is back"
  double time_s = 0;                     // seconds since the start
  int repeats = 1;                       // the same text again counts up
  bool dismissed = false;                // not shown over the canvas any more
  std::optional<MessageAction> action{};
};

// Seconds for which a message is shown over the canvas; errors stay until a person dismisses them.
constexpr double kInfoShown_s = 4, kWarningShown_s = 12;

// Main thread only (from workers: MainThread::post).
class Messages {
 public:
  static constexpr std::size_t kKept = 1000;
  void add(Severity severity, std::string text);
  // For the log alone.
  void note(std::string text) {
    add(Severity::kInfo, std::move(text));
    messages_.back().dismissed = true;
  }
  void info(std::string text) { add(Severity::kInfo, std::move(text)); }
  void warn(std::string text) { add(Severity::kWarning, std::move(text)); }
  void error(std::string text) { add(Severity::kError, std::move(text)); }
  void error(std::string text, MessageAction action) {
    error(std::move(text));
    messages_.back().action = std::move(action);
  }
  const std::deque<Message>& all() const { return messages_; }
  void clear() { messages_.clear(); }
  // Text of the last error, "" if none since clear() or all are dismissed.
  std::string last_error() const;
  // What is to be shown over the canvas now, oldest first.
  std::vector<Message*> shown();
  void dismiss(std::string_view text);   // every one that says this
  void dismiss_all();

 private:
  std::deque<Message> messages_;
};

}  // namespace fovea
