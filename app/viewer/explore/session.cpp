#include "app/viewer/explore/session.h"

#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <new>
#include <utility>

#include "core/base/clock.h"

namespace fovea::explore {
namespace {

constexpr int kNiceness = 10;   // a thread of the window gets about ten times the share of a worker's

// Runs something that may fail; returns what to tell a person, "" for success and for a stop.
template <class Work>
std::string message_of_failure(Work&& work) {
  try {
    work();
  } catch (const Error& error) {
    return error.kind() == ErrorKind::kCancelled ? "" : error.what();
  } catch (const std::bad_alloc&) {
    return "not enough memory: choose a smaller region";
  } catch (const std::exception& error) {
    return first_line(error.what());
  }
  return "";
}

}  // namespace

void give_way_to_the_window() { setpriority(PRIO_PROCESS, static_cast<id_t>(syscall(SYS_gettid)), kNiceness); }

// Puts an encoding's progress where the window finds it.
class Session::Reporter final : public Progress {
 public:
  explicit Reporter(Session& session) : session_(session) {}
  void report(std::string_view stage, std::int64_t done, std::int64_t total) override {
    {
      const std::lock_guard lock(session_.mutex_);
      session_.encode_.stage = stage;
      session_.encode_.done = done;
      session_.encode_.total = total;
    }
    session_.on_change_();
  }

 private:
  Session& session_;
};

// Likewise a question's. Most are answered before anybody could read it: the window is woken a few times a second.
class Session::LaneReporter final : public Progress {
 public:
  LaneReporter(Session& session, std::size_t lane, std::uint64_t ticket) : session_(session), lane_(lane), ticket_(ticket) {}
  void report(std::string_view, std::int64_t done, std::int64_t total) override {
    {
      const std::lock_guard lock(session_.mutex_);
      LaneState& state = session_.lanes_[lane_].state;
      if (state.ticket != ticket_) return;
      state.done = done;
      state.total = total;
    }
    if (Clock::now() - told_ < kPatience) return;
    told_ = Clock::now();
    session_.on_change_();
  }

