#include "core/segment/batch.h"

#include <algorithm>
#include <chrono>

#include "core/base/clock.h"
#include "core/base/cores.h"
#include "core/base/memory_shortage.h"
#include "core/segment/batch_report.h"
#include "core/segment/device_work.h"
#include "core/segment/image_groups.h"
#include "core/segment/image_opener.h"
#include "core/segment/less_memory.h"
#include "core/segment/memory_plan.h"
#include "core/segment/output_thread.h"
#include "core/segment/parallel_source.h"
#include "core/segment/small_images.h"

namespace fovea {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::int64_t kMiB = std::int64_t{1} << 20;
constexpr std::int64_t kImageAheadBytes = 384 * kMiB;     // of an image that is decoded before its turn
constexpr std::int64_t kWaitingLabelBytes = 192 * kMiB;
constexpr std::int64_t kWaitingGroupBytes = 192 * kMiB;   // of small images that wait for others of their size

// Images written at a time: a quarter of the cores, up to four.
std::int64_t usual_writers() { return share_of_cores(4, 4); }

// Queues take a small share of a limit that a person gave: the memory plan leaves a tenth free.
std::int64_t within(std::int64_t max_memory_bytes, std::int64_t share, std::int64_t bytes) {
  return max_memory_bytes > 0 ? std::min(bytes, max_memory_bytes / share) : bytes;
}

// Each thread that decodes may have half of such an image waiting, as far as there is memory: one thread decodes a JPEG, and a GPU labels
// several in that time.
AheadLimits ahead_limits(std::int64_t max_memory_bytes) {
  const std::int64_t image = within(max_memory_bytes, 16, kImageAheadBytes);
  const std::int64_t wanted = within(max_memory_bytes, 16, usual_readers() * kImageAheadBytes / 2);
  return {.image_bytes = image, .waiting_bytes = std::max(image, std::min(wanted, available_host_memory() / 16))};
}

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
        opener_(options, model.config(), ahead_limits(options.segment.max_memory_bytes)),
        groups_(opener_, model, options.segment, within(options.segment.max_memory_bytes, 32, kWaitingGroupBytes)) {
    const std::int64_t queued_bytes = within(options.segment.max_memory_bytes, 32, kWaitingLabelBytes) / usual_writers();
    for (std::int64_t i = 0; i < usual_writers(); ++i) {
      writers_.push_back(std::make_unique<OutputThread>(queued_bytes, [this](ImageJob& job) { note_in_journal(job); }));
    }
  }

  void run(const std::stop_token& stop) {
    report_.left = count_;
    try {
      work(stop);
    } catch (...) {
      // What the model is through with is still written and reported. If that fails too, the first error tells more.
      drain();
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
      ImageGroup group = groups_.next();
      if (group.images.empty()) break;
      if (group.batch.images > 1) take_together(group, stop);
      else take(group.images.front().image, stop);
      collect();
    }
    drain();
    collect();
  }

  void drain() {
    for (const auto& writer : writers_) writer->drain();
  }
  // One thread writes all of an image; neighbours go to different threads.
  OutputThread& writer_of(const OpenedImage& image) { return *writers_[static_cast<std::size_t>(image.index) % writers_.size()]; }

  bool gave_up() const {
    const auto failures = static_cast<std::int64_t>(report_.failures.size());
    return (options_.on_error == OnError::kStop && failures > 0) || (options_.max_failures > 0 && failures >= options_.max_failures);
  }

  void take(const OpenedImage& image, const std::stop_token& stop) {
    if (image.kept) return report_kept(image);
    observer_.image_started(image.subject.image, image.index, count_);
    take_started(image, stop);
  }

  void report_kept(const OpenedImage& image) {
    nlohmann::json record = *image.kept;
    record["kept"] = true;   // finished by an earlier run; the times are of that run
    report_.kept.push_back(record_text(record));
    --report_.left;
    observer_.image_kept(image.subject.image, image.index, count_);
  }

  void take_started(const OpenedImage& image, const std::stop_token& stop) {
    try {
      if (image.failure) std::rethrow_exception(image.failure);
      const auto job = label(image, stop);
      writer_of(image).finish(job);
    } catch (...) {
      failed(image.subject.image);
    }
  }

