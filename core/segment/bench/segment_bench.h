// What segmentation costs on this machine, stage by stage: `fovea bench segment`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <iosfwd>
#include <stop_token>
#include <string>
#include <vector>

#include "core/model/segmentation_model.h"
#include "core/segment/segment.h"

namespace fovea {

enum class SegmentBenchSource {
  kMemory,   // made window by window: no file, so reading, decoding and writing are absent
  kTiff,     // a tiled, compressed GeoTIFF that is read by windows, and a mask file
  kJpeg,     // decoded as a whole, and a mask file
};

struct SegmentBenchOptions {
  struct Size {
    std::int64_t width = 0, height = 0;
  };
  std::vector<Size> sizes;
  std::vector<SegmentBenchSource> sources{SegmentBenchSource::kMemory};
  std::vector<SegmentContext> contexts{SegmentContext::kImage, SegmentContext::kTiles};
  SegmentOptions segment{};                     // the context is taken from contexts
  std::int64_t images = 1;                      // of a run from files: the same file so many times, as a folder of like images
  int repeats = 1;                              // the fastest counts; all are listed
  std::int64_t seam_pixels = 20'000'000;        // images up to this size are done once more with another division, to compare labels
  std::int64_t compare_pixels = 1'500'000;      // up to this size a GPU's labels are compared with those of the CPU in float32
  int profile_entries = 0;                      // so many of the steps that take longest are listed, from one more run; 0: none
  std::filesystem::path folder;                 // of image files and masks
  enum class Format { kTable, kJson } format = Format::kTable;
};

// The share of pixels whose label changes when the image is divided otherwise (tiles of another size, bands of another height), near the
// borders of either division and elsewhere.
struct SeamFigure {
  double changed_near_borders = 0, changed_elsewhere = 0;
};

// Whether image files can be written and read in this build.
bool segment_bench_has_files();

// A line a measurement; a case that fails says why and the others go on. Returns the number of failures. cpu_model: the same model in
// float32 on the CPU, nullptr: no comparison. Errors: Error{kUsage} for a source that this build lacks, Error{kCancelled}.
int run_segment_bench(SegmentationModel& model, SegmentationModel* cpu_model, const SegmentBenchOptions& options, std::ostream& out,
                      const std::stop_token& stop);

}  // namespace fovea
