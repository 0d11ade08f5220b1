// Stages in shared memory as a ring: producer warps fill them, the others use them, each at its own pace. Barriers (mbarrier) for each
// stage, none for the whole thread block.
#pragma once

#include "kernels/cuda/sm80/geometry.h"

namespace fovea::kernels::sm80 {

// Addresses of the barriers in shared memory: full and empty for each stage; and one for the global tokens.
class RingBarriers {
 public:
  static constexpr int kCount = 2 * kMaxStages + 1, kToEmpty = 8 * kMaxStages;   // kToEmpty: from a stage's full to its empty, in bytes
  __device__ explicit RingBarriers(std::uint32_t address) : address_(address) {}

  __device__ void initialise(int consumers, int producers) const {                // by one thread; a barrier of the thread block follows
    for (int slot = 0; slot < kMaxStages; ++slot) initialise(full(slot), 32 * producers), initialise(empty(slot), 32 * consumers);
    initialise(globals(), 32 * producers);
  }
  __device__ std::uint32_t full(int slot) const { return address_ + 8 * slot; }
  __device__ std::uint32_t empty(int slot) const { return address_ + 8 * (kMaxStages + slot); }
  __device__ std::uint32_t globals() const { return address_ + 16 * kMaxStages; }

  // Arrives, for this thread, once all copies it has started so far have landed.
  __device__ static void arrive_after_copies(std::uint32_t barrier) {
    asm volatile("cp.async.mbarrier.arrive.noinc.shared.b64 [%0];" ::"r"(barrier) : "memory");
  }
  __device__ static void arrive(std::uint32_t barrier) {
    asm volatile("{\n.reg .b64 state;\nmbarrier.arrive.shared.b64 state, [%0];\n}" ::"r"(barrier) : "memory");
  }
  // Waits until the phase of this parity has completed; a fresh barrier counts as having completed phase 1. A warp that waits sleeps in
  // between, or it takes issue slots from those that do not. (Hopper's try_wait would do that by itself, but would need a PTX of its own.)
  __device__ static void wait(std::uint32_t barrier, std::uint32_t parity) {
    asm volatile(
        "{\n.reg .pred done;\nWAIT:\nmbarrier.test_wait.parity.shared.b64 done, [%0], %1;\n@done bra DONE;\nnanosleep.u32 20;\nbra WAIT;\n"
        "DONE:\n}" ::"r"(barrier), "r"(parity) : "memory");
  }

 private:
  __device__ static void initialise(std::uint32_t barrier, int arrivals) {
    asm volatile("mbarrier.init.shared.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
  }
  std::uint32_t address_;
};

// A place in the ring: a stage's number and address, its barriers and the parity of their phase.
class RingPlace {
 public:
  __device__ RingPlace(const RingBarriers& barriers, std::uint32_t rooms, int room_bytes, int slots)
      : barriers_(barriers), rooms_(rooms), room_bytes_(room_bytes), slots_(slots), full_(barriers.full(0)), room_(rooms) {}
  __device__ int index() const { return index_; }
  __device__ std::uint32_t room() const { return room_; }

  __device__ void wait_until_full() const { RingBarriers::wait(full_, parity_); }
  __device__ void wait_until_empty() const { RingBarriers::wait(full_ + RingBarriers::kToEmpty, parity_ ^ 1u); }
  __device__ void fill() {
    RingBarriers::arrive_after_copies(full_);
    advance();
  }
  // By a whole warp. Whoever read the stage takes leave of it: one lane for all after __syncwarp() would do, but racecheck does not follow
  // that.
  __device__ void release() {
    __syncwarp();
    RingBarriers::arrive(full_ + RingBarriers::kToEmpty);
    advance();
  }
  // A warp waits also for stages that it does not use, or phases of the barriers would mix.
  __device__ void skip_until(int end) {
#pragma unroll 1
    while (index_ < end) wait_until_full(), release();
  }

 private:
  __device__ void advance() {
    ++index_;
    full_ += 8;
    room_ += room_bytes_;
    if (full_ == barriers_.full(slots_)) full_ = barriers_.full(0), room_ = rooms_, parity_ ^= 1u;
  }

  RingBarriers barriers_;
  std::uint32_t rooms_;
  int room_bytes_, slots_;
  std::uint32_t full_, room_, parity_ = 0;
  int index_ = 0;
};

}  // namespace fovea::kernels::sm80
