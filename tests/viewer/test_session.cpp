// The session's order of things, with an engine that does what the test says: no clock decides.
#include <gtest/gtest.h>

#include <atomic>
#include <semaphore>

#include "app/viewer/explore/session.h"

namespace fovea::explore {
namespace {

// Blocks in every call until the test lets it go, or until it is stopped.
class ScriptedEngine final : public Engine {
 public:
  struct Script {
    std::counting_semaphore<> entered{0};
    std::atomic<int> allowed{0}, calls{0}, stops{0};
    std::atomic<bool> fail{false};
    std::mutex mutex;
    std::vector<std::string> answered;
    void allow(int more) { allowed += more; }
  };
  explicit ScriptedEngine(Script& script) : script_(script) {}

  std::shared_ptr<const ModelSummary> load(const std::string&, const std::string&) override { return std::make_shared<ModelSummary>(); }
  Encoded encode(const EncodeRequest& request, Progress& progress, const std::stop_token& stop) override {
    progress.report("encoder", 3, 12);
    pass(stop);
    return {.request = request, .model = load("", ""), .asked = {}, .computed = {}, .asked_tokens = {}, .caveat = {}};
  }
  void forget() override { ++script_.calls; }
  Reply answer(const Question& question, Progress& progress, const std::stop_token& stop) override {
    progress.report("rollouts", 5, 12);
    pass(stop);
    const std::lock_guard lock(script_.mutex);
    script_.answered.push_back(question.method + std::to_string(question.layer));
    Reply reply;
    reply.question = question;
    return reply;
  }
  SegmentSummary segment(const SegmentRequest&, const ClassRows&, Progress&, const std::stop_token&) override { return {}; }

