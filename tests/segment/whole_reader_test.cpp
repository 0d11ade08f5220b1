#include "core/segment/whole_reader.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>

#include "core/segment/bench/synthetic_image.h"

namespace fovea {
namespace {

constexpr std::int64_t kWidth = 37, kHeight = 5'003;   // more pieces than readers, the last one short

// Refuses rows from a place on.
class Damaged final : public ImageSource {
 public:
  explicit Damaged(std::int64_t from) : image_(kWidth, kHeight), from_(from) {}
  const ImageInfo& info() const override { return image_.info(); }
  ImageU8 read_rgb(Rect rect, int level) override {
    if (rect.y + rect.height > from_) throw Error(ErrorKind::kInput, "a tile is damaged");
    return image_.read_rgb(rect, level);
  }
  ImageU8 read_valid(Rect rect, int level) override { return image_.read_valid(rect, level); }

 private:
  SyntheticImage image_;
  const std::int64_t from_;
};

TEST(WholeReader, GivesTheSamePixelsWhateverTheNumberOfReaders) {
  SyntheticImage image(kWidth, kHeight);
  const ImageU8 expected = image.read_rgb({0, 0, kWidth, kHeight});
  for (const unsigned readers : {1u, 2u, 3u, 16u}) {
    std::atomic<unsigned> opened = 0;
    const OpenSource open = [&] {
      ++opened;
      return std::make_unique<SyntheticImage>(kWidth, kHeight);
    };
    EXPECT_TRUE(std::ranges::equal(read_whole(image, open, readers).samples(), expected.samples())) << readers << " readers";
    EXPECT_EQ(opened, std::min(readers, 5u) - 1) << "each thread its own source, none without rows to read";
  }
}

TEST(WholeReader, PassesOnWhatAnyReaderMeets) {
  for (const std::int64_t from : {std::int64_t{0}, kHeight - 1}) {
    Damaged source(from);
    EXPECT_THROW(read_whole(source, [&] { return std::make_unique<Damaged>(from); }, 3), Error);
  }
  Damaged whole(kHeight);
  EXPECT_THROW(read_whole(whole, []() -> std::unique_ptr<ImageSource> { throw Error(ErrorKind::kInput, "is gone"); }, 2), Error);
}

}  // namespace
}  // namespace fovea
