// Segments a list of images without a person present: one failure policy, one report. Opening and decoding what comes next, the model, and
// encoding and writing what is done overlap.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/segment/journal.h"
#include "core/segment/label_output.h"
#include "core/segment/output_choice.h"
#include "core/segment/scaling.h"
#include "core/segment/segment.h"

namespace fovea {

enum class OnError { kSkip, kStop };
enum class Resume { kRedo, kResume };

struct BatchOptions {
  std::vector<std::filesystem::path> files;
  std::vector<std::filesystem::path> names;   // of the outputs, below folder, without suffix; one a file (name_outputs)
  std::filesystem::path folder;
  OutputChoice outputs{};
  std::optional<Rect> window;                 // of every image, in its pixels; none: all of it
  ScaleChoice scale{};
  OnError on_error = OnError::kSkip;
  std::int64_t max_failures = 0;              // stop after this many; 0: never
  SegmentOptions segment{};
  // What is finished is written there, and with kResume not done again. May be nullptr.
  Journal* journal = nullptr;
  Resume resume = Resume::kRedo;
  std::string model_hash, options_hash;       // of the journal's keys
  std::function<std::unique_ptr<ImageSource>(const std::filesystem::path&)> open = [](const auto& file) { return open_image(file); };
};

struct ImageRecord {
  std::int64_t index = 0;        // in the list of files
  std::filesystem::path input;
  std::vector<std::filesystem::path> outputs;
  LabelCounts counts{};
  PixelExtent model_extent{};    // pixels that the model saw: another size with a scale
  StageSeconds stage_seconds{};
  double seconds = 0;            // from opening to the last output, without waiting for images before
};

struct ImageFailure {
  std::string input;
  std::string message;           // one line, begins with the input
};

// How busy the three threads were, in seconds; `model` leaves out what the others kept it waiting.
struct PipelineSeconds {
  double opening = 0, model = 0, writing = 0;
};

struct BatchReport {
  // Records of images as text (batch_report.h), a fraction of the objects: a folder may hold a million. kept: of images that an earlier
  // run finished and whose outputs are whole.
  std::vector<std::string> done, kept;
  std::vector<ImageFailure> failures;
  std::int64_t left = 0;              // images not tried: stopped before
  double seconds = 0;
  PipelineSeconds pipeline{};
};

// Told what happens, from the thread that calls run_batch. report() counts pixels of the image that the model works on; an image is done
// when its files have appeared, which may be after the next one was started.
class BatchObserver : public Progress {
 public:
  virtual void image_started(const std::filesystem::path& input, std::int64_t index, std::int64_t count) = 0;
  virtual void image_done(const ImageRecord& record) = 0;
  virtual void image_kept(const std::filesystem::path& input, std::int64_t index, std::int64_t count) = 0;
  virtual void image_failed(const ImageFailure& failure) = 0;
  virtual void notice(const std::string& message) = 0;   // one line: something that did not go as planned, and what is done instead
};

// Fills report as it goes, so that it holds what was done when an error ends the run: Error{kEnvironment} (disk, permissions on the
// output folder), Error{kModel}, Error{kUsage} (scaling.h), Error{kCancelled} (a stop was requested; what the model is through with is
// written first). Everything that is wrong with one image only becomes a failure in the report.
void run_batch(const BatchOptions& options, SegmentationModel& model, BatchObserver& observer, const std::stop_token& stop,
               BatchReport& report);

}  // namespace fovea
