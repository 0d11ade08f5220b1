// Talking to a model without waiting for it: one worker thread, the latest request of a kind wins.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "app/viewer/explore/engine.h"

namespace fovea::explore {

// Who asks, most urgent first: a click interrupts the wall, never the other way round.
// kPrepare makes later answers faster; nobody waits for it.
enum class Lane { kPick, kSave, kCompare, kWall, kMarks, kStatistics, kPrepare };
inline constexpr std::size_t kLanes = 7;

struct LaneState {
  std::uint64_t ticket = 0;                              // of the latest ask()
  std::vector<Question> questions;
  std::vector<std::shared_ptr<const Reply>> replies;     // of the first questions, in their order
  std::string error;                                     // why there will be no more of them
  Trouble trouble = Trouble::kNone;                      // with it
  std::int64_t done = 0, total = 0;                      // of the question under way, in layers; 0 of 0: it does not say
  bool busy() const { return error.empty() && replies.size() < questions.size(); }
};

struct EncodeState {
  bool running = false;
  std::string stage;                                     // "model", "read", "encoder", "queries and keys"
  std::int64_t done = 0, total = 0;
  double elapsed_s = 0;                                  // running or not: of the latest encoding
  std::string error;                                     // of the latest one, or why it is lost; "stopped" is none
  Trouble trouble = Trouble::kNone;                      // with it
  std::int64_t fitting_side = 0;                         // pixels of the largest square that would have fitted, where too much was asked
  std::shared_ptr<const Encoded> encoded;                // nullptr while there is none to ask about
};

// All methods from one thread, none of them waits; the destructor waits until the step under way has ended.
class Session {
 public:
  using MakeEngine = std::function<std::unique_ptr<Engine>()>;   // called once, by the worker, when it is first needed
  Session(MakeEngine make_engine, std::function<void()> on_change);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // Forgets what was encoded and asked before, and encodes.
  void encode(EncodeRequest request);
  // Ends an encoding under way; what was encoded before is gone already.
  void cancel_encoding();
  // Forgets what was encoded and gives its memory back: the image was closed.
  void clear();

  // Replaces what this lane was asked before. Answers arrive one by one. Questions wait while something is encoded.
  std::uint64_t ask(Lane lane, std::vector<Question> questions);
  void drop(Lane lane) { ask(lane, {}); }

  EncodeState encoding() const;
  LaneState lane(Lane lane) const;
  // Somebody waits for an encoding or an answer.
  bool busy() const;

 private:
  using Clock = std::chrono::steady_clock;
  struct LaneWork {
    LaneState state;
    Clock::time_point asked_at;
  };
  class Reporter;
  class LaneReporter;

  void work(const std::stop_token& end);
  std::optional<std::size_t> next_lane() const;
  void run_encoding(std::unique_lock<std::mutex>& lock);
  void run_question(std::unique_lock<std::mutex>& lock, std::size_t lane);
  Engine& engine();
  void forget_answers();

  const MakeEngine make_engine_;
  const std::function<void()> on_change_;
  std::unique_ptr<Engine> engine_;                       // the worker's

  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  EncodeState encode_;
  Clock::time_point encode_start_;
  std::optional<EncodeRequest> wanted_;
  bool forget_ = false;
  std::array<LaneWork, kLanes> lanes_;
  std::uint64_t last_ticket_ = 0;
  std::optional<std::size_t> running_lane_;
  std::stop_source running_;                             // of what runs now
  std::jthread worker_;                                  // last: ends before the rest is gone
};

// The calling thread, and the threads that it starts from now on, yield to the window's.
void give_way_to_the_window();

}  // namespace fovea::explore
