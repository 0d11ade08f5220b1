#include "core/segment/bench/segment_bench.h"

#include <ATen/Parallel.h>

#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <optional>
#include <ostream>

#include "core/attention/bench/bench_clock.h"
#include "core/model/precision.h"
#include "core/segment/bench/bench_files.h"
#include "core/segment/bench/model_operations.h"
#include "core/segment/bench/seam_figure.h"
#include "core/segment/bench/step_profile.h"
#include "core/segment/bench/synthetic_image.h"
#include "core/segment/device_work.h"
#include "core/segment/label_output.h"
#include "core/segment/less_memory.h"
#include "core/segment/memory_plan.h"
#include "core/segment/stage_clock.h"

namespace fovea {
namespace {

using nlohmann::json;
using Format = SegmentBenchOptions::Format;
using Size = SegmentBenchOptions::Size;

constexpr std::int64_t kOtherTile = 832, kOtherBandBytes = 48 << 20;   // of the second division that seams are looked for with
constexpr double kRateSeconds = 0.3;                                    // spent on measuring the machine's matrix product
constexpr std::int64_t kWarmUpSide = 1024;                              // pixels: loads what CUDA loads late

const char* name_of(SegmentBenchSource source) {
  switch (source) {
    case SegmentBenchSource::kMemory: return "memory";
    case SegmentBenchSource::kTiff: return "tiff";
    case SegmentBenchSource::kJpeg: break;
  }
  return "jpeg";
}

const char* name_of(SegmentContext context) { return context == SegmentContext::kTiles ? "tiles" : "image"; }

class NoSink final : public LabelSink {
 public:
  void append(LabelRows) override {}
  void clear() {}
};

double peak_host_gigabytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_maxrss) * 1024 / 1e9;
}

// Of all threads of this process so far.
double processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

struct Case {
  Size size;
  SegmentBenchSource source;
  SegmentContext context;
};

class Bench {
 public:
  Bench(SegmentationModel& model, SegmentationModel* cpu_model, const SegmentBenchOptions& options, const std::stop_token& stop)
      : model_(model), cpu_model_(cpu_model), options_(options), stop_(stop), operations_(operations_a_pixel(model.config())) {}

  void measure_machine() {
    measure_products();
    release_device_memory(model_.device());
    if (model_.device().is_cpu()) return;
    NoSink sink;
    for (const SegmentContext context : options_.contexts) {
      run_in_memory(model_, {kWarmUpSide, kWarmUpSide}, segment_options(context), sink);
    }
  }

  json machine() const {
    return {{"device", model_.device().str()}, {"precision", precision_name(model_.dtype())},
            {"threads", torch::get_num_threads()}, {"matmul_tflops", matmul_rate_ / 1e12}, {"model", model_.config().name},
            {"encoder_tflop_a_megapixel", operations_.encoder * 1e-6}, {"decoder_tflop_a_megapixel", operations_.decoder * 1e-6}};
  }

  json measure(const Case& measured) {
    const double megapixels = static_cast<double>(measured.size.width * measured.size.height) / 1e6;
    json row{{"source", name_of(measured.source)}, {"context", name_of(measured.context)}, {"width", measured.size.width},
             {"height", measured.size.height}, {"megapixels", megapixels}};
    release_device_memory(model_.device());
    reset_peak_device_memory(model_.device());
    if (measured.source == SegmentBenchSource::kMemory) measure_in_memory(measured, row);
    else measure_file(measured, row);
    add_speed(row, megapixels);
    row["peak_host_gb"] = peak_host_gigabytes();   // of the process so far
    if (!model_.device().is_cpu()) row["peak_device_gb"] = static_cast<double>(device_memory(model_.device()).peak) / 1e9;
    return row;
  }

 private:
  SegmentOptions segment_options(SegmentContext context) {
    SegmentOptions options = options_.segment;
    options.context = context;
    options.on_plan = [this](const std::string& plan) { plan_ = plan; };
    return options;
  }

