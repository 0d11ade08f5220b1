#include "core/attention/analysis/large_pages.h"

#include <ATen/ATen.h>
#include <sys/mman.h>

#include <cstdlib>
#include <new>

namespace fovea::analysis {

at::Tensor empty_in_large_pages(at::IntArrayRef sizes, at::ScalarType dtype) {
  constexpr std::size_t kLargePage = std::size_t{1} << 21;
  const auto bytes = static_cast<std::size_t>(c10::multiply_integers(sizes)) * at::elementSize(dtype);
  if (bytes < kLargePage) return at::empty(sizes, dtype);
  const auto whole_pages = (bytes + kLargePage - 1) / kLargePage * kLargePage;
  void* memory = std::aligned_alloc(kLargePage, whole_pages);
  if (memory == nullptr) throw std::bad_alloc();
  madvise(memory, whole_pages, MADV_HUGEPAGE);   // where the system has none, small ones do
  return at::from_blob(memory, sizes, [](void* pages) { std::free(pages); }, at::TensorOptions().dtype(dtype));
}

}  // namespace fovea::analysis