 private:
  static constexpr std::chrono::milliseconds kPatience{100};
  Session& session_;
  const std::size_t lane_;
  const std::uint64_t ticket_;
  Clock::time_point told_ = Clock::now();
};

Session::Session(MakeEngine make_engine, std::function<void()> on_change)
    : make_engine_(std::move(make_engine)), on_change_(std::move(on_change)), worker_([this](const std::stop_token& end) { work(end); }) {}

Session::~Session() {
  {
    const std::lock_guard lock(mutex_);
    running_.request_stop();
  }
  worker_.request_stop();
}

void Session::encode(EncodeRequest request) {
  const std::lock_guard lock(mutex_);
  wanted_ = std::move(request);
  encode_ = {.running = true, .stage = "waiting", .error = {}, .encoded = nullptr};
  encode_start_ = Clock::now();
  forget_answers();
  running_.request_stop();
  changed_.notify_all();
}

void Session::cancel_encoding() {
  const std::lock_guard lock(mutex_);
  if (!encode_.running) return;
  wanted_.reset();
  running_.request_stop();
  encode_.running = false;
}

void Session::clear() {
  const std::lock_guard lock(mutex_);
  wanted_.reset();
  running_.request_stop();
  encode_ = {};
  forget_answers();
  forget_ = true;
  changed_.notify_all();
}

void Session::forget_answers() {
  for (LaneWork& lane : lanes_) lane.state = {.ticket = ++last_ticket_, .questions = {}, .replies = {}, .error = {}, .trouble = {}};
}

std::uint64_t Session::ask(Lane lane, std::vector<Question> questions) {
  const std::lock_guard lock(mutex_);
  const auto index = static_cast<std::size_t>(lane);
  lanes_[index] = {.state = {.ticket = ++last_ticket_, .questions = std::move(questions), .replies = {}, .error = {}, .trouble = {}},
                   .asked_at = Clock::now()};
  if (running_lane_ && *running_lane_ >= index) running_.request_stop();   // it is asked again later, unless it was this lane's own
  changed_.notify_all();
  return last_ticket_;
}

EncodeState Session::encoding() const {
  const std::lock_guard lock(mutex_);
  EncodeState state = encode_;
  if (state.running) state.elapsed_s = seconds_since(encode_start_);
  return state;
}

LaneState Session::lane(Lane lane) const {
  const std::lock_guard lock(mutex_);
  return lanes_[static_cast<std::size_t>(lane)].state;
}

bool Session::busy() const {
  const std::lock_guard lock(mutex_);
  const auto next = next_lane();
  return wanted_ || forget_ || encode_.running || (next && *next != static_cast<std::size_t>(Lane::kPrepare));
}

std::optional<std::size_t> Session::next_lane() const {
  if (!encode_.encoded) return std::nullopt;
  for (std::size_t lane = 0; lane < kLanes; ++lane) {
    if (lanes_[lane].state.busy()) return lane;
  }
  return std::nullopt;
}

Engine& Session::engine() {
  if (!engine_) engine_ = make_engine_();
  return *engine_;
}

void Session::work(const std::stop_token& end) {
  give_way_to_the_window();
  std::unique_lock lock(mutex_);
  while (changed_.wait(lock, end, [this] { return wanted_ || forget_ || next_lane(); }) && !end.stop_requested()) {
    running_ = std::stop_source();
    if (std::exchange(forget_, false)) {
      if (engine_) engine_->forget();
    } else if (wanted_) {
      run_encoding(lock);
    } else {
      run_question(lock, *next_lane());
    }
    lock.unlock();
    on_change_();
    lock.lock();
  }
}

void Session::run_encoding(std::unique_lock<std::mutex>& lock) {
  const EncodeRequest request = *std::exchange(wanted_, std::nullopt);
  const std::stop_token stop = running_.get_token();
  lock.unlock();
  std::shared_ptr<const Encoded> encoded;
  Reporter reporter(*this);
  std::string error = message_of_failure([&] { encoded = std::make_shared<const Encoded>(engine().encode(request, reporter, stop)); });
  const Trouble trouble = error.empty() || !engine_ ? Trouble::kNone : engine_->trouble();
  const std::int64_t fitting_side = error.empty() || !engine_ ? 0 : engine_->fitting_side();
  lock.lock();
  if (stop.stop_requested()) return;   // cancelled, or replaced: encode_ tells of the later request
  encode_.running = false;
  encode_.elapsed_s = seconds_since(encode_start_);
  encode_.error = std::move(error);
  encode_.trouble = trouble;
  encode_.fitting_side = fitting_side;
  encode_.encoded = std::move(encoded);
}

void Session::run_question(std::unique_lock<std::mutex>& lock, std::size_t lane) {
  LaneWork& work = lanes_[lane];
  const std::uint64_t ticket = work.state.ticket;
  const Question question = work.state.questions[work.state.replies.size()];
  const auto start = work.state.replies.empty() ? work.asked_at : Clock::now();
  const std::stop_token stop = running_.get_token();
  running_lane_ = lane;
  lock.unlock();
  std::shared_ptr<Reply> reply;
  LaneReporter progress(*this, lane, ticket);
  const std::string error = message_of_failure([&] { reply = std::make_shared<Reply>(engine().answer(question, progress, stop)); });
  const Trouble trouble = error.empty() ? Trouble::kNone : engine_->trouble();
  lock.lock();
  running_lane_.reset();
  if (trouble == Trouble::kDeviceLost && encode_.encoded) {   // and with it what was encoded
    encode_.encoded = nullptr;
    encode_.error = error;
    encode_.trouble = trouble;
    return forget_answers();
  }
  if (work.state.ticket != ticket) return;   // nobody waits for it any more
  work.state.done = work.state.total = 0;
  if (reply) {
    reply->elapsed_ms = std::chrono::duration<double, std::milli>(Clock::now() - start).count();
    work.state.replies.push_back(std::move(reply));
  } else if (!error.empty()) {
    work.state.error = error;
    work.state.trouble = trouble;
  }
}

}  // namespace fovea::explore
