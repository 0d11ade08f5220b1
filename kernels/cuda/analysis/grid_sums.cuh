// The sums of grid tokens: a thread block owns 16 x 8 tokens of a dilation's sub-grid (a warp two rows of eight) and streams the tokens
// around them, and the global ones, through two stages of shared memory.
#pragma once

#include "kernels/cuda/analysis/scores.cuh"

namespace fovea::kernels::analysis {

constexpr int kWarps = 8, kThreads = kWarps * 32, kTileRows = 2 * kWarps, kTileColumns = 8, kGroup = 8;
constexpr int kStageBytes = 16384;

template <class Element, int kDim>
struct Stage {
  static constexpr int kTokens = kStageBytes / RowLayout<Element, kDim>::kRowBytes, kGroups = kTokens / kGroup;
  static_assert(kTokens <= kThreads, "a thread at most one token's terms");
  uint4 rows[kStageBytes / 16];
  Term terms[kTokens];
};

// Smallest i >= 0 with phase + i * step >= first.
__device__ inline int first_step(int first, int phase, int step) { return first <= phase ? 0 : (first - phase + step - 1) / step; }

// Where a block's tokens lie: own ones from (y, x) of the sub-grid on, others in rows of `columns` (a multiple of eight) around them, then
// the global tokens. All are visited in groups of eight.
struct Frame {
  int phase_y, phase_x, step, y, x;
  int columns, groups_a_row, grid_groups, groups;

  __device__ explicit Frame(const Arguments& arguments) {
    step = arguments.dilation;
    phase_y = blockIdx.z / unsigned(step), phase_x = blockIdx.z % unsigned(step);
    y = first_step(arguments.output_rect.y, phase_y, step) + blockIdx.y * kTileRows;
    x = first_step(arguments.output_rect.x, phase_x, step) + blockIdx.x * kTileColumns;
    groups_a_row = (kTileColumns + 2 * arguments.radius_x + kGroup - 1) / kGroup;
    columns = groups_a_row * kGroup;
    grid_groups = groups_a_row * (kTileRows + 2 * arguments.radius_y);
    groups = grid_groups + (arguments.other_globals + kGroup - 1) / kGroup;
  }

  __device__ OtherToken own(const Arguments& arguments, int row, int column) const {
    const int grid_y = phase_y + (y + row) * step, grid_x = phase_x + (x + column) * step;
    return {grid_y, grid_x, grid_y < arguments.height && grid_x < arguments.width};
  }

  __device__ OtherToken other(const Arguments& arguments, int number) const {
    const int group = number / kGroup;
    if (group >= grid_groups) {
      const int global = number - grid_groups * kGroup;
      return {-1, global, global < arguments.other_globals};
    }
    const int row = int(unsigned(group) / unsigned(groups_a_row)), column = number - row * columns;
    const int grid_y = phase_y + (y - arguments.radius_y + row) * step, grid_x = phase_x + (x - arguments.radius_x + column) * step;
    return {grid_y, grid_x, grid_y >= 0 && grid_x >= 0 && grid_y < arguments.height && grid_x < arguments.width};
  }
};

// Starts copying the rows of stage number `number` of a head; returns the term of this thread's token.
template <class Element, int kDim, Mode kMode>
__device__ inline Term fill_stage(const Arguments& arguments, const Frame& frame, int number, int head, Stage<Element, kDim>& stage) {
  using Layout = RowLayout<Element, kDim>;
  constexpr int kTokens = Stage<Element, kDim>::kTokens;
  const auto* head_data = static_cast<const Element*>(arguments.other.data) + head * arguments.other.head_stride;
#pragma unroll
  for (int i = threadIdx.x; i < kTokens * Layout::kChunks; i += kThreads) {
    const int slot = i / Layout::kChunks, chunk = i % Layout::kChunks;
    const OtherToken token = frame.other(arguments, number * kTokens + slot);
    const Element* row = head_data + (token.exists ? token.place(arguments) : 0) * arguments.other.token_stride;
    sm80::copy_16_or_zero(ptx::shared_address(stage.rows + Layout::chunk_place(slot, chunk)), reinterpret_cast<const uint4*>(row) + chunk,
                          token.exists);
  }
  sm80::commit_copies();
  if (int(threadIdx.x) >= kTokens) return {kHidden, 0.f};
  return term_of<kMode>(arguments, frame.other(arguments, number * kTokens + threadIdx.x), head);
}

// A warp's own tokens: row r of its two, column lane / 4.
template <class Element, int kDim>
struct OwnTokens {
  LaneRow<Element, kDim> row[2];
  float bias[2];                                     // kColumn: minus the log-sum-exp

  template <Mode kMode>
  __device__ void load(const Arguments& arguments, const Frame& frame, int head) {
    const int warp = threadIdx.x / 32, column = threadIdx.x % 32 / 4;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const OtherToken token = frame.own(arguments, 2 * warp + r, column);
      row[r] = load_row<Element, kDim>(arguments.own, token.exists ? token.place(arguments) : 0, head, token.exists);
      const bool known = kMode == Mode::kColumn && arguments.lse_rect.holds(token.y, token.x);
      bias[r] = known ? -arguments.lse[head * arguments.lse_head_stride + arguments.lse_rect.index(token.y, token.x)] * kLog2E : 0.f;
    }
  }
};

