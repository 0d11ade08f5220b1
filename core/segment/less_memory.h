// What becomes of an image that did not fit after all: another program took memory, or fragments of it are too small.
#pragma once

#include <functional>
#include <string>

#include "core/segment/segment.h"

namespace fovea {

// The same work in smaller pieces: with kImage half the device's memory and bands of a quarter of the height, whose result is the same up
// to the order of sums; with kTiles tiles of half the side. resolved: with a context that is not kAuto.
SegmentOptions with_less_memory(const SegmentOptions& resolved, torch::Device device);

// attempt(options), and where that ran out of memory once more, attempt(with_less_memory(options)), after notice was given a sentence
// without subject. Error{kInput} (no subject) if that does not suffice either.
StageSeconds attempt_twice(const SegmentOptions& options, const SegmentationModel& model,
                           const std::function<StageSeconds(const SegmentOptions&)>& attempt,
                           const std::function<void(const std::string&)>& notice);

}  // namespace fovea
