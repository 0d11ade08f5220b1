// Hands out parts of a task's scratch memory. Without memory it only adds up, so that the size of a layout is what laying it out takes.
#pragma once

#include <cstddef>

namespace fovea::kernels::cpu::bfloat16 {

class Arena {
 public:
  explicit Arena(void* memory = nullptr) : memory_(static_cast<std::byte*>(memory)) {}

  // Aligned for vectors, contents undefined.
  template <class Type>
  Type* take(std::size_t count) {
    Type* taken = memory_ ? reinterpret_cast<Type*>(memory_ + used_) : nullptr;
    used_ += (count * sizeof(Type) + kAlignment - 1) / kAlignment * kAlignment;
    return taken;
  }
  std::size_t used_bytes() const { return used_; }

 private:
  static constexpr std::size_t kAlignment = 64;
  std::byte* memory_;
  std::size_t used_ = 0;
};

}  // namespace fovea::kernels::cpu::bfloat16
