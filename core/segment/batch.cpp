#include "core/segment/batch.h"

#include <chrono>
#include <new>

#include "core/image/shared_source.h"
#include "core/segment/batch_report.h"
#include "core/segment/stage_clock.h"

namespace fovea {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

ImageRecord segment_file(const ImageOutputs::Subject& subject, const BatchOptions& options, SegmentationModel& model,
                         BatchObserver& observer, const std::stop_token& stop) {
  const auto start = Clock::now();
  StageClock clock;
  SharedSource source(open_image(subject.image));
  clock.charge("open");
  ImageOutputs outputs(subject, options.outputs, source, model.config());
  ImageRecord record{.input = subject.image, .outputs = outputs.files()};
  record.result = segment_image(source, model, options.segment, outputs, observer, stop);
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
    const std::string message = error.what();
    if (error.kind() == ErrorKind::kInput) return message.starts_with(input.string()) ? message : input.string() + ": " + message;
    if (error.kind() == ErrorKind::kContract) return input.string() + ": internal error: " + message;
    throw;
  } catch (const std::bad_alloc&) {
    return input.string() + ": not enough memory for this image";
  } catch (const c10::OutOfMemoryError&) {
    return input.string() + ": not enough memory on the device for this image";
  } catch (const std::exception& error) {
    return input.string() + ": " + first_line(error.what());
  }
}

class Batch {
 public:
  Batch(const BatchOptions& options, SegmentationModel& model, BatchObserver& observer, BatchReport& report)
      : options_(options), model_(model), observer_(observer), report_(report) {}

  void run(const std::stop_token& stop) {
    const auto start = Clock::now();
    const auto count = static_cast<std::int64_t>(options_.files.size());
    report_.left = count;
    for (std::int64_t i = 0; i < count && !gave_up(); ++i) {
      throw_if_stopped(stop);
      take({options_.files[static_cast<std::size_t>(i)], options_.folder / options_.names[static_cast<std::size_t>(i)]}, i, stop);
      --report_.left;
      report_.seconds = seconds_since(start);
    }
  }

 private:
  bool gave_up() const {
    const auto failures = static_cast<std::int64_t>(report_.failures.size());
    return (options_.on_error == OnError::kStop && failures > 0) || (options_.max_failures > 0 && failures >= options_.max_failures);
  }

  void take(const ImageOutputs::Subject& subject, std::int64_t index, const std::stop_token& stop) {
    const auto count = static_cast<std::int64_t>(options_.files.size());
    try {
      const JournalKey key = journal_key(subject.image, options_.model_hash, options_.options_hash);
      if (options_.journal != nullptr && options_.resume == Resume::kResume) {
        if (auto record = options_.journal->verified(key)) {
          report_.kept.push_back(std::move(*record));
          return observer_.image_kept(subject.image, index, count);
        }
      }
      observer_.image_started(subject.image, index, count);
      ImageRecord record = segment_file(subject, options_, model_, observer_, stop);
      if (options_.journal != nullptr) options_.journal->add(key, record.outputs, to_json(record, model_.config()));
      report_.done.push_back(std::move(record));
    } catch (...) {
      report_.failures.push_back({subject.image.string(), failure_message(subject.image)});
      return observer_.image_failed(report_.failures.back());
    }
    observer_.image_done(report_.done.back());
  }

  const BatchOptions& options_;
  SegmentationModel& model_;
  BatchObserver& observer_;
  BatchReport& report_;
};

}  // namespace

void run_batch(const BatchOptions& options, SegmentationModel& model, BatchObserver& observer, const std::stop_token& stop, BatchReport& report) {
  require(options.files.size() == options.names.size(), "run_batch: as many names as files");
  Batch(options, model, observer, report).run(stop);
}

}  // namespace fovea
