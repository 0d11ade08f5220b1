#include "app/viewer/background_job.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace fovea {
namespace {

// Polls until nothing runs.
void finish(BackgroundJob& job) {
  for (int i = 0; i < 20000 && job.running(); ++i) {
    job.poll();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ASSERT_FALSE(job.running());
}

TEST(BackgroundJob, TellsProgressAndThatItIsDone) {
  std::atomic<int> woken = 0;
  std::atomic<bool> go = false;
  BackgroundJob job([&] { ++woken; });
  int done = 0;
  EXPECT_FALSE(job.state().running);
  job.start(
      [&](Progress& progress, const std::stop_token&) {
        progress.report("half", 1, 2);
        while (!go) std::this_thread::yield();
      },
      [&](const BackgroundJob::Outcome& outcome) {
        ++done;
        EXPECT_EQ(outcome.error, "");
        EXPECT_FALSE(outcome.stopped);
      });
  while (job.state().stage != "half") std::this_thread::yield();
  EXPECT_EQ(job.state().share(), 0.5f);
  job.poll();
  EXPECT_EQ(done, 0);
  go = true;
  finish(job);
  EXPECT_EQ(done, 1);
  EXPECT_GT(woken, 0);
}

TEST(BackgroundJob, FailuresAreToldInOneLine) {
  BackgroundJob job({});
  std::string told;
  const auto keep = [&](const BackgroundJob::Outcome& outcome) { told = outcome.error; };
  job.start([](Progress&, const std::stop_token&) { throw Error(ErrorKind::kInput, "a.png: spoilt\nsecond line"); }, keep);
  finish(job);
  EXPECT_EQ(told, "a.png: spoilt");
  job.start([](Progress&, const std::stop_token&) { throw std::bad_alloc(); }, keep);
  finish(job);
  EXPECT_NE(told.find("memory"), std::string::npos);
}

TEST(BackgroundJob, CancelStopsItAndTheNextOneFollows) {
  BackgroundJob job({});
  std::string order;
  const auto until_stopped = [](Progress&, const std::stop_token& stop) {
    while (!stop.stop_requested()) std::this_thread::yield();
    throw_if_stopped(stop);
  };
  job.start(until_stopped, [&](const BackgroundJob::Outcome& outcome) { order += outcome.stopped && outcome.error.empty() ? "stopped " : "wrong "; });
  job.start([](Progress&, const std::stop_token&) {}, [&](const BackgroundJob::Outcome& outcome) { order += outcome.stopped ? "wrong" : "done"; });
  finish(job);
  EXPECT_EQ(order, "stopped done");
  job.start(until_stopped, [&](const BackgroundJob::Outcome&) { order += "!"; });
  job.cancel();
  finish(job);
  EXPECT_EQ(order, "stopped done!");
}

TEST(BackgroundJob, IsGoneWithoutWaitingForItsWork) {
  std::atomic<bool> stopped = false;
  {
    BackgroundJob job({});
    job.start([&](Progress&, const std::stop_token& stop) {
      while (!stop.stop_requested()) std::this_thread::yield();
      stopped = true;
    }, [](const BackgroundJob::Outcome&) { ADD_FAILURE() << "nobody is there to be told"; });
  }
  EXPECT_TRUE(stopped);
}

}  // namespace
}  // namespace fovea
