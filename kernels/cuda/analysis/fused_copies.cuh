// What the sums with the heads made one by their maximum or minimum read: how tokens count, and the stages of shared memory, each of some
// tokens' rows of one head, through which a thread block streams them.
#pragma once

#include "kernels/cuda/analysis/grid_sums.cuh"

namespace fovea::kernels::analysis {

constexpr int kFusedStages = 4;
constexpr float kNever = 1e30f;            // log-sum-exp of a token that does not count

template <class Element, int kDim>
struct FusedStage {
  using Layout = RowLayout<Element, kDim>;
  static constexpr int kTokens = Layout::kRowBytes > 128 ? 32 : 64, kGroups = kTokens / kGroup;
  static constexpr int kCopies = kTokens * Layout::kChunks / kThreads;      // 16-byte chunks that a thread copies
  uint4 rows[kTokens * Layout::kChunks];
  float lse[kTokens], weight[kTokens];
  int number;                              // of the stage, in the order of Frame's groups; negative: there are no more
};

// How an other token counts: by its weight in a sum, or in the sum of an own token's row.
struct FusedTerm { bool counts; float weight; };

__device__ inline FusedTerm fused_term(const Arguments& arguments, const OtherToken& token) {
  if (!token.exists) return {false, 0.f};
  float weight = 0.f;
  if (arguments.result == FusedResult::kShare) return {true, weight};
  if (token.global()) weight = arguments.input_globals != nullptr ? arguments.input_globals[token.x] : 0.f;
  else if (arguments.input_rect.holds(token.y, token.x)) weight = arguments.input[arguments.input_rect.index(token.y, token.x)];
  return {weight != 0.f || arguments.result == FusedResult::kMean, weight};
}

// Where a query's log-sum-exp is; another head's lies `stride` floats further for each.
struct LseColumn {
  const float* first;
  std::int64_t stride;
};

__device__ inline LseColumn lse_of_query(const Arguments& arguments, const OtherToken& token) {
  if (token.global()) return {arguments.global_lse + token.x, arguments.global_lse_stride};
  if (!arguments.lse_rect.holds(token.y, token.x)) return {nullptr, 0};
  return {arguments.lse + arguments.lse_rect.index(token.y, token.x), arguments.lse_head_stride};
}

// The copies of a thread block, stage after stage and head after head. Stages where no token counts are left out.
template <class Element, int kDim>
class FusedCopies {
  using Stage = FusedStage<Element, kDim>;
  using Layout = RowLayout<Element, kDim>;

 public:
  __device__ FusedCopies(const Arguments& arguments, const Frame& frame)
      : arguments_(arguments), frame_(frame), stages_((frame.groups + Stage::kGroups - 1) / Stage::kGroups), head_(arguments.heads.count) {}

  // Begins to fill `stage`. For all threads of the block at once.
  __device__ void next(Stage& stage) {
    if (head_ == arguments_.heads.count && number_ < stages_) advance();
    if (threadIdx.x == 0) stage.number = number_ < stages_ ? number_ : -1;
    if (number_ < stages_) copy(stage);
    sm80::commit_copies();
  }

 private:
  __device__ void advance() {
    OtherToken token{};
    do {
      if (++number_ == stages_) return;
      token = frame_.other(arguments_, number_ * Stage::kTokens + int(threadIdx.x));
      term_ = int(threadIdx.x) < Stage::kTokens ? fused_term(arguments_, token) : FusedTerm{false, 0.f};
    } while (!__syncthreads_or(term_.counts));
    head_ = 0;
    if (term_.counts && !arguments_.own_are_queries) lse_ = lse_of_query(arguments_, token);
    exist_ = 0;
#pragma unroll
    for (int i = 0; i < Stage::kCopies; ++i) {
      const OtherToken copied = frame_.other(arguments_, number_ * Stage::kTokens + slot_of(i));
      if (copied.exists) exist_ |= 1u << i;
      from_[i] = static_cast<const Element*>(arguments_.other.data) + (copied.exists ? copied.place(arguments_) : 0) *
                 arguments_.other.token_stride + int(threadIdx.x) % Layout::kChunks * (16 / int(sizeof(Element)));
    }
  }

  // The rows of the next head, and what belongs to them.
  __device__ void copy(Stage& stage) {
    const std::uint32_t rows = ptx::shared_address(stage.rows + Layout::chunk_place(slot_of(0), int(threadIdx.x) % Layout::kChunks));
#pragma unroll
    for (int i = 0; i < Stage::kCopies; ++i) {
      sm80::copy_16_or_zero(rows + i * kThreads * 16, from_[i], exist_ >> i & 1);
      from_[i] += arguments_.other.head_stride;
    }
    if (int(threadIdx.x) < Stage::kTokens) {
      stage.weight[threadIdx.x] = term_.weight;
      if (!term_.counts) stage.lse[threadIdx.x] = kNever;
      else if (arguments_.own_are_queries) stage.lse[threadIdx.x] = 0.f;
      else sm80::copy_4_or_zero(ptx::shared_address(stage.lse + threadIdx.x), lse_.first, true);
      lse_.first += lse_.stride;
    }
    ++head_;
  }

  // Of a thread's i-th chunk: neighbouring threads copy neighbouring chunks, and chunk_place permutes all of a thread's alike.
  static_assert(kThreads / Layout::kChunks % 2 == 0, "as chunk_place looks at whether slots are even");
  __device__ static int slot_of(int i) { return int(threadIdx.x + i * kThreads) / Layout::kChunks; }

  const Arguments& arguments_;
  const Frame& frame_;
  const int stages_;
  int number_ = -1, head_;
  FusedTerm term_{};
  LseColumn lse_{};
  const Element* from_[Stage::kCopies];
  unsigned exist_ = 0;                     // a bit for each of from_
};

}  // namespace fovea::kernels::analysis