  template <class Sink>
  StageSeconds run_in_memory(SegmentationModel& model, const Size& size, const SegmentOptions& options, Sink& sink) {
    SyntheticImage image(size.width, size.height);
    NoProgress progress;
    const auto attempt = [&](const SegmentOptions& tried) {
      sink.clear();
      LabelOutput output(image, model.config(), sink);
      return segment_image(image, model, tried, output, progress, stop_);
    };
    return attempt_twice(options, model, attempt, [this](const std::string& notice) { notice_ = notice; });
  }

  void measure_in_memory(const Case& measured, json& row) {
    std::optional<double> best;
    for (int i = 0; i < options_.repeats; ++i) {
      NoSink sink;
      StageClock clock;
      const double processor_before = processor_seconds();
      const StageSeconds stages = run_in_memory(model_, measured.size, segment_options(measured.context), sink);
      clock.charge("all");
      const double seconds = clock.seconds().at("all");
      row["seconds_of_runs"].push_back(seconds);
      if (best && *best <= seconds) continue;
      best = seconds;
      row["processor_seconds"] = processor_seconds() - processor_before;
      row["stage_seconds"] = stages;
    }
    // What the reading thread does here is to make the pixels: no file takes part.
    row["stage_seconds"]["make_pixels"] = row["stage_seconds"]["read"];
    row["stage_seconds"].erase("read");
    row["seconds"] = *best;
    row["absent"] = {"read", "decode", "write"};
    if (!plan_.empty()) row["plan"] = std::exchange(plan_, {});
    if (!notice_.empty()) row["notice"] = std::exchange(notice_, {});
    if (options_.profile_entries > 0) add_profile(measured, row);
    if (measured.size.width * measured.size.height > options_.seam_pixels) return;
    try {
      add_labels(measured, row);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kInput) throw;
      row["not_compared"] = error.what();   // what was measured stays
    }
  }

  void measure_file(const Case& measured, json& row) {
    const auto file = options_.folder / ("synthetic_" + std::to_string(measured.size.width) + "x" + std::to_string(measured.size.height) +
                                         (measured.source == SegmentBenchSource::kTiff ? ".tif" : ".jpg"));
    if (!std::filesystem::exists(file)) write_bench_image(file, measured.source, measured.size);
    const FileTimes times = time_reading(file);
    std::optional<FileRun> best;
    for (int i = 0; i < options_.repeats; ++i) {
      const double processor_before = processor_seconds();
      FileRun run = segment_bench_file({.path = file, .images = options_.images}, model_, segment_options(measured.context), stop_);
      row["seconds_of_runs"].push_back(run.seconds);
      if (best && best->seconds <= run.seconds) continue;
      best = std::move(run);
      row["processor_seconds"] = processor_seconds() - processor_before;
    }
    row["stage_seconds"] = best->stage_seconds;
    row["alone_seconds"] = {{"read", times.read_seconds}, {"decode", times.decode_seconds}};   // measured by themselves, without the model
    row["images"] = options_.images;
    row["images_per_second"] = static_cast<double>(options_.images) / best->seconds;
    row["file_bytes"] = std::filesystem::file_size(file);
    row["seconds"] = best->seconds;
    if (!plan_.empty()) row["plan"] = std::exchange(plan_, {});
  }

  void add_profile(const Case& measured, json& row) {
    NoSink sink;
    const SegmentOptions options = segment_options(measured.context);
    const StepProfile profile = profile_steps(model_.device(), [&] { run_in_memory(model_, measured.size, options, sink); });
    row["profile"] = {{"busy_seconds", profile.busy_seconds}, {"wall_seconds", profile.wall_seconds}, {"steps", json::array()}};
    for (std::size_t i = 0; i < std::min(profile.entries.size(), static_cast<std::size_t>(options_.profile_entries)); ++i) {
      const ProfileEntry& entry = profile.entries[i];
      row["profile"]["steps"].push_back({{"name", entry.name}, {"seconds", entry.seconds}, {"calls", entry.calls}});
    }
  }

  // The same image divided otherwise, and on the CPU.
  void add_labels(const Case& measured, json& row) {
    const SegmentOptions first = segment_options(measured.context);
    SegmentOptions other = first;
    other.tile_pixels = kOtherTile;
    other.band_memory_bytes = kOtherBandBytes;
    LabelMap labels, changed;
    run_in_memory(model_, measured.size, first, labels);
    run_in_memory(model_, measured.size, other, changed);
    const std::int64_t patch = model_.config().encoder.patch;
    const auto borders = [&](std::int64_t length) {
      return std::vector{tile_borders(first, patch, length), tile_borders(other, patch, length)};
    };
    const SeamFigure seam = seam_figure(labels, changed, measured.size, borders(measured.size.width), borders(measured.size.height));
    row["seam"] = {{"changed_near_borders", seam.changed_near_borders}, {"changed_elsewhere", seam.changed_elsewhere},
                   {"near_pixels", kNearPixels}};
    if (cpu_model_ == nullptr || measured.size.width * measured.size.height > options_.compare_pixels) return;
    LabelMap on_cpu;
    run_in_memory(*cpu_model_, measured.size, first, on_cpu);
    row["agreement_with_cpu_float32"] = share_of_equal_labels(labels, on_cpu);
  }

  // The most that was ever measured.
  void measure_products() {
    const bench::BenchClock clock(model_.device(), kRateSeconds);
    matmul_rate_ = std::max(matmul_rate_, bench::measure_rates(clock, model_.device(), model_.dtype()).operations_per_second);
  }

  void add_speed(json& row, double megapixels) {
    const json& stages = row["stage_seconds"];
    const auto seconds = [&](const char* stage) { return stages.contains(stage) ? stages[stage].get<double>() : 0.0; };
    const double model_seconds = seconds("tokens") + seconds("encoder") + seconds("decoder") + seconds("forward");
    row["megapixels_per_second"] = {{"encoder_and_decoder", megapixels / model_seconds},
                                    {"end_to_end", megapixels / row["seconds"].get<double>()}};
    if (row.contains("images")) row["megapixels_per_second"]["end_to_end"] = megapixels * row["images_per_second"].get<double>();
    const double rate = (operations_.encoder + operations_.decoder) * 1e6 * megapixels / model_seconds;
    if (rate > matmul_rate_) measure_products();   // something else was running then
    row["tflops"] = rate / 1e12;
    row["share_of_matmul"] = rate / matmul_rate_;
  }

  SegmentationModel& model_;
  SegmentationModel* cpu_model_;
  const SegmentBenchOptions& options_;
  const std::stop_token& stop_;
  const OperationsAPixel operations_;
  double matmul_rate_ = 0;
  std::string plan_, notice_;
};

