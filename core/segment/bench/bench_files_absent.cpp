#include "core/segment/bench/bench_files.h"

namespace fovea {
namespace {

[[noreturn]] void fail() {
  throw Error(ErrorKind::kUsage, "fovea bench segment: this program was built without image reading; --sources memory");
}

}  // namespace

bool segment_bench_has_files() { return false; }
void write_bench_image(const std::filesystem::path&, SegmentBenchSource, const SegmentBenchOptions::Size&) { fail(); }
FileTimes time_reading(const std::filesystem::path&) { fail(); }
FileRun segment_bench_file(const BenchFile&, SegmentationModel&, const SegmentOptions&, const std::stop_token&) { fail(); }

}  // namespace fovea
