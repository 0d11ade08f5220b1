// The index arithmetic of the portable GPU kernels, on the host: every pair of tokens that the operator's definition names is met by
// exactly one lane, once, in forward and backward alike, and no other pair is.
#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <ostream>
#include <set>
#include <utility>
#include <vector>

#include "kernels/cuda/sm80/plan.h"
#include "kernels/cuda/sm80/window.h"
#include "kernels/cuda/sm80/work.h"

namespace fovea::kernels::sm80 {
namespace {

struct Geometry {
  int height, width, window_height, window_width, global_tokens;
  std::vector<std::int32_t> dilation;           // one a head
  int warps, subtiles, stage_blocks, resident = 4;
};

void PrintTo(const Geometry& g, std::ostream* out) {
  *out << g.height << "x" << g.width << " window " << g.window_height << "x" << g.window_width << " G" << g.global_tokens << " warps "
       << g.warps << " subtiles " << g.subtiles << " stage " << g.stage_blocks << ", dilation";
  for (const int d : g.dilation) *out << ' ' << d;
}

using Pairs = std::map<std::pair<int, int>, int>;               // (stationary token, streamed token) -> how often they met

// What one warp does with its tiles, as Consumer does it.
class WarpOnHost {
 public:
  WarpOnHost(const Work& work, const Layout& layout, int warp, Pairs& met) : work_(work), layout_(layout), place_(work, warp), met_(met) {}

  void run() {
    int index = 0;
    for (int t = place_.first_tile; t < work_.tiles && place_.exists; t += work_.down) {
      const Tile tile(work_, place_, t);
      meet_globals(tile);
      const StageRange range = stages_of_tile(work_, tile.y);
      EXPECT_GE(range.begin, index) << "the next tile's first stage has passed by";
      EXPECT_LE(range.end, work_.grid.stages);
      for (index = range.begin + place_.part; index < range.end; index += place_.parts) meet_stage(tile, index);
      index = range.end;
    }
  }

  // The global tokens along with the strip, as Rider does it.
  void ride(const Work& globals) {
    const Tile tile(globals, WarpPlace(globals, 0), 0);
    const OwnTokens own(work_);
    const auto meet = [&](int row, int column) {
      for (int lane = 0; lane < 32; lane += 4)
        for (int group = 0; group < 2; ++group) {
          const int stationary = tile.token(globals, group, lane);
          if (stationary >= 0) ++met_[{stationary, row < 0 ? column : token_at(row, column)}];
        }
    };
    for (int column = 0; work_.strip == 0 && column < work_.global_columns; ++column) meet(-1, column);
    for (int index = 0; index < work_.grid.stages; ++index) {
      const Stage stage = stage_of(work_.grid, work_.flat, index);
      const BlockRange blocks = blocks_of_columns(work_.flat, own.column_first, own.column_last, stage);
      for (int row = stage.row; row < stage.row + stage.rows; ++row)
        for (int i = blocks.begin * kBlock; i < blocks.end * kBlock; ++i) {
          const int column = stage.column + i;
          if (own.has_row(row) && ColumnWindow(own.column_first, own.column_last).meets(column)) meet(row, column);
        }
    }
  }

 private:
  int token_at(int row, int column) const {
    const Halo& halo = work_.grid;
    EXPECT_TRUE(row >= halo.row_first && row <= halo.row_last && column >= halo.column_first && column <= halo.column_last)
        << "a token that the producer leaves as zeros";
    return halo.map.base + row * halo.map.row_stride + column * halo.map.column_stride;
  }

  void meet_stage(const Tile& tile, int index) {
    const Stage stage = stage_of(work_.grid, work_.flat, index);
    const BlockRange blocks = blocks_of_tile(work_, tile.x, stage);
    EXPECT_LE(stage.rows * stage.blocks, layout_.stage_blocks);
    EXPECT_EQ(work_.flat ? stage.blocks % 2 : stage.rows % 2, 0);
    if (work_.flat) {
      for (int c = blocks.begin; c < blocks.end; c += 2) meet_side_by_side(tile, stage, c);
    } else {
      for (int row = 0; row < stage.rows; row += 2)
        for (int c = blocks.begin; c < blocks.end; ++c) meet_below(tile, stage, row, c);
    }
  }

  void meet_below(const Tile& tile, const Stage& stage, int row, int c) {
    for (int block = 0; block < 2; ++block) {
      const RowReach reach(work_, tile);
      const int distance = stage.row + row - reach.origin;
      const unsigned groups = reach.whole(distance) ? ~0u : reach.groups_that_meet(work_, distance + block);
      for_each_score([&](int lane, int group, int j) {
        const int column = lane_column(stage.column + c * kBlock, j, lane);
        if ((groups >> group & 1u) && ColumnWindow(work_, tile, lane).meets(column))
          count(tile, lane, group, stage.row + row + block, column);
      });
    }
  }

