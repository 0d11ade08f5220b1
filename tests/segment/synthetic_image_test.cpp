// The benchmark's image: the same pixels for every window, every number of threads, and from one release to the next.
#include "core/segment/bench/synthetic_image.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <span>

namespace fovea {
namespace {

constexpr std::uint64_t kHash = 1726697315451351777u;
constexpr std::int64_t kWidth = 3001, kHeight = 2003;

std::uint64_t fnv1a(std::span<const std::uint8_t> bytes) {
  std::uint64_t hash = 0xcbf29ce484222325u;
  for (const std::uint8_t byte : bytes) hash = (hash ^ byte) * 0x100000001b3u;
  return hash;
}

TEST(SyntheticImage, IsTheOneOfEarlierMeasurements) {
  EXPECT_EQ(fnv1a(SyntheticImage(kWidth, kHeight).read_rgb({0, 0, kWidth, kHeight}).samples()), kHash);
}

TEST(SyntheticImage, IsTheSameForEveryNumberOfThreads) {
  for (const int threads : {1, 2, 5, 200}) {
    SyntheticImage image(kWidth, kHeight, threads);
    EXPECT_EQ(fnv1a(image.read_rgb({0, 0, kWidth, kHeight}).samples()), kHash) << threads;
  }
}

TEST(SyntheticImage, AWindowIsAPartOfTheWhole) {
  SyntheticImage image(kWidth, kHeight);
  const ImageU8 whole = image.read_rgb({0, 0, kWidth, kHeight});
  for (const Rect& rect : {Rect{0, 0, 1, 1}, Rect{699, 383, 3, 2}, Rect{1399, 47, 1602, 401}, Rect{2999, 2002, 2, 1}}) {
    const ImageU8 part = image.read_rgb(rect);
    for (std::int64_t y = 0; y < rect.height; ++y) {
      ASSERT_TRUE(std::equal(part.row(y), part.row(y) + rect.width * 3, whole.row(rect.y + y) + rect.x * 3)) << rect.x << ", " << rect.y + y;
    }
  }
}

}  // namespace
}  // namespace fovea
