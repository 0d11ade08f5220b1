// Times of repeated runs on a CPU or a GPU.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>

namespace fovea::bench {

struct Timing {
  double median_ms = 0, p10_ms = 0, p90_ms = 0;
  int runs = 0;
};

class BenchClock {
 public:
  // Repeats each measurement for about that long, at least 3 and at most 200 times.
  BenchClock(at::Device device, double seconds);

  Timing measure(const std::function<void()>& run) const;
  // The largest amount of device memory that run() holds beyond what was held before, in bytes; -1 on the CPU, which does not tell.
  std::int64_t peak_extra_bytes(const std::function<void()>& run) const;
  // Microseconds of the host for a call: the device is idle before, and nobody waits for it. CUDA only.
  double host_us(const std::function<void()>& run) const;

 private:
  double run_once_ms(const std::function<void()>& run) const;

  at::Device device_;
  double seconds_;
  at::Tensor flush_;   // larger than any cache that matters
};

// What the machine can do, measured: the yardsticks of every floor.
struct MachineRates {
  double bytes_per_second = 0;        // copied: read and written
  double operations_per_second = 0;   // of a large matrix product in the dtype
};
MachineRates measure_rates(const BenchClock& clock, at::Device device, at::ScalarType dtype);

}  // namespace fovea::bench
