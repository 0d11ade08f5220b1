#include <cmath>
#include <cstdio>
#include <iostream>

#include "app/cli/commands.h"
#include "app/cli/run.h"
#include "app/cli/session.h"
#include "core/attention/bench/attention_bench.h"
#include "core/base/model_folder.h"
#include "core/segment/bench/segment_bench.h"
#include "core/train/training_device.h"

namespace fovea::cli {
namespace {

int bench_attention(const BenchRequest& request) {
  const AttentionBenchOptions options{.device = request.model.device, .backend = request.attention.backend, .only = request.attention.only,
                                      .seconds_per_case = request.attention.seconds,
                                      .format = request.json ? BenchFormat::kJson : BenchFormat::kTable};
  return run_attention_bench(options, std::cout) == 0 ? kExitDone : kExitEnvironment;
}

// "16": megapixels of a square; "32768x20000".
SegmentBenchOptions::Size size_of(const std::string& text) {
  long long width = 0, height = 0;
  double megapixels = 0;
  int read = 0;
  const auto whole = [&] { return static_cast<std::size_t>(read) == text.size(); };
  if (std::sscanf(text.c_str(), "%lldx%lld%n", &width, &height, &read) == 2 && whole() && width > 0 && height > 0) return {width, height};
  if (std::sscanf(text.c_str(), "%lf%n", &megapixels, &read) == 1 && whole() && megapixels > 0 && megapixels <= 1e6) {
    const std::int64_t side = std::max<std::int64_t>(1, std::llround(std::sqrt(megapixels * 1e6)));
    return {side, side};
  }
  throw Error(ErrorKind::kUsage, "fovea bench segment: --sizes: '" + text + "', expected megapixels or WIDTHxHEIGHT");
}

SegmentBenchSource source_of(const std::string& name) {
  if (name == "tiff") return SegmentBenchSource::kTiff;
  return name == "jpeg" ? SegmentBenchSource::kJpeg : SegmentBenchSource::kMemory;
}

SmallImages small_images_of(const std::string& name) {
  if (name == "alone") return SmallImages::kAlone;
  return name == "together" ? SmallImages::kTogether : SmallImages::kAuto;
}

// The folder for files: the one named, which keeps them, or a new one that goes with this object.
class WorkFolder {
 public:
  explicit WorkFolder(const std::string& named) : path_(named) {
    std::error_code code;
    if (!named.empty()) return;
    std::string pattern = (std::filesystem::temp_directory_path(code) / "fovea_bench_XXXXXX").string();
    if (code || ::mkdtemp(pattern.data()) == nullptr) throw Error(ErrorKind::kEnvironment, pattern + ": cannot create this folder");
    temporary_ = path_ = pattern;
  }
  ~WorkFolder() {
    std::error_code ignored;
    if (!temporary_.empty()) std::filesystem::remove_all(temporary_, ignored);
  }
  WorkFolder(const WorkFolder&) = delete;
  WorkFolder& operator=(const WorkFolder&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_, temporary_;
};

int bench_segment(const BenchRequest& request, const std::stop_token& stop) {
  const BenchRequest::Segment& wanted = request.segment;
  const WorkFolder folder(wanted.folder);
  SegmentBenchOptions options;
  options.folder = folder.path();
  options.repeats = wanted.repeats;
  options.images = wanted.images;
  options.segment.small_images = small_images_of(wanted.small);
  options.profile_entries = wanted.profile;
  options.format = request.json ? SegmentBenchOptions::Format::kJson : SegmentBenchOptions::Format::kTable;
  options.segment.max_memory_bytes = static_cast<std::int64_t>(wanted.max_memory);
  options.segment.band_memory_bytes = static_cast<std::int64_t>(wanted.band_memory);
  for (const std::string& text : wanted.sizes) options.sizes.push_back(size_of(text));
  options.sources.clear();
  for (const std::string& name : wanted.sources) options.sources.push_back(source_of(name));
  options.contexts.clear();
  for (const std::string& name : wanted.contexts) {
    options.contexts.push_back(name == "tiles" ? SegmentContext::kTiles : SegmentContext::kImage);
  }
  const std::filesystem::path model_folder = find_model(request.model.model);
  const torch::Device device = choose_device(request.model.device);
  const auto model = load_model(model_folder, device, choose_precision(request.model.precision, device));
  const auto cpu_model = device.is_cpu() ? nullptr : load_model(model_folder);
  return run_segment_bench(*model, cpu_model.get(), options, std::cout, stop) == 0 ? kExitDone : kExitEnvironment;
}

}  // namespace

int run_bench(const BenchRequest& request, const CommonOptions&, const std::stop_token& stop) {
  return request.subject == "segment" ? bench_segment(request, stop) : bench_attention(request);
}

}  // namespace fovea::cli
