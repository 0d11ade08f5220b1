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
  int warps, stage_blocks;
};

void PrintTo(const Geometry& g, std::ostream* out) {
  *out << g.height << "x" << g.width << " window " << g.window_height << "x" << g.window_width << " G" << g.global_tokens << " warps "
       << g.warps << " stage " << g.stage_blocks << ", dilation";
  for (const int d : g.dilation) *out << ' ' << d;
}

using Pairs = std::map<std::pair<int, int>, int>;               // (stationary token, streamed token) -> how often they met

// What one warp does with the patches of one stage, as run_pass does it.
class WarpOnHost {
 public:
  WarpOnHost(const Work& work, int warp, int warps, Pairs& met) : work_(work), tokens_(work, warp, warps), met_(met) {}

  void meet_halo(const Halo& halo, bool globals) {
    Stage stage{};
    for (int index = 0; index < halo.stages; ++index) {
      stage = next_stage(halo, stage, index);
      EXPECT_GT(stage.rows, 0);
      EXPECT_GT(stage.blocks, 0);
      meet_stage(halo, stage, globals);
    }
  }

 private:
  void meet_stage(const Halo& halo, const Stage& stage, bool globals) {
    const bool flat = globals || work_.tile_height == 1;
    Reach reach = reach_of(work_, tokens_);
    if (globals && tokens_.exist(work_)) reach = {0, 0, 0, halo.column_last, 0, halo.column_last};
    Rectangle rectangle(stage, reach);
    if (work_.split >= 0) rectangle.keep_part(stage, tokens_.part, tokens_.parts);
    const int first_row = rectangle.row;
    for (; rectangle.block_end > rectangle.block; rectangle.block += flat ? 2 : 1)
      for (rectangle.row = first_row; rectangle.row < rectangle.row_end; rectangle.row += flat ? 1 : 2)
        meet_patch(halo, stage, reach, rectangle.patch<1>(stage, flat), globals);
  }

  void meet_patch(const Halo& halo, const Stage& stage, const Reach& reach, const Patch<1>& patch, bool globals) {
    for (int lane = 0; lane < 32; ++lane) {
      const LaneTokens own(work_, tokens_, lane);
      WindowMask mask(work_, tokens_, lane);
      if (globals) mask.meet_all(halo.column_last + 1);
      for (int i = 0; i < 2; ++i) {
        EXPECT_GE(patch.slot[i], 0);
        EXPECT_LT(patch.slot[i], stage.rows * stage.blocks);
        for (int half = 0; half < 2; ++half)
          for (int j = 0; j < 2; ++j) {
            const bool by_column = patch.flat || column_met(mask, patch.column, 0, j, lane);
            const bool by_pair = column_in_window(mask, patch, i, half, lane) + unsigned(j) < columns_in_reach(mask, reach, patch, i, half);
            if (!by_column || (!columns_decide(reach, patch) && !by_pair) || own.token[half] < 0) continue;
            count(halo, stage, patch, i, patch.column_of(i) + 2 * (lane % 4) + j, own.token[half]);
          }
      }
    }
  }

  // The token is the one that the copies put into the patch's slot, not the one that the mask believes to be there.
  void count(const Halo& halo, const Stage& stage, const Patch<1>& patch, int i, int column, int stationary) {
    const int row = stage.row + patch.slot[i] / stage.blocks;
    const int stored = stage.column + patch.slot[i] % stage.blocks * kBlock;
    EXPECT_EQ(stored, patch.column_of(i));
    EXPECT_GE(column, halo.column_first);
    EXPECT_LE(column, halo.column_last);
    ++met_[{stationary, halo.map.base + row * halo.map.row_stride + column * halo.map.column_stride}];
  }

  const Work& work_;
  WarpTokens tokens_;
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
    plan_ = make_plan(shape_, g.warps);
  }

  std::map<std::pair<int, int>, Pairs> all_met() const {         // by (batch, head)
    std::map<std::pair<int, int>, Pairs> met;
    for (std::int64_t block = 0; block < plan_.thread_blocks; ++block) {
      Work work{};
      if (!locate(plan_.layout, plan_.heads, static_cast<unsigned>(block), GetParam().stage_blocks, work)) continue;
      if (work.globals_nearby) work.globals.stages = 1;           // they come with the first stage, in place of a stage of their own
      for (int warp = 0; warp < GetParam().warps; ++warp) {
        WarpOnHost on_host(work, warp, GetParam().warps, met[{work.batch, work.head}]);
        on_host.meet_halo(work.grid, false);
        on_host.meet_halo(work.globals, true);
      }
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

TEST_P(Schedule, StagesFitTheirBuffers) {
  for (std::int64_t block = 0; block < plan_.thread_blocks; ++block) {
    Work work{};
    if (!locate(plan_.layout, plan_.heads, static_cast<unsigned>(block), GetParam().stage_blocks, work)) continue;
    for (const Halo* halo : {&work.grid, &work.globals}) {
      if (halo->stages == 0) continue;
      EXPECT_LE(halo->rows_per_stage * halo->blocks_per_stage_row, GetParam().stage_blocks);
      EXPECT_GE(halo->segments * halo->blocks_per_stage_row, halo->blocks_per_row);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, Schedule,
    testing::Values(Geometry{1, 1, 17, 17, 0, {1}, 8, 16}, Geometry{1, 1, 1, 1, 3, {1}, 4, 4}, Geometry{1, 300, 1, 65, 3, {1}, 8, 16},
                    Geometry{300, 1, 65, 1, 20, {2}, 8, 16}, Geometry{2, 150, 3, 33, 1, {1, 3}, 4, 8},
                    Geometry{16, 16, 17, 17, 8, {1}, 8, 16},
                    Geometry{17, 31, 17, 17, 8, {1, 2}, 8, 16}, Geometry{17, 31, 5, 9, 17, {1, 40}, 4, 8},
                    Geometry{23, 19, 33, 33, 64, {1}, 8, 8},
                    Geometry{24, 20, 33, 13, 16, {1}, 4, 4}, Geometry{9, 33, 7, 7, 5, {3}, 4, 4}, Geometry{13, 29, 101, 77, 4, {1}, 8, 16},
                    Geometry{32, 8, 1, 1, 7, {1}, 8, 16}, Geometry{8, 32, 1, 17, 0, {1}, 8, 8}, Geometry{40, 9, 17, 1, 9, {5, 1}, 4, 8}));

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
