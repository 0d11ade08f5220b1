#include "app/viewer/messages.h"

#include <algorithm>
#include <chrono>

#include "core/base/clock.h"

namespace fovea {
namespace {

double seconds_since_start() {
  static const auto start = std::chrono::steady_clock::now();
  return seconds_since(start);
}

}  // namespace

void Messages::add(Severity severity, std::string text) {
  const double now_s = seconds_since_start();
  if (!messages_.empty() && messages_.back().text == text && messages_.back().severity == severity) {
    ++messages_.back().repeats;
    messages_.back().time_s = now_s;
    messages_.back().dismissed = false;
    return;
  }
  messages_.push_back({severity, std::move(text), now_s});
  if (messages_.size() > kKept) messages_.pop_front();
}

std::string Messages::last_error() const {
  const auto found =
      std::find_if(messages_.rbegin(), messages_.rend(), [](const Message& m) { return m.severity == Severity::kError && !m.dismissed; });
  return found == messages_.rend() ? std::string() : found->text;
}

std::vector<Message*> Messages::shown() {
  const double now_s = seconds_since_start();
  std::vector<Message*> result;
  for (Message& message : messages_) {
    const double age_s = now_s - message.time_s;
    const bool over = (message.severity == Severity::kInfo && age_s > kInfoShown_s) ||
                      (message.severity == Severity::kWarning && age_s > kWarningShown_s);
    if (!message.dismissed && !over) result.push_back(&message);
  }
  return result;
}

void Messages::dismiss(std::string_view text) {
  for (Message& message : messages_) message.dismissed = message.dismissed || message.text == text;
}

void Messages::dismiss_all() {
  for (Message& message : messages_) message.dismissed = true;
}

}  // namespace fovea
