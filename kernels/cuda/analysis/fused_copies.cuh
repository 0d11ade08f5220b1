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
#pragma unroll
    for (int i = 0; i < Stage::kCopies; ++i) {
      const OtherToken copied = frame_.other(arguments_, number_ * Stage::kTokens + int(threadIdx.x + i * kThreads) / Layout::kChunks);
      place_[i] = copied.exists ? int(copied.place(arguments_)) : -1;
    }
  }

  __device__ void copy(Stage& stage) {
    const auto* data = static_cast<const Element*>(arguments_.other.data) + head_ * arguments_.other.head_stride;
#pragma unroll
    for (int i = 0; i < Stage::kCopies; ++i) {
      const int slot = int(threadIdx.x + i * kThreads) / Layout::kChunks, chunk = int(threadIdx.x + i * kThreads) % Layout::kChunks;
      const Element* row = data + max(place_[i], 0) * arguments_.other.token_stride;
      sm80::copy_16_or_zero(ptx::shared_address(stage.rows + Layout::chunk_place(slot, chunk)), reinterpret_cast<const uint4*>(row) + chunk,
                            place_[i] >= 0);
    }
    if (int(threadIdx.x) < Stage::kTokens) {
      stage.weight[threadIdx.x] = term_.weight;
      if (!term_.counts) stage.lse[threadIdx.x] = kNever;
      else if (arguments_.own_are_queries) stage.lse[threadIdx.x] = 0.f;
      else sm80::copy_4_or_zero(ptx::shared_address(stage.lse + threadIdx.x), lse_.first + head_ * lse_.stride, true);
    }
    ++head_;
  }

  const Arguments& arguments_;
  const Frame& frame_;
  const int stages_;
  int number_ = -1, head_;
  FusedTerm term_{};
  LseColumn lse_{};
  int place_[Stage::kCopies];
};

}  // namespace fovea::kernels::analysis
