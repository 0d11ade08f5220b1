#include "core/segment/less_memory.h"

#include <algorithm>
#include <new>
#include <optional>

#include "core/segment/device_work.h"
#include "core/segment/memory_plan.h"

namespace fovea {
namespace {

constexpr std::int64_t kSmallestTile = 64;   // pixels

// None if memory ran out; other exceptions pass. By the time it returns all that the attempt held is free.
std::optional<StageSeconds> attempt_once(const std::function<StageSeconds(const SegmentOptions&)>& attempt, const SegmentOptions& options) {
  try {
    return attempt(options);
  } catch (const c10::OutOfMemoryError&) {
    return std::nullopt;
  } catch (const std::bad_alloc&) {
    return std::nullopt;
  } catch (const c10::Error& error) {
    // The allocators of the host, pinned or not, throw the general class.
    const std::string_view text = error.what_without_backtrace();
    if (text.find("can't allocate memory") != text.npos || text.find("out of memory") != text.npos) return std::nullopt;
    throw;
  }
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
  if (auto seconds = attempt_once(attempt, resolved)) return std::move(*seconds);
  release_device_memory(model.device());
  const SegmentOptions smaller = with_less_memory(resolved, model.device());
  const std::string where = model.device().is_cpu() ? "memory" : "memory of the device";
  notice("not enough " + where + "; once more in smaller " +
         (resolved.context == SegmentContext::kImage ? "bands" : "tiles, of " + std::to_string(smaller.tile_pixels) + " pixels"));
  if (auto seconds = attempt_once(attempt, smaller)) return std::move(*seconds);
  release_device_memory(model.device());
  throw Error(ErrorKind::kInput, "not enough " + where + " for this image, in smaller pieces either; --context tiles --tile 256 needs least");
}

}  // namespace fovea
