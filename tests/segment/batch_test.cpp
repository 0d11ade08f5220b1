// Lists of images through the three threads: what fails, what is tried again, what is reported.
#include <gtest/gtest.h>

#include <atomic>
#include <map>

#include "core/base/files.h"
#include "core/segment/batch.h"
#include "core/segment/image_groups.h"
#include "core/segment/less_memory.h"
#include "core/segment/memory_plan.h"
#include "tests/segment/segment_test_support.h"
#include "tests/support/temporary_folder.h"

namespace fovea {
namespace {

using test::MemorySource;

class RecordingObserver final : public BatchObserver {
 public:
  void report(std::string_view, std::int64_t, std::int64_t) override {
    if (cancel_at_first_report) stop.request_stop();
  }
  void image_started(const std::filesystem::path&, std::int64_t index, std::int64_t) override { started.push_back(index); }
  void image_done(const ImageRecord& record) override {
    done.push_back(record.index);
    records.push_back(record);
  }
  void image_kept(const std::filesystem::path&, std::int64_t, std::int64_t) override {}
  void image_failed(const ImageFailure& failure) override { failed.push_back(failure.message); }
  void notice(const std::string& message) override { notices.push_back(message); }

  std::vector<std::int64_t> started, done;
  std::vector<ImageRecord> records;
  std::vector<std::string> failed, notices;
  std::stop_source stop;
  bool cancel_at_first_report = false;
};

// As torch 2.11 says it.
constexpr const char* kOutOfMemory =
    "CUDA out of memory. Tried to allocate 1024.00 MiB. GPU 0 has a total capacity of 79.18 GiB of which 405.39 MiB is free. Including "
    "non-PyTorch memory, this process has 830.00 MiB memory in use. Of the allocated memory 298.69 MiB is allocated by PyTorch, and 13.31 MiB "
    "is reserved by PyTorch but unallocated. If reserved but unallocated memory is large try setting "
    "PYTORCH_CUDA_ALLOC_CONF=expandable_segments:True to avoid fragmentation.\nSee documentation for Memory Management";

constexpr std::int64_t kTooLittleToReadAhead = 1'000'000;   // bytes; a part of them is for pixels that wait

// Throws what a GPU without room throws, the first few times that pixels are asked for. Too large to be read before its turn with
// kTooLittleToReadAhead.
class OutOfMemorySource final : public ImageSource {
 public:
  OutOfMemorySource(int failures, std::atomic<int>& reads) : memory_(test::sample_image(117, 83)), failures_(failures), reads_(reads) {
    info_ = memory_.info();
    info_.width = info_.height = 300;
    info_.levels = {{300, 300}};
  }
  const ImageInfo& info() const override { return info_; }
  ImageU8 read_rgb(Rect rect, int) override {
    if (reads_++ < failures_) TORCH_CHECK_WITH(OutOfMemoryError, false, kOutOfMemory);
    ImageU8 grey(rect.width, rect.height, 3);
    std::fill(grey.samples().begin(), grey.samples().end(), std::uint8_t{90});
    return grey;
  }
  ImageU8 read_valid(Rect, int) override { return {}; }

 private:
  MemorySource memory_;
  const int failures_;
  std::atomic<int>& reads_;
  ImageInfo info_;
};

class Batches : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.folder = folder_ / "out";
    options_.segment.context = SegmentContext::kTiles;
    options_.segment.tile_pixels = 1024;
    options_.open = [](const auto&) { return std::make_unique<MemorySource>(test::sample_image(60, 50)); };
  }

  // Names of files that exist, as the journal's key asks for their time.
  void add_inputs(int count) {
    for (int i = 0; i < count; ++i) {
      const auto file = folder_ / (std::to_string(i) + ".png");
      std::FILE* opened = std::fopen(file.c_str(), "w");
      ASSERT_NE(opened, nullptr);
      std::fclose(opened);
      options_.files.push_back(file);
      options_.names.emplace_back(std::to_string(i));
    }
  }
  std::vector<std::string> outputs() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(options_.folder)) names.push_back(entry.path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
  }
  void run() { run_batch(options_, *model_, observer_, observer_.stop.get_token(), report_); }

  const test::TemporaryFolder temporary_;
  const std::filesystem::path folder_ = temporary_.path();
  std::shared_ptr<SegmentationModel> model_ = test::small_model({.global_tokens = 0, .window = 1});
  BatchOptions options_;
  RecordingObserver observer_;
  BatchReport report_;
};