  // Small images in one pass of the model; alone where the device has no memory for that.
  void take_together(ImageGroup& group, const std::stop_token& stop) {
    std::vector<GroupedImage> members;
    for (GroupedImage& member : group.images) {
      if (member.image.kept) {
        report_kept(member.image);
        continue;
      }
      observer_.image_started(member.image.subject.image, member.image.index, count_);
      members.push_back(std::move(member));
    }
    StageSeconds stages;
    std::vector<LabelRows> labels;
    try {
      labels = label_pass(group.batch, members, stages);
    } catch (...) {
      const auto shortage = memory_shortage();
      if (!shortage) {
        for (const GroupedImage& member : members) failed(member.image.subject.image);
        return;
      }
      observer_.notice(members.front().image.subject.image.string() + ": " + shortage->text + "; trying one image after the other");
    }
    if (labels.empty()) {
      release_device_memory(model_.device());
      for (const GroupedImage& member : members) take_started(member.image, stop);
    }
    for (std::size_t i = 0; i < labels.size(); ++i) hand_to_writer(members[i].image, std::move(labels[i]), stages);
  }

  // One for each member; members that cannot be read are reported and go. stages: of one member, its share.
  std::vector<LabelRows> label_pass(const SmallBatch& batch, std::vector<GroupedImage>& members, StageSeconds& stages) {
    const auto start = Clock::now();
    SmallPass pass(batch, model_);
    std::erase_if(members, [&](const GroupedImage& member) {
      try {
        pass.add(*member.image.for_model, member.place);
        return false;
      } catch (...) {
        failed(member.image.subject.image);
        return true;
      }
    });
    if (members.empty()) return {};
    const double read_seconds = seconds_since(start);
    std::vector<LabelRows> labels = pass.label(wanted_probabilities(), stages);
    stages["read_wait"] = read_seconds;
    for (auto& [stage, seconds] : stages) seconds /= static_cast<double>(members.size());
    return labels;
  }

  // stages: this image's share of what its pass took.
  void hand_to_writer(const OpenedImage& image, LabelRows labels, StageSeconds stages) {
    try {
      const auto job = std::make_shared<ImageJob>(image, options_.outputs, model_.config());
      const auto start = Clock::now();
      OutputThread& writer = writer_of(image);
      writer.append(job, std::move(labels));
      stages["write_wait"] = seconds_since(start);
      job->record().stage_seconds = stages;
      job->record().seconds = image.open_seconds + image.decode_seconds();
      for (const auto& [stage, seconds] : stages) job->record().seconds += seconds;
      for (const char* stage : {"tokens", "encoder", "decoder", "labels"}) report_.pipeline.model += stages.at(stage);
      writer.finish(job);
      const std::int64_t pixels = job->image().for_model->info().width * job->image().for_model->info().height;
      observer_.report("segment", pixels, pixels);
    } catch (...) {
      failed(image.subject.image);
    }
  }

  Probabilities wanted_probabilities() const {
    const auto& kinds = options_.outputs.kinds;
    return std::ranges::count(kinds, OutputKind::kProbabilities) > 0 ? Probabilities::kEveryClass : Probabilities::kNone;
  }

  // The job with all its rows on their way to the files.
  std::shared_ptr<ImageJob> label(const OpenedImage& image, const std::stop_token& stop) {
    const auto start = Clock::now();
    const double seconds_before = image.open_seconds + image.decode_seconds();
    SegmentOptions wanted = options_.segment;
    wanted.probabilities = wanted_probabilities();
    std::shared_ptr<ImageJob> job;
    const auto attempt = [&](const SegmentOptions& options) {
      job = std::make_shared<ImageJob>(image, options_.outputs, model_.config());
      JobSink sink(writer_of(image), job);
      return segment_image(*image.for_model, model_, options, sink, observer_, stop);
    };
    const auto notice = [&](const std::string& message) { observer_.notice(image.subject.image.string() + ": " + message); };
    const StageSeconds stages = attempt_twice(wanted, model_, attempt, notice);
    job->record().stage_seconds = stages;
    const double seconds = seconds_since(start);
    report_.pipeline.model += seconds - stages.at("read_wait") - stages.at("write_wait");
    job->record().seconds = seconds_before + seconds;
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
    report_.pipeline.writing = 0;
    for (const auto& writer : writers_) {
      report_.pipeline.writing += writer->busy_seconds();
      for (FinishedJob& finished : writer->take_finished()) {
        try {
          report(finished);
        } catch (...) {
          whole_run = std::current_exception();
        }
      }
    }
    report_.seconds = seconds_since(start_);
    report_.pipeline.opening = opener_.busy_seconds();
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
  ImageGroups groups_;
  std::vector<std::unique_ptr<OutputThread>> writers_;
};

}  // namespace

void run_batch(const BatchOptions& options, SegmentationModel& model, BatchObserver& observer, const std::stop_token& stop,
               BatchReport& report) {
  require(options.files.size() == options.names.size(), "run_batch: as many names as files");
  Batch(options, model, observer, report).run(stop);
}

}  // namespace fovea
