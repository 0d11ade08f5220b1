// Segments a list of images without a person present: one failure policy, one report.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/segment/journal.h"
#include "core/segment/outputs.h"
#include "core/segment/segment.h"

namespace fovea {

enum class OnError { kSkip, kStop };
enum class Resume { kRedo, kResume };

struct BatchOptions {
  std::vector<std::filesystem::path> files;
  std::vector<std::filesystem::path> names;   // of the outputs, below folder, without suffix; one a file (name_outputs)
  std::filesystem::path folder;
  std::vector<OutputKind> outputs{OutputKind::kMask};
  OnError on_error = OnError::kSkip;
  std::int64_t max_failures = 0;              // stop after this many; 0: never
  SegmentOptions segment{};
  // What is finished is written there, and with kResume not done again. May be nullptr.
  Journal* journal = nullptr;
  Resume resume = Resume::kRedo;
  std::string model_hash, options_hash;       // of the journal's keys
};

struct ImageRecord {
  std::filesystem::path input;
  std::vector<std::filesystem::path> outputs;
  SegmentResult result{};    // its stages include "open" and "finish" (encode and write)
  double seconds = 0;        // from opening to the last output
};

struct ImageFailure {
  std::string input;
  std::string message;       // one line, begins with the input
};

struct BatchReport {
  std::vector<ImageRecord> done;
  std::vector<nlohmann::json> kept;   // records (batch_report.h) of images that an earlier run finished and whose outputs are whole
  std::vector<ImageFailure> failures;
  std::int64_t left = 0;     // images not tried: stopped before
  double seconds = 0;
};

// Told what happens, from the thread that calls run_batch. report() counts pixels of the current image.
class BatchObserver : public Progress {
 public:
  virtual void image_started(const std::filesystem::path& input, std::int64_t index, std::int64_t count) = 0;
  virtual void image_done(const ImageRecord& record) = 0;
  virtual void image_kept(const std::filesystem::path& input, std::int64_t index, std::int64_t count) = 0;
  virtual void image_failed(const ImageFailure& failure) = 0;
};

// Fills report as it goes, so that it holds what was done when an error ends the run: Error{kEnvironment} (disk, permissions on the
// output folder), Error{kModel}, Error{kCancelled} (a stop was requested; the output being written is finished first). Everything
// that is wrong with one image only becomes a failure in the report.
void run_batch(const BatchOptions& options, SegmentationModel& model, BatchObserver& observer, const std::stop_token& stop, BatchReport& report);

}  // namespace fovea
