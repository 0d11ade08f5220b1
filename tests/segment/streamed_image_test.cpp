// Pixels that arrive while they are asked for.
#include "core/segment/streamed_image.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <future>
#include <semaphore>
#include <span>

namespace fovea {
namespace {

constexpr std::int64_t kStreamWidth = 7, kStreamHeight = 30, kRowsAPiece = 10;

// Rows whose samples are their number, in pieces that wait to be let through.
class SlowFile final : public ImageSource {
 public:
  struct Gate {
    std::int64_t damaged_piece = -1;
    std::counting_semaphore<> pieces{0};
  };
  SlowFile(Gate& gate, bool lacks_data) : gate_(gate) {
    info_.width = kStreamWidth;
    info_.height = kStreamHeight;
    info_.has_alpha = lacks_data;
  }
  const ImageInfo& info() const override { return info_; }
  ImageU8 read_rgb(Rect rect, int) override {
    ImageU8 rows(rect.width, rect.height, 3);
    for (std::int64_t y = 0; y < rect.height; ++y) std::memset(rows.row(y), static_cast<int>(rect.y + y), static_cast<std::size_t>(rect.width * 3));
    return rows;
  }
  ImageU8 read_valid(Rect rect, int) override {
    ImageU8 rows(rect.width, rect.height, 1);
    for (std::int64_t y = 0; y < rect.height; ++y) std::memset(rows.row(y), (rect.y + y) % 2 == 0 ? 255 : 0, static_cast<std::size_t>(rect.width));
    return rows;
  }
  void read_rows(const RowTaker& take) override {
    for (std::int64_t piece = 0; piece * kRowsAPiece < kStreamHeight; ++piece) {
      gate_.pieces.acquire();
      if (piece == gate_.damaged_piece) throw Error(ErrorKind::kInput, "a.jpg: damaged");
      const Rect rect{0, piece * kRowsAPiece, kStreamWidth, kRowsAPiece};
      if (!take(read_rgb(rect, 0), info_.has_alpha ? read_valid(rect, 0) : ImageU8())) return;
    }
  }

 private:
  Gate& gate_;
  ImageInfo info_;
};

TEST(StreamedImage, HandsOutRowsBeforeTheLastIsThere) {
  SlowFile::Gate gate;
  StreamedImage image(std::make_unique<SlowFile>(gate, true));
  gate.pieces.release(2);
  const ImageU8 rgb = image.read_rgb({2, 8, 3, 12}, 0), valid = image.read_valid({0, 0, kStreamWidth, 20}, 0);
  for (std::int64_t y = 0; y < 12; ++y) {
    EXPECT_TRUE(std::ranges::all_of(std::span(rgb.row(y), 9), [&](std::uint8_t value) { return value == 8 + y; }));
  }
  for (std::int64_t y = 0; y < 20; ++y) EXPECT_EQ(valid.row(y)[3], y % 2 == 0 ? 255 : 0);
  auto last = std::async(std::launch::async, [&] { return image.read_rgb({0, 29, 1, 1}, 0).row(0)[0]; });
  gate.pieces.release();
  EXPECT_EQ(last.get(), 29);
  EXPECT_GT(image.decode_seconds(), 0);
}

TEST(StreamedImage, IsDecodedOnceWhoeverBegins) {
  SlowFile::Gate gate;
  StreamedImage image(std::make_unique<SlowFile>(gate, false));
  gate.pieces.release(3);   // a second decoding would wait forever
  image.decode({});
  image.decode({});
  EXPECT_EQ(image.read_rgb({0, 29, 1, 1}, 0).row(0)[0], 29);
  EXPECT_EQ(image.read_valid({0, 29, 1, 1}, 0).row(0)[0], 255);
}

TEST(StreamedImage, PassesOnDamageToThoseWhoNeedTheRows) {
  SlowFile::Gate gate{.damaged_piece = 1};
  StreamedImage image(std::make_unique<SlowFile>(gate, false));
  gate.pieces.release(2);
  EXPECT_EQ(image.read_rgb({0, 9, 1, 1}, 0).row(0)[0], 9);
  for (int i = 0; i < 2; ++i) EXPECT_THROW(image.read_rgb({0, 9, 1, 2}, 0), Error);
}

TEST(StreamedImage, StopsWhenAsked) {
  SlowFile::Gate gate;
  StreamedImage image(std::make_unique<SlowFile>(gate, false));
  gate.pieces.release(1);
  std::stop_source stop;
  stop.request_stop();
  image.decode(stop.get_token());
  EXPECT_THROW(image.read_rgb({0, 0, 1, 1}, 0), Error);
}

}  // namespace
}  // namespace fovea
