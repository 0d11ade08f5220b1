#include "core/segment/less_memory.h"

#include <algorithm>
#include <optional>

#include "core/base/memory_shortage.h"
#include "core/segment/device_work.h"
#include "core/segment/memory_plan.h"

namespace fovea {
namespace {

constexpr std::int64_t kSmallestTile = 64;   // pixels

// What an attempt gave, or how memory ran out.
struct Attempt {
  std::optional<StageSeconds> seconds;
  std::string shortage;
};

// Other exceptions pass. By the time it returns all that the attempt held is free.
Attempt attempt_once(const std::function<StageSeconds(const SegmentOptions&)>& attempt, const SegmentOptions& options) {
  try {
    return {.seconds = attempt(options), .shortage = {}};
  } catch (...) {
    if (auto shortage = memory_shortage()) return {.seconds = {}, .shortage = std::move(shortage->text)};
    throw;
  }
}

// What takes less. device: that computes.
std::string remedies(const SegmentOptions& options, torch::Device device, torch::Dtype dtype) {
  std::string text = options.context == SegmentContext::kImage ? "--context tiles --tile 256, which needs least"
                                                               : "--tile " + std::to_string(kSmallestTile) + ", which needs least";
  if (dtype != torch::kBFloat16) text += ", --precision bfloat16, which halves it";
  if (!device.is_cpu()) return text + ", --device cpu, or closing other programs on the device";
  return text + (options.max_memory_bytes > 0 ? ", or a larger --max-memory" : ", or --max-memory, which plans with less from the start");
}

}  // namespace

SegmentOptions with_less_memory(const SegmentOptions& resolved, torch::Device device) {
  SegmentOptions smaller = resolved;
  smaller.device_share /= 2;
  const std::int64_t usual = enough_band_memory(device.is_cpu() ? MemoryHome::kHost : MemoryHome::kDevice);
  smaller.band_memory_bytes = (resolved.band_memory_bytes > 0 ? resolved.band_memory_bytes : usual) / 4;
  smaller.tile_pixels = std::max(kSmallestTile, resolved.tile_pixels / 2);
  return smaller;
}

StageSeconds attempt_twice(const SegmentOptions& options, const SegmentationModel& model,
                           const std::function<StageSeconds(const SegmentOptions&)>& attempt,
                           const std::function<void(const std::string&)>& notice) {
  SegmentOptions resolved = options;
  resolved.context = context_for(model.config(), options.context);
  Attempt first = attempt_once(attempt, resolved);
  if (first.seconds) return std::move(*first.seconds);
  release_device_memory(model.device());
  const SegmentOptions smaller = with_less_memory(resolved, model.device());
  notice(first.shortage + "; trying again in smaller " +
         (resolved.context == SegmentContext::kImage ? "bands" : "tiles, of " + std::to_string(smaller.tile_pixels) + " pixels"));
  Attempt second = attempt_once(attempt, smaller);
  if (second.seconds) return std::move(*second.seconds);
  release_device_memory(model.device());
  throw Error(ErrorKind::kInput,
              second.shortage + "; smaller pieces did not fit either; try " + remedies(resolved, model.device(), model.dtype()));
}

}  // namespace fovea
