// The index arithmetic of the Hopper kernels, on the host: who works on which tile, which keys come past, and which of them count.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <map>
#include <ostream>
#include <set>
#include <tuple>
#include <vector>

#include "kernels/cuda/sm90/schedule.h"
#include "kernels/cuda/sm90/strip_stream.h"
#include "kernels/cuda/sm90/window_masks.h"

namespace fovea::kernels::sm90 {
namespace {

struct Geometry {
  int batch, height, width, window_height, window_width;
  std::vector<std::int32_t> dilation;           // one a head
  int multiprocessors;
  int band_rows = kPairRows, warpgroups = kWarpgroups;
};

void PrintTo(const Geometry& g, std::ostream* out) {
  *out << g.batch << " x " << g.height << "x" << g.width << " window " << g.window_height << "x" << g.window_width << " on "
       << g.multiprocessors << " with " << g.warpgroups << " warpgroups and bands of " << g.band_rows
       << ", dilation";
  for (const int d : g.dilation) *out << ' ' << d;
}

class Strips : public testing::TestWithParam<Geometry> {
 protected:
  void SetUp() override {
    const Geometry& g = GetParam();
    shape_.batch = g.batch;
    shape_.grid_height = g.height, shape_.grid_width = g.width;
    shape_.window_height = g.window_height, shape_.window_width = g.window_width;
    shape_.heads = static_cast<int>(g.dilation.size());
    shape_.dilation = g.dilation.data();
    ASSERT_TRUE(make_schedule(shape_, {g.multiprocessors, g.band_rows, g.warpgroups}, schedule_));
  }

  template <class Body>
  void for_each_segment(Body body) const {
    for (int cta = 0; cta < schedule_.ctas; ++cta) {
      StripStream strips(schedule_, cta);
      Segment segment;
      while (strips.next(segment)) body(cta, segment, schedule_.groups[segment.group]);
      EXPECT_EQ(segment.tile_begin, segment.tile_end) << "the last segment must be empty";
    }
  }

