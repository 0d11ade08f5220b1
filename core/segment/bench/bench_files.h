// Image files for the benchmark, and runs from file to mask file. Absent in builds without image libraries.
#pragma once

#include "core/segment/bench/segment_bench.h"

namespace fovea {

// Writes the synthetic image to a new file; JPEG ends at 65,500 pixels a side (Error{kUsage}).
void write_bench_image(const std::filesystem::path& file, SegmentBenchSource kind, const SegmentBenchOptions::Size& size);

struct FileTimes {
  double read_seconds = 0;     // the file's bytes, nothing decoded
  double decode_seconds = 0;   // every pixel once through open_image, in bands
};
FileTimes time_reading(const std::filesystem::path& file);

// From file to mask file, with everything that `fovea segment` does for a list of images: this one, so many times.
struct FileRun {
  StageSeconds stage_seconds;   // of an image, the mean
  double seconds = 0;           // of all of them
};
struct BenchFile {
  std::filesystem::path path;
  std::int64_t images = 1;
};
FileRun segment_bench_file(const BenchFile& file, SegmentationModel& model, const SegmentOptions& options, const std::stop_token& stop);

}  // namespace fovea