constexpr std::size_t kNameWidth = 120;   // templates of kernels have long ones

std::string profile_lines(const json& profile) {
  char text[256];
  std::snprintf(text, sizeof text, "\n    profiled run: %.3f s, of which steps took %.3f s", profile["wall_seconds"].get<double>(),
                profile["busy_seconds"].get<double>());
  std::string lines = text;
  for (const json& step : profile["steps"]) {
    std::snprintf(text, sizeof text, "\n    %9.4f s %7lld x  %s", step["seconds"].get<double>(), static_cast<long long>(step["calls"].get<std::int64_t>()),
                  step["name"].get<std::string>().substr(0, kNameWidth).c_str());
    lines += text;
  }
  return lines;
}

std::string table_line(const json& row) {
  char text[256];
  std::snprintf(text, sizeof text, "%-7s %-6s %9.2f MP %8.2f s  model %8.3f MP/s  all %8.3f MP/s  %6.1f TFLOP/s (%4.1f %%)  host %.1f GB",
                row["source"].get<std::string>().c_str(), row["context"].get<std::string>().c_str(), row["megapixels"].get<double>(),
                row["seconds"].get<double>(), row["megapixels_per_second"]["encoder_and_decoder"].get<double>(),
                row["megapixels_per_second"]["end_to_end"].get<double>(), row["tflops"].get<double>(),
                100 * row["share_of_matmul"].get<double>(), row["peak_host_gb"].get<double>());
  std::string line = text;
  for (const auto& [stage, seconds] : row["stage_seconds"].items()) {
    std::snprintf(text, sizeof text, "%s%s %.3f s", line.find('\n') == std::string::npos ? "\n    " : ", ", stage.c_str(), seconds.get<double>());
    line += text;
  }
  std::snprintf(text, sizeof text, "\n    processors %.2f s, %.1f of them busy", row["processor_seconds"].get<double>(),
                row["processor_seconds"].get<double>() / row["seconds"].get<double>());
  line += text;
  if (row.contains("images") && row["images"] > 1) {
    std::snprintf(text, sizeof text, "\n    %lld images, %.0f a second; stages of one of them",
                  static_cast<long long>(row["images"].get<std::int64_t>()), row["images_per_second"].get<double>());
    line += text;
  }
  if (row.contains("absent")) line += "\n    no file takes part: reading, decoding and writing are absent";
  if (row.contains("plan")) line += "\n    " + row["plan"].get<std::string>();
  if (row.contains("notice")) line += "\n    " + row["notice"].get<std::string>();
  if (row.contains("agreement_with_cpu_float32")) {
    std::snprintf(text, sizeof text, "\n    labels equal to the CPU's in float32: %.4f %%", 100 * row["agreement_with_cpu_float32"].get<double>());
    line += text;
  }
  if (row.contains("not_compared")) line += "\n    labels were not compared: it " + row["not_compared"].get<std::string>();
  if (row.contains("peak_device_gb")) {
    std::snprintf(text, sizeof text, "\n    device %.1f GB at most", row["peak_device_gb"].get<double>());
    line += text;
  }
  if (row.contains("seam")) {
    std::snprintf(text, sizeof text, "\n    labels that change with the division: %.4f %% near tile borders, %.4f %% elsewhere",
                  100 * row["seam"]["changed_near_borders"].get<double>(), 100 * row["seam"]["changed_elsewhere"].get<double>());
    line += text;
  }
  if (row.contains("profile")) line += profile_lines(row["profile"]);
  return line;
}

}  // namespace