// Images of two sizes of one grid, one of another size and one that cannot be opened, in one pass of the model where sizes allow.
TEST_F(Batches, PutSmallImagesTogetherAndGiveEachWhatItGetsAlone) {
  add_inputs(9);
  options_.segment.context = SegmentContext::kImage;
  model_ = test::small_model({.global_tokens = 2});
  options_.open = [](const std::filesystem::path& file) -> std::unique_ptr<ImageSource> {
    const int number = std::stoi(file.stem().string());
    if (number == 3) throw Error(ErrorKind::kInput, file.string() + ": no image");
    if (number == 5) return std::make_unique<MemorySource>(test::sample_image(100, 90));
    return std::make_unique<MemorySource>(test::sample_image(60 + number % 2, 50));
  };
  std::map<SmallImages, std::vector<std::string>> masks;
  for (const SmallImages choice : {SmallImages::kAlone, SmallImages::kTogether}) {
    options_.segment.small_images = choice;
    options_.folder = folder_ / (choice == SmallImages::kAlone ? "alone" : "together");
    report_ = {};
    observer_.records.clear();
    run();
    EXPECT_EQ(report_.done.size(), 8u);
    EXPECT_EQ(report_.left, 0);
    ASSERT_EQ(report_.failures.size(), 1u);
    EXPECT_NE(report_.failures[0].message.find("3.png: no image"), std::string::npos);
    for (const std::string& name : outputs()) masks[choice].push_back(read_text_file(options_.folder / name));
    for (const ImageRecord& record : observer_.records) {
      EXPECT_EQ(record.counts.width, record.index == 5 ? 100 : 60 + record.index % 2);
      for (const char* stage : {"open", "decode", "read_wait", "tokens", "encoder", "decoder", "labels", "write_wait", "write", "finish"}) {
        EXPECT_TRUE(record.stage_seconds.contains(stage)) << stage;
      }
    }
  }
  EXPECT_EQ(masks[SmallImages::kAlone].size(), 8u);
  EXPECT_EQ(masks[SmallImages::kAlone], masks[SmallImages::kTogether]);
}

// A place in a pass may change the order of sums on a GPU: it is the same after an interruption.
TEST_F(Batches, ResumeWithEveryImageInItsPlace) {
  add_inputs(9);
  options_.segment.context = SegmentContext::kImage;
  options_.segment.small_images = SmallImages::kTogether;
  std::filesystem::create_directories(options_.folder);
  Journal journal(options_.folder, "journal.jsonl");
  options_.journal = &journal;
  const auto files = options_.files;
  options_.files = {files[1], files[2], files[6]};
  options_.names = {"1", "2", "6"};
  run();
  ASSERT_EQ(report_.done.size(), 3u);
  BatchOptions resumed = options_;
  resumed.files = files;
  resumed.names = {"0", "1", "2", "3", "4", "5", "6", "7", "8"};
  Journal reopened(options_.folder, "journal.jsonl");
  resumed.journal = &reopened;
  resumed.resume = Resume::kResume;
  ImageOpener opener(resumed, model_->config(), {1 << 28, 1 << 28});
  ImageGroups groups(opener, *model_, resumed.segment, 1 << 28);
  const ImageGroup group = groups.next();
  EXPECT_EQ(group.batch.images, 16) << "nine, and those that an earlier run finished count";
  ASSERT_EQ(group.images.size(), 9u);
  for (const auto& [image, place] : group.images) {
    EXPECT_EQ(place, image.index);
    EXPECT_EQ(image.kept.has_value(), image.index == 1 || image.index == 2 || image.index == 6);
  }
  EXPECT_TRUE(groups.next().images.empty());
}

// Of grids that alternate the passes are small; a large image is waited for by those before it and ends their pass.
TEST_F(Batches, GroupWhatTheListPutsNearEachOther) {
  add_inputs(9);
  options_.segment.context = SegmentContext::kImage;
  options_.segment.small_images = SmallImages::kTogether;
  options_.open = [](const std::filesystem::path& file) -> std::unique_ptr<ImageSource> {
    const int number = std::stoi(file.stem().string());
    if (number == 4) throw Error(ErrorKind::kInput, file.string() + ": no image");
    if (number == 6) return std::make_unique<MemorySource>(test::sample_image(2048, 1100));
    return std::make_unique<MemorySource>(number % 2 == 0 ? test::sample_image(60, 50) : test::sample_image(100, 50));
  };
  ImageOpener opener(options_, model_->config(), {1 << 28, 1 << 28});
  ImageGroups groups(opener, *model_, options_.segment, 1 << 28);
  std::vector<std::vector<std::int64_t>> indices;
  std::vector<std::int64_t> sizes;
  for (ImageGroup group = groups.next(); !group.images.empty(); group = groups.next()) {
    sizes.push_back(group.batch.images);
    for (auto& members = indices.emplace_back(); const GroupedImage& member : group.images) members.push_back(member.image.index);
  }
  EXPECT_EQ(indices, (std::vector<std::vector<std::int64_t>>{{0, 2}, {1, 3, 5}, {4}, {6}, {7}, {8}}));
  EXPECT_EQ(sizes, (std::vector<std::int64_t>{2, 4, 1, 1, 1, 1}));
}

