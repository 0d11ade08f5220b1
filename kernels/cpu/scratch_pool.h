// Scratch memory of tasks: each running task borrows one piece, so that there are as many pieces as threads and none outlives the call.
#pragma once

#include <hwy/aligned_allocator.h>

#include <cstddef>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace fovea::kernels::cpu {

class ScratchPool {
 public:
  explicit ScratchPool(std::size_t floats) : floats_(floats) {}

  // Memory of the pool's size, aligned for SIMD, contents undefined; given back when destroyed.
  class Loan {
   public:
    explicit Loan(ScratchPool& pool) : pool_(pool), memory_(pool.take()) {}
    ~Loan() { pool_.give_back(std::move(memory_)); }
    Loan(const Loan&) = delete;
    Loan& operator=(const Loan&) = delete;
    float* data() const { return memory_.get(); }

   private:
    ScratchPool& pool_;
    hwy::AlignedFreeUniquePtr<float[]> memory_;
  };

 private:
  hwy::AlignedFreeUniquePtr<float[]> take() {
    {
      const std::lock_guard lock(mutex_);
      if (!free_.empty()) {
        auto memory = std::move(free_.back());
        free_.pop_back();
        return memory;
      }
    }
    auto memory = hwy::AllocateAligned<float>(floats_);
    if (!memory) throw std::bad_alloc();
    return memory;
  }

  void give_back(hwy::AlignedFreeUniquePtr<float[]> memory) {
    const std::lock_guard lock(mutex_);
    free_.push_back(std::move(memory));
  }

  std::size_t floats_;
  std::mutex mutex_;
  std::vector<hwy::AlignedFreeUniquePtr<float[]>> free_;
};

}  // namespace fovea::kernels::cpu