int run_segment_bench(SegmentationModel& model, SegmentationModel* cpu_model, const SegmentBenchOptions& options, std::ostream& out,
                      const std::stop_token& stop) {
  Bench bench(model, cpu_model, options, stop);
  bench.measure_machine();
  json document{{"format", "fovea-bench-segment/1"}, {"machine", bench.machine()}, {"rows", json::array()}};
  if (options.format == Format::kTable) out << bench.machine().dump() << "\n";
  int failures = 0;
  for (const Size& size : options.sizes) {
    for (const SegmentBenchSource source : options.sources) {
      for (const SegmentContext context : options.contexts) {
        json row;
        try {
          row = bench.measure({.size = size, .source = source, .context = context});
        } catch (const Error& error) {
          if (error.kind() == ErrorKind::kCancelled || error.kind() == ErrorKind::kUsage) throw;
          row = {{"error", error.what()}};
        } catch (const std::exception& error) {
          row = {{"error", error.what()}};
        }
        const bool failed = row.contains("error");
        failures += failed;
        if (failed) row.update({{"source", name_of(source)}, {"context", name_of(context)}, {"width", size.width}, {"height", size.height}});
        if (options.format == Format::kTable) out << (failed ? row.dump(2) : table_line(row)) << std::endl;
        document["rows"].push_back(std::move(row));
      }
    }
  }
  if (options.format == Format::kJson) out << document.dump(2) << std::endl;
  return failures;
}

}  // namespace fovea
