#include "core/segment/batch.h"

#include <chrono>
#include <new>

#include "core/segment/stage_clock.h"

namespace fovea {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

ImageRecord segment_file(const std::filesystem::path& input, const std::filesystem::path& stem, const BatchOptions& options,
                         SegmentationModel& model, BatchObserver& observer, const std::stop_token& stop) {
  const auto start = Clock::now();
  StageClock clock;
  const auto source = open_image(input);
  clock.charge("open");
  ImageOutputs outputs(stem, options.outputs, *source, model.config());
  ImageRecord record{.input = input, .outputs = outputs.files()};
  record.result = segment_image(*source, model, options.segment, outputs, observer, stop);
  StageClock finish;
  outputs.finish();
  finish.charge("finish");
  record.result.stage_seconds.insert(clock.seconds().begin(), clock.seconds().end());
  record.result.stage_seconds.insert(finish.seconds().begin(), finish.seconds().end());
  record.seconds = seconds_since(start);
  return record;
}

// Of an error that concerns this image alone; rethrows what concerns the whole run. Called while the exception is handled.
std::string failure_message(const std::filesystem::path& input) {
  try {
    throw;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInput) return error.what();
    if (error.kind() == ErrorKind::kContract) return input.string() + ": internal error: " + error.what();
    throw;
  } catch (const std::bad_alloc&) {
    return input.string() + ": not enough memory for this image";
  } catch (const c10::OutOfMemoryError&) {
    return input.string() + ": not enough memory on the device for this image";
  } catch (const std::exception& error) {
    return input.string() + ": " + first_line(error.what());
  }
}

}  // namespace

void run_batch(const BatchOptions& options, SegmentationModel& model, BatchObserver& observer, const std::stop_token& stop, BatchReport& report) {
  require(options.files.size() == options.names.size(), "run_batch: as many names as files");
  const auto start = Clock::now();
  const auto count = static_cast<std::int64_t>(options.files.size());
  report.left = count;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto& input = options.files[static_cast<std::size_t>(i)];
    throw_if_stopped(stop);
    observer.image_started(input, i, count);
    try {
      report.done.push_back(segment_file(input, options.folder / options.names[static_cast<std::size_t>(i)], options, model, observer, stop));
      --report.left;
      observer.image_done(report.done.back());
    } catch (...) {
      report.failures.push_back({input.string(), failure_message(input)});
      --report.left;
      observer.image_failed(report.failures.back());
      if (options.on_error == OnError::kStop) break;
    }
    report.seconds = seconds_since(start);
  }
  report.seconds = seconds_since(start);
}

}  // namespace fovea