// One stage's groups against the warp's tokens.
template <class Element, int kDim, Mode kMode>
__device__ inline void add_stage(const Arguments& arguments, const Frame& frame, int number, const Stage<Element, kDim>& stage,
                                 const OwnTokens<Element, kDim>& own, Sums<kMode>& sums) {
  using Layout = RowLayout<Element, kDim>;
  const int lane = threadIdx.x % 32, column = lane / 4, pair = lane % 4 * 2, first_row = threadIdx.x / 32 * 2;
  const int reach_y = 2 * arguments.radius_y, reach_x = 2 * arguments.radius_x;
  const int first = number * Stage<Element, kDim>::kGroups, count = min(Stage<Element, kDim>::kGroups, frame.groups - first);
  for (int g = 0; g < count; ++g) {
    const bool global = first + g >= frame.grid_groups;
    const int row = int(unsigned(first + g) / unsigned(frame.groups_a_row)), offset = (first + g - row * frame.groups_a_row) * kGroup;
    const bool seen_rows[2] = {global || unsigned(row - first_row) <= unsigned(reach_y),
                               global || unsigned(row - first_row - 1) <= unsigned(reach_y)};
    if (!seen_rows[0] && !seen_rows[1]) continue;
    float scores[4] = {};
#pragma unroll
    for (int i = 0; i < Layout::kPieces; ++i) {
      multiply_piece<Element>(scores, own.row[0].piece[i], own.row[1].piece[i],
                              stage.rows[Layout::chunk_place(g * kGroup + column, lane % 4 + 4 * i)]);
    }
    const Term terms[2] = {stage.terms[g * kGroup + pair], stage.terms[g * kGroup + pair + 1]};
    const int dx = offset + pair - column;
    const bool seen[2] = {global || unsigned(dx) <= unsigned(reach_x), global || unsigned(dx + 1) <= unsigned(reach_x)};
    if (seen_rows[0]) sums.add(0, own.bias[0], arguments.scale_log2, {scores[0], scores[1]}, seen, terms);
    if (seen_rows[1]) sums.add(1, own.bias[1], arguments.scale_log2, {scores[2], scores[3]}, seen, terms);
  }
}

template <Mode kMode>
__device__ inline void store_sums(const Arguments& arguments, const Frame& frame, int head, Sums<kMode>& sums) {
  sums.reduce();
  if (threadIdx.x % 4 != 0) return;
#pragma unroll
  for (int r = 0; r < 2; ++r) {
    const OtherToken token = frame.own(arguments, int(threadIdx.x) / 32 * 2 + r, threadIdx.x % 32 / 4);
    if (!arguments.output_rect.holds(token.y, token.x)) continue;
    float* to = arguments.output + (kMode == Mode::kLse ? head * arguments.output_head_stride : 0) +
                arguments.output_rect.index(token.y, token.x);
    if (kMode == Mode::kLse) *to = sums.lse(r);
    else *to = arguments.factor * sums.total[r] + (arguments.accumulate ? *to : 0.f);
  }
}

// gridDim: tiles across, tiles down, phases of the dilation.
template <class Element, int kDim, Mode kMode>
__global__ void __launch_bounds__(kThreads, kDim * sizeof(Element) <= 128 ? 3 : 1) grid_sums(const __grid_constant__ Arguments arguments) {
  __shared__ Stage<Element, kDim> stages[2];
  const Frame frame(arguments);
  const int stages_a_head = (frame.groups + Stage<Element, kDim>::kGroups - 1) / Stage<Element, kDim>::kGroups;
  const int steps = stages_a_head * arguments.heads.count;
  const auto store_term = [&](int step, const Term& term) {
    if (int(threadIdx.x) < Stage<Element, kDim>::kTokens) stages[step & 1].terms[threadIdx.x] = term;
  };
  OwnTokens<Element, kDim> own;
  Sums<kMode> sums;
  Term term = fill_stage<Element, kDim, kMode>(arguments, frame, 0, arguments.heads.index[0], stages[0]);
  store_term(0, term);
  for (int step = 0, head_number = 0, number = 0; step < steps; ++step) {
    const int head = arguments.heads.index[head_number];
    if (number == 0) own.template load<kMode>(arguments, frame, head);
    sm80::wait_for_copies<0>();
    const bool any = __syncthreads_or(term.weight != 0.f);      // this step's stage is whole, and the other one may be overwritten
    const bool last = number + 1 == stages_a_head;
    if (step + 1 < steps) {
      term = fill_stage<Element, kDim, kMode>(arguments, frame, last ? 0 : number + 1, arguments.heads.index[head_number + last],
                                              stages[(step + 1) & 1]);
    }
    if (any) add_stage<Element, kDim, kMode>(arguments, frame, number, stages[step & 1], own, sums);
    if (step + 1 < steps) store_term(step + 1, term);
    if (kMode == Mode::kLse && last) {
      store_sums<kMode>(arguments, frame, head, sums);
      sums = Sums<kMode>{};
    }
    number = last ? 0 : number + 1;
    head_number += last;
  }
  if (kMode != Mode::kLse) store_sums<kMode>(arguments, frame, 0, sums);
}

}  // namespace fovea::kernels::analysis
