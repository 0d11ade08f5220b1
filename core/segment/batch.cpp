#include "core/segment/batch.h"

#include <algorithm>
#include <chrono>

#include "core/base/memory_shortage.h"
#include "core/segment/batch_report.h"
#include "core/segment/image_opener.h"
#include "core/segment/less_memory.h"
#include "core/segment/output_thread.h"

namespace fovea {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kMiB = std::int64_t{1} << 20;
constexpr std::int64_t kWaitingPixelBytes = 384 * kMiB;   // of images decoded before their turn
constexpr std::int64_t kWaitingLabelBytes = 192 * kMiB;

// Queues take a small share of a limit that a person gave: the memory plan leaves a tenth free.
std::int64_t within(std::int64_t max_memory_bytes, std::int64_t share, std::int64_t bytes) {
  return max_memory_bytes > 0 ? std::min(bytes, max_memory_bytes / share) : bytes;
}

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

// Of an exception that concerns this image alone; rethrows what concerns the whole run. Called while the exception is handled.
std::string failure_message(const std::filesystem::path& input) {
  try {
    throw;
  } catch (const Error& error) {
    const std::string message = error.what();
    if (error.kind() == ErrorKind::kInput) return message.starts_with(input.string()) ? message : input.string() + ": " + message;
    if (error.kind() == ErrorKind::kContract) return input.string() + ": internal error: " + message;
    throw;
  } catch (const std::exception& error) {
    if (const auto shortage = memory_shortage()) return input.string() + ": " + shortage->text;
    return input.string() + ": " + first_line(error.what());
  }
}

// Hands rows on to the thread that writes them.
class JobSink final : public LabelSink {
 public:
  JobSink(OutputThread& writer, const std::shared_ptr<ImageJob>& job) : writer_(writer), job_(job) {}
  void append(LabelRows rows) override { writer_.append(job_, std::move(rows)); }

 private:
  OutputThread& writer_;
  const std::shared_ptr<ImageJob>& job_;
};

class Batch {
 public:
  Batch(const BatchOptions& options, SegmentationModel& model, BatchObserver& observer, BatchReport& report)
      : options_(options),
        model_(model),
        observer_(observer),
        report_(report),
        count_(static_cast<std::int64_t>(options.files.size())),
        opener_(options, model.config(), within(options.segment.max_memory_bytes, 16, kWaitingPixelBytes)),
        writer_(within(options.segment.max_memory_bytes, 32, kWaitingLabelBytes), [this](ImageJob& job) { note_in_journal(job); }) {}

  void run(const std::stop_token& stop) {
    report_.left = count_;
    try {
      work(stop);
    } catch (...) {
      // What the model is through with is still written and reported. If that fails too, the first error tells more.
      writer_.drain();
      try {
        collect();
      } catch (...) {
      }
      throw;
    }
  }

 private:
  void work(const std::stop_token& stop) {
    while (!gave_up()) {
      throw_if_stopped(stop);
      const std::optional<OpenedImage> image = opener_.next();
      if (!image) break;
      take(*image, stop);
      collect();
    }
    writer_.drain();
    collect();
  }

  bool gave_up() const {
    const auto failures = static_cast<std::int64_t>(report_.failures.size());
    return (options_.on_error == OnError::kStop && failures > 0) || (options_.max_failures > 0 && failures >= options_.max_failures);
  }

  void take(const OpenedImage& image, const std::stop_token& stop) {
    const std::filesystem::path& input = image.subject.image;
    if (image.kept) {
      nlohmann::json record = *image.kept;
      record["kept"] = true;   // finished by an earlier run; the times are of that run
      report_.kept.push_back(record_text(record));
      --report_.left;
      return observer_.image_kept(input, image.index, count_);
    }
    observer_.image_started(input, image.index, count_);
    try {
      if (image.failure) std::rethrow_exception(image.failure);
      const auto job = label(image, stop);
      writer_.finish(job);
    } catch (...) {
      failed(input);
    }
  }

  // The job with all its rows on their way to the files.
  std::shared_ptr<ImageJob> label(const OpenedImage& image, const std::stop_token& stop) {
    const auto start = Clock::now();
    SegmentOptions wanted = options_.segment;
    const auto& kinds = options_.outputs.kinds;
    if (std::count(kinds.begin(), kinds.end(), OutputKind::kProbabilities) > 0) wanted.probabilities = Probabilities::kEveryClass;
    std::shared_ptr<ImageJob> job;
    const auto attempt = [&](const SegmentOptions& options) {
      job = std::make_shared<ImageJob>(image, options_.outputs, model_.config());
      JobSink sink(writer_, job);
      return segment_image(*image.for_model, model_, options, sink, observer_, stop);
    };
    const auto notice = [&](const std::string& message) { observer_.notice(image.subject.image.string() + ": " + message); };
    const StageSeconds stages = attempt_twice(wanted, model_, attempt, notice);
    job->record().stage_seconds = stages;
    const double seconds = seconds_since(start);
    report_.pipeline.model += seconds - stages.at("read_wait") - stages.at("write_wait");
    job->record().seconds = seconds + image.open_seconds + image.decode_seconds;
    return job;
  }

  // In the thread that writes.
  void note_in_journal(ImageJob& job) {
    ImageRecord& record = job.record();
    record.seconds += record.stage_seconds.at("finish");
    if (options_.journal != nullptr) options_.journal->add(job.image().key, record.outputs, to_json(record, model_.config()));
  }

  // Reports what the writing thread is through with. Throws what concerns the whole run, after the others were reported.
  void collect() {
    std::exception_ptr whole_run;
    for (FinishedJob& finished : writer_.take_finished()) {
      try {
        report(finished);
      } catch (...) {
        whole_run = std::current_exception();
      }
    }
    report_.seconds = seconds_since(start_);
    report_.pipeline.opening = opener_.busy_seconds();
    report_.pipeline.writing = writer_.busy_seconds();
    if (whole_run) std::rethrow_exception(whole_run);
  }

  void report(FinishedJob& finished) {
    try {
      if (finished.failure) std::rethrow_exception(finished.failure);
    } catch (...) {
      return failed(finished.job->image().subject.image);
    }
    const ImageRecord& record = finished.job->record();
    report_.done.push_back(record_text(to_json(record, model_.config())));
    --report_.left;
    observer_.image_done(record);
  }

  // Called while the exception is handled.
  void failed(const std::filesystem::path& input) {
    report_.failures.push_back({input.string(), failure_message(input)});
    --report_.left;
    observer_.image_failed(report_.failures.back());
  }

  const BatchOptions& options_;
  SegmentationModel& model_;
  BatchObserver& observer_;
  BatchReport& report_;
  const std::int64_t count_;
  const Clock::time_point start_ = Clock::now();
  ImageOpener opener_;
  OutputThread writer_;
};

}  // namespace

void run_batch(const BatchOptions& options, SegmentationModel& model, BatchObserver& observer, const std::stop_token& stop,
               BatchReport& report) {
  require(options.files.size() == options.names.size(), "run_batch: as many names as files");
  Batch(options, model, observer, report).run(stop);
}

}  // namespace fovea