  void meet_side_by_side(const Tile& tile, const Stage& stage, int c) {
    const int first = stage.column + c * kBlock;
    const bool all = all_meet(work_, tile, first, first + 2 * kBlock - 1);
    for (int block = 0; block < 2; ++block)
      for_each_score([&](int lane, int group, int j) {
        const int column = lane_column(first + block * kBlock, j, lane);
        if (all || RowWindow(work_, tile, lane).meets(column, group * kBlock)) count(tile, lane, group, stage.row, column);
      });
  }

  void meet_globals(const Tile& tile) {
    for_each_score([&](int lane, int group, int j) {
      for (int block = 0; block < divide_up(work_.global_columns, 2 * kBlock) * 2; ++block) {
        const int column = lane_column(block * kBlock, j, lane), stationary = tile.token(work_, group, lane);
        if (RowWindow(0, work_.global_columns - 1).meets(column, 0) && stationary >= 0) ++met_[{stationary, column}];
      }
    });
  }

  template <class Body>
  void for_each_score(Body body) const {
    for (int lane = 0; lane < 32; ++lane)
      for (int group = 0; group < 2 * layout_.subtiles; ++group)
        for (int j = 0; j < 2; ++j) body(lane, group, j);
  }

  void count(const Tile& tile, int lane, int group, int row, int column) {
    const int stationary = tile.token(work_, group, lane);
    if (stationary >= 0) ++met_[{stationary, token_at(row, column)}];
  }

  const Work& work_;
  const Layout& layout_;
  WarpPlace place_;
  Pairs& met_;
};

class Schedule : public testing::TestWithParam<Geometry> {
 protected:
  void SetUp() override {
    const Geometry& g = GetParam();
    shape_.batch = 2;
    shape_.grid_height = g.height, shape_.grid_width = g.width;
    shape_.window_height = g.window_height, shape_.window_width = g.window_width;
    shape_.global_tokens = g.global_tokens;
    shape_.heads = static_cast<int>(g.dilation.size());
    shape_.head_dim = 64;
    shape_.dilation = g.dilation.data();
    plan_ = make_plan(shape_, {g.warps, g.subtiles, g.stage_blocks, g.resident, 2});
  }

  std::map<std::pair<int, int>, Pairs> all_met() const {         // by (batch, head)
    std::map<std::pair<int, int>, Pairs> met;
    for (std::int64_t block = 0; block < plan_.thread_blocks; ++block) {
      Work work{};
      if (!locate(plan_.layout, plan_.heads, static_cast<unsigned>(block), work)) continue;
      for (int warp = 0; warp < GetParam().warps; ++warp)
        WarpOnHost(work, plan_.layout, warp, met[{work.batch, work.head}]).run();
      if (!plan_.layout.rides) continue;
      Work globals{};
      place_global_tokens(plan_.layout, work.strip, globals);
      WarpOnHost(work, plan_.layout, 0, met[{work.batch, work.head}]).ride(globals);
    }
    return met;
  }

  bool in_window(int query, int key, int dilation) const {
    const Geometry& g = GetParam();
    if (query < g.global_tokens || key < g.global_tokens) return true;
    const int a = query - g.global_tokens, b = key - g.global_tokens;
    const int dy = b / g.width - a / g.width, dx = b % g.width - a % g.width;
    return dy % dilation == 0 && dx % dilation == 0 && std::abs(dy / dilation) <= g.window_height / 2 &&
           std::abs(dx / dilation) <= g.window_width / 2;
  }