 private:
  void pass(const std::stop_token& stop) {
    ++script_.calls;
    script_.entered.release();
    for (;;) {
      if (stop.stop_requested()) {
        ++script_.stops;
        throw_if_stopped(stop);
      }
      int allowed = script_.allowed;
      if (allowed > 0 && script_.allowed.compare_exchange_strong(allowed, allowed - 1)) break;
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    if (script_.fail) throw Error(ErrorKind::kEnvironment, "a sentence");
  }
  Script& script_;
};

class SessionTest : public testing::Test {
 protected:
  void wait_until(const std::function<bool()>& condition) {
    for (int i = 0; i < 5000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
    ASSERT_TRUE(condition());
  }
  void encode_now() {
    script.allow(1);
    session.encode({.image = "a.png"});
    script.entered.acquire();
    wait_until([&] { return session.encoding().encoded != nullptr; });
  }
  static std::vector<Question> questions(const std::string& method, int count) {
    std::vector<Question> list;
    for (int layer = 0; layer < count; ++layer) list.push_back({.method = method, .layer = layer});
    return list;
  }

  ScriptedEngine::Script script;
  std::atomic<int> changes{0};
  Session session{[this] { return std::make_unique<ScriptedEngine>(script); }, [this] { ++changes; }};
};

TEST_F(SessionTest, EncodingReportsAndCanBeCancelled) {
  session.encode({.image = "a.png"});
  script.entered.acquire();
  EXPECT_TRUE(session.encoding().running);
  EXPECT_EQ(session.encoding().stage, "encoder");
  EXPECT_EQ(session.encoding().done, 3);
  EXPECT_EQ(session.encoding().total, 12);
  EXPECT_GT(changes, 0);
  session.cancel_encoding();
  EXPECT_FALSE(session.encoding().running);
  wait_until([&] { return script.stops == 1; });
  EXPECT_EQ(session.encoding().encoded, nullptr);
  EXPECT_EQ(session.encoding().error, "");
  encode_now();   // and the session goes on
  EXPECT_EQ(session.encoding().encoded->request.image, "a.png");
}

// Heads that could not be kept are prepared when they are chosen; the window says how far that is.
TEST_F(SessionTest, AQuestionUnderWaySaysHowFarItIs) {
  encode_now();
  session.ask(Lane::kPrepare, questions("prepare", 1));
  script.entered.acquire();
  EXPECT_EQ(session.lane(Lane::kPrepare).done, 5);
  EXPECT_EQ(session.lane(Lane::kPrepare).total, 12);
  EXPECT_EQ(session.lane(Lane::kPick).total, 0);
  script.allow(1);
  wait_until([&] { return !session.lane(Lane::kPrepare).busy(); });
  EXPECT_EQ(session.lane(Lane::kPrepare).total, 0);
}

TEST_F(SessionTest, TheLatestEncodingWins) {
  session.encode({.image = "a.png"});
  script.entered.acquire();
  session.encode({.image = "b.png"});
  script.entered.acquire();
  script.allow(1);
  wait_until([&] { return session.encoding().encoded != nullptr; });
  EXPECT_EQ(session.encoding().encoded->request.image, "b.png");
  EXPECT_EQ(script.stops, 1);
}

TEST_F(SessionTest, AFailureIsASentenceAndTheNextTryWorks) {
  script.fail = true;
  script.allow(1);
  session.encode({.image = "a.png"});
  wait_until([&] { return !session.encoding().running; });
  EXPECT_EQ(session.encoding().error, "a sentence");
  script.fail = false;
  script.entered.acquire();
  encode_now();
  EXPECT_EQ(session.encoding().error, "");
}

TEST_F(SessionTest, QuestionsWaitForTheEncoding) {
  session.ask(Lane::kPick, questions("row", 1));
  session.encode({.image = "a.png"});   // forgets what was asked before
  session.ask(Lane::kPick, questions("column", 1));
  script.allow(2);
  wait_until([&] { return session.lane(Lane::kPick).replies.size() == 1; });
  EXPECT_EQ(script.answered, std::vector<std::string>{"column0"});
}

TEST_F(SessionTest, ANewClickCancelsTheLast) {
  encode_now();
  const auto first = session.ask(Lane::kPick, questions("row", 1));
  script.entered.acquire();
  const auto second = session.ask(Lane::kPick, questions("column", 1));
  EXPECT_GT(second, first);
  script.entered.acquire();
  EXPECT_EQ(script.stops, 1);
  script.allow(1);
  wait_until([&] { return session.lane(Lane::kPick).replies.size() == 1; });
  EXPECT_EQ(session.lane(Lane::kPick).ticket, second);
  EXPECT_EQ(script.answered, std::vector<std::string>{"column0"});
}

TEST_F(SessionTest, AClickInterruptsTheWallWhichGoesOnAfterwards) {
  encode_now();
  session.ask(Lane::kWall, questions("row", 3));
  script.entered.acquire();
  script.allow(1);
  wait_until([&] { return session.lane(Lane::kWall).replies.size() == 1; });
  script.entered.acquire();                       // in the wall's second question
  session.ask(Lane::kPick, questions("click", 1));
  wait_until([&] { return script.stops == 1; });
  script.allow(3);
  wait_until([&] { return !session.busy(); });
  EXPECT_EQ(script.answered, (std::vector<std::string>{"row0", "click0", "row1", "row2"}));
}

TEST_F(SessionTest, TheWallDoesNotInterruptAClick) {
  encode_now();
  session.ask(Lane::kPick, questions("click", 1));
  script.entered.acquire();
  session.ask(Lane::kWall, questions("row", 1));
  script.allow(2);
  wait_until([&] { return !session.busy(); });
  EXPECT_EQ(script.answered, (std::vector<std::string>{"click0", "row0"}));
  EXPECT_EQ(script.stops, 0);
}

TEST_F(SessionTest, ErrorsOfQuestionsStayInTheirLane) {
  encode_now();
  script.fail = true;
  session.ask(Lane::kPick, questions("row", 2));
  script.allow(1);
  wait_until([&] { return !session.lane(Lane::kPick).error.empty(); });
  EXPECT_FALSE(session.lane(Lane::kPick).busy());
  EXPECT_TRUE(session.lane(Lane::kWall).error.empty());
  script.fail = false;
  script.allow(1);
  session.ask(Lane::kPick, questions("row", 1));
  wait_until([&] { return session.lane(Lane::kPick).replies.size() == 1; });
}

TEST_F(SessionTest, ClearForgetsEverything) {
  encode_now();
  const int before = script.calls;
  session.clear();
  EXPECT_EQ(session.encoding().encoded, nullptr);
  wait_until([&] { return script.calls == before + 1; });   // the engine gave its memory back
  session.ask(Lane::kPick, questions("row", 1));
  EXPECT_TRUE(session.lane(Lane::kPick).replies.empty());
}

TEST_F(SessionTest, EndsWhileSomethingRuns) {
  session.encode({.image = "a.png"});
  script.entered.acquire();
}   // the destructor stops it, or the test never ends

TEST(Session, AnEngineThatCannotBeLoadedIsASentence) {
  Session session([]() -> std::unique_ptr<Engine> { throw Error(ErrorKind::kEnvironment, "lib.so: is missing"); }, [] {});
  session.encode({.image = "a.png"});
  for (int i = 0; i < 5000 && session.encoding().running; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  EXPECT_EQ(session.encoding().error, "lib.so: is missing");
}

}  // namespace
}  // namespace fovea::explore
