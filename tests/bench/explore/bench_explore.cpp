// fovea_bench_explore [WIDTH HEIGHT [CLICKS]] or fovea_bench_explore IMAGE [CLICKS [MODEL]]: encodes an image of that size (default 1024 x
// 768 pixels), or that one, as fovea-view does (with the shipped model if none is named), then asks at random places and prints, for each
// kind of question, the median and the longest time from the click to the answer in the window's hands. The frame that uploads and draws
// the answer comes on top. Every row is checked to sum to one.
#include <algorithm>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <random>
#include <string>
#include <thread>

#include "app/viewer/explore/session.h"
#include "core/image/writers.h"

namespace fovea::explore {
namespace {

// Noise over waves: attention of an even image says little about time.
ImageU8 picture(std::int64_t width, std::int64_t height) {
  ImageU8 image(width, height, 3);
  std::mt19937 random(1);
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t i = 0; i < 3 * width; ++i) {
      const double wave = std::sin(static_cast<double>(i / 3) / 37.0) * std::cos(static_cast<double>(y) / 23.0);
      image.row(y)[i] = static_cast<std::uint8_t>(110 + 80 * wave + static_cast<double>(random() % 40));
    }
  }
  return image;
}

class Bench {
 public:
  Bench(std::filesystem::path image, std::string model) : image_(std::move(image)), model_(std::move(model)) {}

  void encode() {
    session_.encode({.image = image_, .model = model_});
    wait([this] { return !session_.encoding().running; });
    const auto state = session_.encoding();
    if (!state.encoded) throw Error(ErrorKind::kEnvironment, state.error);
    encoded_ = state.encoded;
    std::printf("%lld x %lld tokens on %s, encoded in %.1f s, %.0f MB\n", static_cast<long long>(encoded_->rows),
                static_cast<long long>(encoded_->columns), encoded_->model->device.c_str(), encoded_->seconds,
                static_cast<double>(encoded_->bytes) / (1 << 20));
    std::printf("%-28s %10s %10s %10s\n", "question", "median ms", "max ms", "bar ms");
  }

  // From the wish to cancel until the worker is free for the next question.
  void time_cancelling(int times) {
    const auto middle = [this] { return TokenBox{encoded_->rows / 2, encoded_->columns / 2}; };
    std::mt19937 random(11);
    std::vector<double> encodings, rollouts;
    for (int i = 0; i < times; ++i) {
      // From queries and keys, as it is computed for a file: one that takes a while.
      session_.ask(Lane::kPick, {{.method = "rollout", .tokens = {.box = middle()}, .rounding = Rounding::kAsAttend}});
      sleep_ms(5 + static_cast<int>(random() % 40));
      rollouts.push_back(until_answered({.method = "row", .tokens = {.box = middle()}}));
    }
    for (int i = 0; i < times; ++i) {
      session_.encode({.image = image_, .model = model_});
      wait([this] { return session_.encoding().stage == "encoder"; });
      sleep_ms(static_cast<int>(random() % 1000));
      const auto start = std::chrono::steady_clock::now();
      session_.cancel_encoding();
      session_.clear();   // the worker takes it up as soon as it can
      wait([this] { return !session_.busy(); });
      encodings.push_back(std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count());
    }
    print("a row instead of a rollout", rollouts, 100);
    print("cancelling an encoding", encodings, 100);
  }

  // kNone: the very first question of its kind counts, too.
  enum class Warming { kNone, kOneClick };
  void time(const char* name, const Question& question, double bar_ms, int clicks, Warming warming = Warming::kOneClick) {
    std::mt19937 random(7);
    std::vector<double> times;
    for (int i = warming == Warming::kOneClick ? 0 : 1; i <= clicks; ++i) {
      const TokenBox box{static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(encoded_->rows)),
                         static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(encoded_->columns))};
      Question asked = question;
      asked.tokens.box = box;
      session_.ask(Lane::kPick, {asked});
      wait([this] { return !session_.busy(); });
      const LaneState lane = session_.lane(Lane::kPick);
      if (lane.replies.empty()) throw Error(ErrorKind::kEnvironment, lane.error);
      const Reply& reply = *lane.replies.front();
      if (question.method != "column" && std::abs(reply.grid_total + reply.global_total - 1) > 1e-4) {
        throw Error(ErrorKind::kContract, question.method + ": does not sum to one");
      }
      if (i > 0 || warming == Warming::kNone) times.push_back(reply.elapsed_ms);
    }
    print(name, times, bar_ms);
  }

 private:
  static void print(const char* name, std::vector<double> times, double bar_ms) {
    std::ranges::sort(times);
    std::printf("%-28s %10.1f %10.1f %10.0f\n", name, times[times.size() / 2], times.back(), bar_ms);
  }
  static void sleep_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }
  double until_answered(const Question& question) {
    session_.ask(Lane::kPick, {question});
    wait([this] { return !session_.busy(); });
    return session_.lane(Lane::kPick).replies.at(0)->elapsed_ms;
  }
  template <class Condition>
  void wait(Condition condition) {
    std::unique_lock lock(mutex_);
    while (!condition()) changed_.wait_for(lock, std::chrono::milliseconds(1));
  }
  std::filesystem::path image_;
  std::string model_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<const Encoded> encoded_;
  Session session_{load_engine, [this] { changed_.notify_all(); }};
};

}  // namespace
}  // namespace fovea::explore

int main(int argc, char** argv) {
  const bool given = argc > 1 && std::filesystem::exists(argv[1]);
  const std::int64_t width = argc > 2 ? std::atoll(argv[1]) : 1024, height = argc > 2 ? std::atoll(argv[2]) : 768;
  const int clicks = given && argc > 2 ? std::atoi(argv[2]) : argc > 3 ? std::atoi(argv[3]) : 20;
  const std::filesystem::path made = std::filesystem::temp_directory_path() / "fovea_bench_explore.png", file = given ? argv[1] : made;
  int code = 0;
  try {
    if (!given) fovea::write_png(made, fovea::explore::picture(width, height));
    using namespace fovea::explore;
    Bench bench(file, given && argc > 3 ? argv[3] : "aerial");
    bench.encode();
    bench.time("rollout, the first question", {.method = "rollout"}, 200, 1, Bench::Warming::kNone);
    bench.time("row", {.method = "row"}, 50, clicks);
    bench.time("column", {.method = "column"}, 100, clicks);
    bench.time("rollout, all 12 layers", {.method = "rollout"}, 200, clicks);
    bench.time("rollout of one head, at once", {.method = "rollout", .heads = {Fusion::kOne, 3}}, 200, 1, Bench::Warming::kNone);
    bench.time("rollout of one head", {.method = "rollout", .heads = {Fusion::kOne, 3}}, 200, clicks);
    for (const auto& [name, fusion] : {std::pair{"maximum", Fusion::kMax}, std::pair{"minimum", Fusion::kMin}}) {
      const Question question{.method = "rollout", .heads = {fusion}};
      bench.time(("rollout, " + std::string(name) + ", at once").c_str(), question, 200, 1, Bench::Warming::kNone);
      bench.time(("rollout, " + std::string(name) + " of heads").c_str(), question, 200, clicks);
    }
    bench.time_cancelling(clicks);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    code = 3;
  }
  std::error_code ignored;
  std::filesystem::remove(made, ignored);
  return code;
}
