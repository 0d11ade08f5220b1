#include "core/attention/bench/bench_clock.h"

#include <ATen/ATen.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/Event.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <chrono>
#include <vector>

namespace fovea::bench {
namespace {

constexpr std::int64_t kFlushBytes = 256 << 20;
constexpr int kMinRuns = 3, kMaxRuns = 200;

double percentile(const std::vector<double>& sorted, double share) {
  return sorted[static_cast<std::size_t>(share * static_cast<double>(sorted.size() - 1) + 0.5)];
}

}  // namespace

BenchClock::BenchClock(at::Device device, double seconds)
    : device_(device), seconds_(seconds), flush_(at::empty({kFlushBytes}, at::TensorOptions(device).dtype(at::kByte))) {}

double BenchClock::run_once_ms(const std::function<void()>& run) const {
  flush_.zero_();
  if (device_.is_cpu()) {
    const auto start = std::chrono::steady_clock::now();
    run();
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  }
  const c10::impl::VirtualGuardImpl guard(device_.type());
  const c10::Stream stream = guard.getStream(device_);
  c10::Event start(device_.type(), c10::EventFlag::BACKEND_DEFAULT), end(device_.type(), c10::EventFlag::BACKEND_DEFAULT);
  start.record(stream);
  run();
  end.record(stream);
  end.synchronize();
  return start.elapsedTime(end);
}

Timing BenchClock::measure(const std::function<void()>& run) const {
  const double first_ms = std::max(run_once_ms(run), run_once_ms(run));   // also the warm-up
  const int runs = static_cast<int>(std::clamp(seconds_ * 1000 / std::max(first_ms, 0.01), double{kMinRuns}, double{kMaxRuns}));
  std::vector<double> times;
  for (int i = 0; i < runs; ++i) times.push_back(run_once_ms(run));
  std::sort(times.begin(), times.end());
  return {.median_ms = percentile(times, 0.5), .p10_ms = percentile(times, 0.1), .p90_ms = percentile(times, 0.9), .runs = runs};
}

std::int64_t BenchClock::peak_extra_bytes(const std::function<void()>& run) const {
  if (device_.is_cpu()) return -1;
  c10::DeviceAllocator* allocator = c10::getDeviceAllocator(device_.type());
  const c10::DeviceIndex index = device_.index();
  allocator->resetPeakStats(index);
  const auto all = static_cast<std::size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  const std::int64_t before = allocator->getDeviceStats(index).allocated_bytes[all].current;
  run();
  return allocator->getDeviceStats(index).allocated_bytes[all].peak - before;
}

double BenchClock::host_us(const std::function<void()>& run) const {
  constexpr int kCalls = 20, kRounds = 9;
  const c10::impl::VirtualGuardImpl guard(device_.type());
  const c10::Stream stream = guard.getStream(device_);
  std::vector<double> times;
  for (int round = 0; round < kRounds; ++round) {
    run();
    guard.synchronizeStream(stream);
    const auto start = std::chrono::steady_clock::now();
    for (int i = 0; i < kCalls; ++i) run();
    times.push_back(std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count() / kCalls);
    guard.synchronizeStream(stream);
  }
  std::sort(times.begin(), times.end());
  return percentile(times, 0.5);
}

// What the machine gives at best: the fast runs, and on a CPU several products in a row, of which only the first finds cold caches.
MachineRates measure_rates(const BenchClock& clock, at::Device device, at::ScalarType dtype) {
  const bool cpu = device.is_cpu();
  const std::int64_t bytes = cpu ? std::int64_t{256} << 20 : std::int64_t{1} << 30, side = cpu ? 2048 : 8192;
  const int products = cpu ? 4 : 1;
  const at::Tensor from = at::ones({bytes}, at::TensorOptions(device).dtype(at::kByte)), to = at::empty_like(from);
  const at::Tensor a = at::randn({side, side}, at::TensorOptions(device).dtype(dtype)), b = at::randn_like(a);
  at::Tensor product = at::empty_like(a);
  const double copy_ms = clock.measure([&] { to.copy_(from); }).p10_ms;
  const double products_ms = clock.measure([&] { for (int i = 0; i < products; ++i) at::mm_out(product, a, b); }).p10_ms;
  const auto length = static_cast<double>(side);
  return {.bytes_per_second = 2e3 * static_cast<double>(bytes) / copy_ms,
          .operations_per_second = 2e3 * length * length * length * products / products_ms};
}

}  // namespace fovea::bench
