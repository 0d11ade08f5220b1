// Several readers of one file give what one gives.
#include "core/segment/parallel_source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "core/segment/bench/synthetic_image.h"

namespace fovea {
namespace {

struct Extent {
  std::int64_t width = 0, height = 0;
};

// As a file with blocks of this size, that refuses rows from a place on.
class BlockedFile final : public ImageSource {
 public:
  BlockedFile(Extent image, Extent block, std::int64_t damaged_from) : image_(image.width, image.height), damaged_from_(damaged_from) {
    info_ = image_.info();
    info_.block_width = block.width;
    info_.block_height = block.height;
  }
  const ImageInfo& info() const override { return info_; }
  ImageU8 read_rgb(Rect rect, int level) override {
    if (rect.y + rect.height > damaged_from_) throw Error(ErrorKind::kInput, "a tile is damaged");
    return image_.read_rgb(rect, level);
  }
  ImageU8 read_valid(Rect rect, int level) override { return image_.read_valid(rect, level); }

 private:
  SyntheticImage image_;
  ImageInfo info_;
  const std::int64_t damaged_from_;
};

constexpr std::int64_t kUndamaged = 1 << 20;

class ParallelSources : public ::testing::TestWithParam<std::pair<Extent, Extent>> {};   // image, block

TEST_P(ParallelSources, GiveThePixelsOfOne) {
  const auto& [image, block] = GetParam();
  SyntheticImage expected(image.width, image.height);
  for (const unsigned readers : {1u, 2u, 3u, 16u}) {
    std::atomic<int> opened = 0;
    const auto source = read_in_parallel([&] { return ++opened, std::make_unique<BlockedFile>(image, block, kUndamaged); }, readers);
    for (const Rect& rect : {Rect{0, 0, image.width, image.height}, Rect{3, 5, image.width - 7, 1}, Rect{image.width - 2, 700, 2, 600}}) {
      EXPECT_TRUE(std::ranges::equal(source->read_rgb(rect).samples(), expected.read_rgb(rect).samples())) << readers << " readers";
    }
    EXPECT_EQ(opened, std::min(readers, 3u)) << "one for each piece of the largest window, none without";
  }
}

INSTANTIATE_TEST_SUITE_P(Blocks, ParallelSources, ::testing::Values(std::pair{Extent{2500, 1400}, Extent{256, 256}},
                                                                    std::pair{Extent{3001, 1400}, Extent{1024, 512}},
                                                                    std::pair{Extent{1400, 2050}, Extent{1400, 8}},
                                                                    std::pair{Extent{1400, 3001}, Extent{1401, 1}}));

TEST(ParallelSourceErrors, PassWhicheverReaderMeetsThem) {
  const Extent image{2500, 1400}, block{256, 256};
  for (const std::int64_t from : {0, 1399}) {
    const auto source = read_in_parallel([&] { return std::make_unique<BlockedFile>(image, block, from); }, 3);
    EXPECT_THROW(source->read_rgb({0, 0, 2500, 1400}), Error);
    if (from > 0) {
      EXPECT_NO_THROW(source->read_rgb({0, 0, 2500, 1399})) << "the next window";
    }
  }
  std::atomic<int> opened = 0;
  const auto gone = read_in_parallel([&]() -> std::unique_ptr<ImageSource> {
    if (opened++ > 0) throw Error(ErrorKind::kInput, "is gone");
    return std::make_unique<BlockedFile>(image, block, kUndamaged);
  }, 2);
  EXPECT_THROW(gone->read_rgb({0, 0, 2500, 1400}), Error);
}

TEST(ParallelSource, LeavesAloneWhatCannotBeDivided) {
  const auto blockless = read_in_parallel([] { return std::make_unique<SyntheticImage>(2000, 2000); }, 4);
  EXPECT_NE(dynamic_cast<SyntheticImage*>(blockless.get()), nullptr);
  const auto small = read_in_parallel([] { return std::make_unique<BlockedFile>(Extent{512, 512}, Extent{256, 256}, kUndamaged); }, 4);
  EXPECT_NE(dynamic_cast<BlockedFile*>(small.get()), nullptr);
}

}  // namespace
}  // namespace fovea