TEST_F(Batches, ReportEveryImageOnce) {
  add_inputs(7);
  run();
  EXPECT_EQ(observer_.started, (std::vector<std::int64_t>{0, 1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(observer_.done, observer_.started);
  EXPECT_EQ(report_.done.size(), 7u);
  EXPECT_EQ(report_.left, 0);
  EXPECT_EQ(outputs().size(), 7u);
  for (const ImageRecord& record : observer_.records) {
    EXPECT_EQ(record.counts.width * record.counts.height, 60 * 50);
    for (const char* stage : {"open", "decode", "read_wait", "forward", "labels", "write_wait", "write", "finish"}) {
      EXPECT_TRUE(record.stage_seconds.contains(stage)) << stage;
    }
  }
}

TEST_F(Batches, TryOnceMoreInSmallerPiecesWhenMemoryRunsOut) {
  add_inputs(2);
  std::atomic<int> reads = 0;
  options_.segment.max_memory_bytes = kTooLittleToReadAhead;
  options_.open = [&](const auto&) { return std::make_unique<OutOfMemorySource>(1, reads); };
  run();
  EXPECT_TRUE(report_.failures.empty());
  EXPECT_EQ(report_.done.size(), 2u);
  ASSERT_EQ(observer_.notices.size(), 1u);
  EXPECT_NE(observer_.notices[0].find("0.png: not enough memory on the device: needs 1024.00 MiB more, but only 405.39 MiB of 79.18 GiB are free; trying again in smaller tiles, of 512 pixels"), std::string::npos)
      << observer_.notices[0];
  EXPECT_EQ(outputs(), (std::vector<std::string>{"0_mask.png", "1_mask.png"}));
}

TEST_F(Batches, GiveUpAnImageForWhichMemoryRunsOutTwiceAndGoOn) {
  add_inputs(2);
  std::atomic<int> reads = 0;
  options_.segment.max_memory_bytes = kTooLittleToReadAhead;
  options_.open = [&](const auto&) { return std::make_unique<OutOfMemorySource>(2, reads); };
  run();
  ASSERT_EQ(report_.failures.size(), 1u);
  const std::string& message = report_.failures[0].message;
  EXPECT_NE(message.find("0.png: not enough memory on the device: needs 1024.00 MiB more, but only 405.39 MiB of 79.18 GiB are free; smaller pieces did not fit either; "),
            std::string::npos) << message;
  EXPECT_NE(message.find("; try --tile 64, which needs least"), std::string::npos) << message;
  EXPECT_EQ(message.find('\n'), std::string::npos) << "more than one line";
  EXPECT_EQ(outputs(), (std::vector<std::string>{"1_mask.png"}));
}

TEST_F(Batches, LeaveNothingOfAnImageThatIsInterrupted) {
  add_inputs(3);
  observer_.cancel_at_first_report = true;
  options_.segment.tile_pixels = 128;   // the first report comes long before the end
  std::atomic<int> reads = 0;
  options_.segment.max_memory_bytes = kTooLittleToReadAhead;
  options_.open = [&](const auto&) { return std::make_unique<OutOfMemorySource>(0, reads); };
  EXPECT_THROW(run(), Error);
  EXPECT_TRUE(outputs().empty());
  EXPECT_EQ(report_.left, 3);
}

TEST_F(Batches, WriteProbabilitiesOnlyWhenAsked) {
  add_inputs(1);
  options_.outputs.kinds = {OutputKind::kMaskPng, OutputKind::kProbabilities, OutputKind::kOverlay};
  run();
  ASSERT_TRUE(report_.failures.empty()) << report_.failures[0].message;
  EXPECT_EQ(outputs(), (std::vector<std::string>{"0_mask.png", "0_overlay.jpg", "0_probs.tif"}));
}

TEST_F(Batches, SegmentThePartThatWasAskedFor) {
  add_inputs(1);
  options_.window = Rect{10, 5, 30, 20};
  run();
  ASSERT_EQ(report_.done.size(), 1u);
  EXPECT_EQ(observer_.records[0].counts.width, 30);
  EXPECT_EQ(observer_.records[0].counts.height, 20);
}

TEST_F(Batches, ShowTheModelAnotherScaleAndKeepTheImagesSize) {
  add_inputs(1);
  options_.scale = {.kind = ScaleChoice::Kind::kFactor, .factor = 0.5};
  run();
  ASSERT_EQ(report_.done.size(), 1u);
  EXPECT_EQ(observer_.records[0].counts.width, 60);
  EXPECT_EQ(observer_.records[0].counts.height, 50);
  EXPECT_EQ(observer_.records[0].model_extent, (PixelExtent{30, 25}));
}

TEST(LessMemory, ShrinksWhatTheContextDependsOn) {
  const SegmentOptions smaller = with_less_memory({.context = SegmentContext::kImage, .tile_pixels = 1024}, torch::kCPU);
  EXPECT_LT(smaller.band_memory_bytes, enough_band_memory(MemoryHome::kHost));
  EXPECT_GT(smaller.band_memory_bytes, 0);
  EXPECT_EQ(smaller.tile_pixels, 512);
  EXPECT_EQ(smaller.device_share, 0.5);
}

}  // namespace
}  // namespace fovea