  AttentionShape shape_;
  Plan plan_;
};

TEST_P(Schedule, MeetsExactlyTheWindowAndTheGlobalTokens) {
  const std::map<std::pair<int, int>, Pairs> met = all_met();
  ASSERT_EQ(met.size(), shape_.batch * shape_.heads);
  const int tokens = static_cast<int>(shape_.tokens());
  for (const auto& [plane, pairs] : met) {
    std::size_t expected = 0;
    for (int query = 0; query < tokens; ++query)
      for (int key = 0; key < tokens; ++key) {
        if (!in_window(query, key, GetParam().dilation[plane.second])) continue;
        ++expected;
        const auto found = pairs.find({query, key});
        ASSERT_NE(found, pairs.end()) << "tokens " << query << " and " << key << " never meet";
        ASSERT_EQ(found->second, 1) << "tokens " << query << " and " << key;
      }
    ASSERT_EQ(pairs.size(), expected) << "pairs outside the window meet";
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Schedule,
    testing::Values(Geometry{1, 1, 17, 17, 0, {1}, 10, 2, 8}, Geometry{1, 1, 1, 1, 3, {1}, 10, 1, 4},
                    Geometry{1, 300, 1, 65, 3, {1}, 10, 2, 8}, Geometry{300, 1, 65, 1, 20, {2}, 10, 1, 8},
                    Geometry{2, 150, 3, 33, 1, {1, 3}, 7, 1, 4}, Geometry{16, 16, 17, 17, 8, {1}, 10, 2, 8},
                    Geometry{17, 31, 17, 17, 8, {1, 2}, 10, 2, 8}, Geometry{17, 31, 5, 9, 17, {1, 40}, 7, 1, 8},
                    Geometry{23, 19, 33, 33, 64, {1}, 10, 1, 8}, Geometry{24, 20, 33, 13, 16, {1}, 7, 1, 4},
                    Geometry{9, 33, 7, 7, 5, {3}, 10, 1, 4}, Geometry{13, 29, 101, 77, 4, {1}, 10, 2, 8},
                    Geometry{32, 8, 1, 1, 7, {1}, 10, 2, 8}, Geometry{8, 32, 1, 17, 0, {1}, 10, 1, 8},
                    Geometry{40, 9, 17, 1, 9, {5, 1}, 7, 1, 8}, Geometry{90, 11, 17, 17, 1, {1}, 10, 2, 8, 1},
                    Geometry{90, 19, 17, 17, 0, {1}, 10, 1, 8, 1}, Geometry{75, 21, 7, 7, 0, {1, 2}, 10, 2, 8, 1},
                    Geometry{60, 9, 13, 5, 0, {1}, 7, 1, 8, 1}, Geometry{61, 9, 15, 3, 0, {1}, 10, 2, 8, 1},
                    Geometry{23, 19, 33, 33, 64, {1}, 10, 1, 2}, Geometry{17, 31, 17, 17, 8, {1, 2}, 10, 1, 2}));

// The largest rooms (float32, head_dim 128, with lse and delta) in the least shared memory (99 KiB, of which 2 are the thread block's own).
TEST(Ring, FitsBesidesTheGlobalTokens) {
  const auto stage_bytes = [](int blocks) { return (2 * blocks * (8 * 512 + 8 * 4) + 1023) / 1024 * 1024; };
  for (int globals = 0; globals <= kMaxGlobalTokens; ++globals) {
    Layout layout{};
    layout.stage_blocks = 4;
    const int bytes = 97 * 1024 - stage_bytes(divide_up(globals, 2 * kBlock) * 2);
    fit_ring(layout, bytes, stage_bytes);
    EXPECT_GE(layout.stages, 1) << globals << " global tokens";
    EXPECT_GE(layout.stage_blocks, 2);
    EXPECT_LE(layout.stages * stage_bytes(layout.stage_blocks), bytes);
  }
}

TEST(Unsupported, SaysWhy) {
  const std::int32_t one[] = {1}, zero[] = {0};
  AttentionShape shape;
  shape.batch = 1, shape.grid_height = shape.grid_width = 8, shape.heads = 1, shape.head_dim = 64, shape.dilation = one;
  EXPECT_EQ(shape_unsupported(shape, 80), nullptr);
  EXPECT_NE(shape_unsupported(shape, 75), nullptr);
  AttentionShape wrong = shape;
  wrong.head_dim = 48;
  EXPECT_NE(shape_unsupported(wrong, 80), nullptr);
  wrong = shape, wrong.window_width = 4;
  EXPECT_NE(shape_unsupported(wrong, 80), nullptr);
  wrong = shape, wrong.dilation = zero;
  EXPECT_NE(shape_unsupported(wrong, 80), nullptr);
  wrong = shape, wrong.global_tokens = 65;
  EXPECT_NE(shape_unsupported(wrong, 80), nullptr);
  wrong = shape, wrong.grid_height = 1 << 20, wrong.grid_width = 1 << 20;
  EXPECT_NE(shape_unsupported(wrong, 80), nullptr);

  alignas(16) const float data[8] = {};
  ConstView view{data, 4096, 64, 64};
  EXPECT_EQ(view_unsupported(shape, view, DataType::kFloat32), nullptr);
  view.token_stride = 66;
  EXPECT_NE(view_unsupported(shape, view, DataType::kFloat32), nullptr);
  view = {data + 1, 4096, 64, 64};
  EXPECT_NE(view_unsupported(shape, view, DataType::kFloat32), nullptr);
}

}  // namespace
}  // namespace fovea::kernels::sm80