  AttentionShape shape_;
  Schedule schedule_{};
};

TEST_P(Strips, EveryQueryIsInExactlyOneTile) {
  std::map<std::tuple<int, int, int, int>, int> met;           // batch, head, y, x
  for_each_segment([&](int, const Segment& s, const DilationGroup& group) {
    for (int y = s.tile_begin * kTile; y < std::min(s.tile_end * kTile, s.rows); ++y)
      for (int x = s.x0; x < std::min(s.x0 + kTile, s.columns); ++x)
        ++met[{s.batch, s.head, y * group.y.dilation + s.phase_y, x * group.x.dilation + s.phase_x}];
  });
  const Geometry& g = GetParam();
  ASSERT_EQ(met.size(), g.batch * g.dilation.size() * g.height * g.width);
  for (const auto& [query, times] : met) {
    ASSERT_EQ(times, 1);
    ASSERT_LT(std::get<2>(query), g.height);
    ASSERT_LT(std::get<3>(query), g.width);
  }
}

TEST_P(Strips, WorkIsEven) {
  std::vector<int> tiles(schedule_.ctas);
  for_each_segment([&](int cta, const Segment& s, const DilationGroup&) { tiles[cta] += s.tile_end - s.tile_begin; });
  int uneven = 0;                               // a tile a group, and where phases differ in length one more for every strip
  for (int i = 0; i < schedule_.group_count; ++i) {
    const DilationGroup& group = schedule_.groups[i];
    const bool phased = group.y.phases() * group.x.phases() > 1;
    const GroupShare share(schedule_, group, 0);
    uneven += 1 + (phased ? (share.waves + (share.rest_end - share.rest) / group.tiles_y + 4) * group.tiles_y : 0);
  }
  EXPECT_LE(*std::max_element(tiles.begin(), tiles.end()) - *std::min_element(tiles.begin(), tiles.end()), uneven + 1);
}

// Every (batch, head) leaves partial results with the CTAs that meet it; teams keep those few, whatever the dilation.
TEST(Schedule, CtasMeetFewHeads) {
  for (const int dilation : {1, 2, 4})
    for (const int heads : {6, 12, 16}) {
      const std::vector<std::int32_t> dilations(heads, dilation);
      AttentionShape shape;
      shape.batch = 1, shape.grid_height = shape.grid_width = 256, shape.window_height = shape.window_width = 17;
      shape.heads = heads, shape.dilation = dilations.data();
      Schedule schedule;
      ASSERT_TRUE(make_schedule(shape, {132}, schedule));
      std::int32_t first[kMaxCtas + 1];
      const bool even = 132 % heads == 0;
      EXPECT_LE(count_slots(schedule, first), even ? 132 : 2 * 132) << heads << " heads, dilation " << dilation;
    }
}

TEST_P(Strips, EveryHeadIsFirstMetOnce) {
  std::map<std::pair<int, int>, int> first;
  for_each_segment([&](int, const Segment& s, const DilationGroup&) { first[{s.batch, s.head}] += s.first_of_head; });
  ASSERT_EQ(first.size(), static_cast<std::size_t>(GetParam().batch) * GetParam().dilation.size());
  for (const auto& [head, times] : first) EXPECT_EQ(times, 1);
}

TEST_P(Strips, NoCtaNeedsMoreSlotsThanPromised) {
  const int slots = slots_per_cta(schedule_);
  std::map<int, int> used;
  std::map<int, std::pair<int, int>> last;
  for_each_segment([&](int cta, const Segment& s, const DilationGroup&) {
    const std::pair<int, int> now{s.batch, s.head};
    if (!last.count(cta) || last[cta] != now) ++used[cta];
    last[cta] = now;
  });
  for (const auto& [cta, count] : used) EXPECT_LE(count, slots);
  std::int32_t first[kMaxCtas + 1];
  EXPECT_EQ(count_slots(schedule_, first), first[schedule_.ctas]);
  EXPECT_EQ(first[0], 0);
  for (int cta = 0; cta < schedule_.ctas; ++cta) {
    EXPECT_LE(used[cta], first[cta + 1] - first[cta]) << "CTA " << cta;
    EXPECT_GE(slots, first[cta + 1] - first[cta]) << "CTA " << cta;
  }
}

// What a thread's masks let through is the definition of the window; and the first stage that a warp looks at shows each of its queries
// a key, whose score is the first shift of the softmax.
TEST_P(Strips, MasksAreTheWindow) {
  for_each_segment([&](int, const Segment& s, const DilationGroup& group) {
    const int ry = group.y.radius, rx = group.x.radius;
    for (int tile = s.tile_begin; tile < s.tile_end; ++tile) {
      const int n = schedule_.band_rows, begin = first_band(tile, ry, n), end = end_band(tile, ry, s.rows, n);
      ASSERT_LE(s.band_begin, begin);
      ASSERT_LT(begin, end);
      ASSERT_LE(end, s.band_end);
      for (int warp = 0; warp < 4; ++warp)
        for (int lane = 0; lane < 32; ++lane) {
          const RowWindow window(tile * kTile + warp * 2, ry, s.rows);
          for (int row = 0; row < 2; ++row) {
            const int y = tile * kTile + warp * 2 + row, x = s.x0 + lane / 4;
            if (y >= s.rows || x >= s.columns) continue;
            std::set<std::pair<int, int>> seen, expected;
            bool looked = false;
            for (int first = band_row(begin, ry, n); first < band_row(end, ry, n); first += kPairRows)
              for (int panel = 0; panel < s.panels; ++panel) {
                const int offset = first - window.origin;
                ASSERT_EQ(offset % kPairRows, 0);
                if (!window.visible(offset)) {
                  ASSERT_FALSE(window.whole(offset));
                  continue;
                }
                const std::uint32_t columns = column_mask(s, rx, panel, lane);
                for (int key_row = 0; key_row < kPairRows; ++key_row) {
                  const bool sees = window.sees(row, key_row, offset);
                  ASSERT_TRUE(sees || !window.whole(offset));
                  if (!sees) continue;
                  for (int i = 0; i < 6; ++i)
                    if (columns >> i & 1)
                      seen.insert({first + key_row, s.column_begin + panel * kPanelColumns + i / 2 * 8 + lane % 4 * 2 + (i & 1)});
                }
                looked = true;
              }
            ASSERT_TRUE(looked);
            for (int ky = std::max(0, y - ry); ky <= std::min(s.rows - 1, y + ry); ++ky)
              for (int kx = std::max(0, x - rx); kx <= std::min(s.columns - 1, x + rx); ++kx)
                if ((kx - s.column_begin) % 8 / 2 == lane % 4) expected.insert({ky, kx});
            ASSERT_EQ(seen, expected) << "query " << y << ", " << x << " lane " << lane;
          }
        }
    }
  });
}

// The forward's warps have rows of their own (RowReach), and look at a stage's key rows pair by pair.
TEST_P(Strips, ReachIsTheWindow) {
  for_each_segment([&](int, const Segment& s, const DilationGroup& group) {
    const int n = schedule_.band_rows, radius = group.y.radius;
    for (int tile = s.tile_begin; tile < s.tile_end; ++tile)
      for (int warp = 0; warp < 4; ++warp) {
        const RowReach reach(tile * kTile + warp, radius, s.rows);
        const auto seen = [&](int i, int row) {
          return std::abs(row - (tile * kTile + warp + i * kRowDistance)) <= radius && row >= 0 && row < s.rows;
        };
        for (int band = first_band(tile, radius, n); band < end_band(tile, radius, s.rows, n); ++band)
          for (int row = band_row(band, radius, n); row < band_row(band + 1, radius, n); row += kPairRows) {
            bool all = true;
            for (int i = 0; i < 2; ++i) {
              ASSERT_EQ(reach.sees(i, row), seen(i, row));
              ASSERT_EQ(reach.sees(i, row + 1), seen(i, row + 1));
              const bool exists = tile * kTile + warp + i * kRowDistance < s.rows;
              ASSERT_TRUE(!exists || reach.visible(i, row, kPairRows) == (seen(i, row) || seen(i, row + 1)));
              all = all && seen(i, row) && seen(i, row + 1);
            }
            ASSERT_EQ(reach.whole(row, kPairRows), all) << "row " << row << " of warp " << warp << ", tile " << tile;
          }
      }
  });
}

TEST(RowReach, EveryWarpsRowsAreNeighboursInSharedMemory) {
  std::set<int> places;
  for (int row = 0; row < kTile; ++row) {
    EXPECT_EQ(place_of_row(row) / 2, row % kRowDistance);
    places.insert(place_of_row(row));
  }
  EXPECT_EQ(places.size(), std::size_t{kTile});
  EXPECT_EQ(*places.rbegin(), kTile - 1);
}

TEST_P(Strips, TheFirstStageOfAWarpShowsEveryQueryAKey) {
  for_each_segment([&](int, const Segment& s, const DilationGroup& group) {
    const int n = schedule_.band_rows, radius = group.y.radius;
    for (int tile = s.tile_begin; tile < s.tile_end; ++tile)
      for (int warp = 0; warp < 4; ++warp) {
        const RowWindow window(tile * kTile + warp * 2, radius, s.rows);
        const auto pairs = [&](int band) {
          std::vector<int> visible;
          for (int row = band_row(band, radius, n); row < band_row(band + 1, radius, n); row += kPairRows)
            if (window.visible(row - window.origin)) visible.push_back(row - window.origin);
          return visible;
        };
        int band = first_band(tile, radius, n);
        while (pairs(band).empty()) ++band;
        for (int row = 0; row < 2; ++row) {
          if (tile * kTile + warp * 2 + row >= s.rows) continue;
          bool sees = false;
          for (const int offset : pairs(band)) sees |= window.sees(row, 0, offset) || window.sees(row, 1, offset);
          EXPECT_TRUE(sees) << "row " << row << " of warp " << warp << ", tile " << tile;
          for (int column = 0; column < kTile && s.x0 + column < s.columns; ++column) {
            std::uint32_t any = 0;
            for (int quad = 0; quad < 4; ++quad) any |= column_mask(s, group.x.radius, 0, column * 4 + quad);
            EXPECT_NE(any, 0u) << "column " << s.x0 + column;
          }
        }
      }
  });
}

// Warpgroups take tiles in turn; none may need a band again that it has passed.
TEST_P(Strips, NobodyGoesBack) {
  for_each_segment([&](int, const Segment& s, const DilationGroup& group) {
    const int turns = GetParam().warpgroups, n = schedule_.band_rows, radius = group.y.radius;
    for (int tile = s.tile_begin; tile + turns < s.tile_end; ++tile)
      EXPECT_LE(end_band(tile, radius, s.rows, n), first_band(tile + turns, radius, n));
  });
}

INSTANTIATE_TEST_SUITE_P(Shapes, Strips,
                         testing::Values(Geometry{1, 1, 1, 1, 1, {1}, 132}, Geometry{1, 1, 1, 17, 17, {1, 4}, 132},
                                         Geometry{2, 31, 29, 17, 17, {1, 1}, 7}, Geometry{1, 64, 64, 17, 17, {1}, 132},
                                         Geometry{1, 40, 33, 7, 5, {1, 2, 3, 1}, 5}, Geometry{1, 37, 41, 33, 33, {1}, 4},
                                         Geometry{1, 9, 130, 3, 65, {1}, 3}, Geometry{1, 70, 9, 65, 3, {2, 1}, 6},
                                         Geometry{3, 1, 50, 1, 9, {1}, 132}, Geometry{3, 50, 1, 9, 1, {8}, 11},
                                         Geometry{1, 15, 17, 101, 77, {1, 2}, 2}, Geometry{1, 23, 24, 15, 13, {7, 50}, 132},
                                         Geometry{1, 32, 32, 1, 1, {3}, 8}, Geometry{1, 25, 40, 5, 3, {1, 8, 4}, 132},
                                         Geometry{1, 64, 40, 17, 17, {1}, 3, 2, 2}, Geometry{2, 70, 24, 9, 9, {1, 2}, 5, 2, 2},
                                         Geometry{1, 61, 24, 11, 5, {1, 3}, 4, 2, 2}, Geometry{2, 62, 29, 17, 17, {1, 2}, 7, 4},
                                         Geometry{1, 45, 33, 15, 17, {1}, 5, 4}, Geometry{1, 41, 26, 13, 5, {1, 3}, 5, 4},
                                         Geometry{1, 43, 20, 11, 7, {2}, 5, 4}, Geometry{1, 38, 20, 9, 1, {1}, 3, 4},
                                         Geometry{1, 50, 30, 7, 3, {1}, 3, 4}, Geometry{1, 37, 41, 33, 33, {1}, 4, 4},
                                         Geometry{1, 15, 17, 101, 77, {1, 2}, 2, 4}, Geometry{1, 40, 16, 1, 3, {1}, 3, 4}));

TEST(Schedule, RefusesWorkThatIsNone) {
  const std::int32_t dilation = 1;
  AttentionShape shape;
  shape.batch = 1, shape.grid_height = 0, shape.grid_width = 5, shape.heads = 1, shape.dilation = &dilation;
  Schedule schedule;
  EXPECT_FALSE(make_schedule(shape, {132}, schedule));
}

TEST(Schedule, RefusesMoreGeometriesThanItHolds) {
  const std::vector<std::int32_t> dilation{1, 2, 3, 4, 5, 6, 7};
  AttentionShape shape;
  shape.batch = 1, shape.grid_height = shape.grid_width = 64, shape.heads = 7, shape.dilation = dilation.data();
  shape.window_height = shape.window_width = 3;
  Schedule schedule;
  EXPECT_FALSE(make_schedule(shape, {132}, schedule));
  shape.window_height = shape.window_width = 1;         // nobody reaches a neighbour: one geometry
  EXPECT_TRUE(make_schedule(shape, {132}, schedule));
  EXPECT_EQ(schedule.group_count, 1);
}

}  // namespace
}  // namespace fovea::kernels::sm90
