// One image on its way from labels to files.
#pragma once

#include <exception>
#include <memory>
#include <optional>

#include "core/segment/batch.h"
#include "core/segment/label_scaler.h"
#include "core/segment/outputs.h"
#include "core/segment/stage_clock.h"
#include "core/segment/streamed_image.h"

namespace fovea {

// An image that is ready for the model.
struct OpenedImage {
  std::int64_t index = 0;                   // in the list of files
  ImageOutputs::Subject subject;
  JournalKey key;
  std::optional<nlohmann::json> kept;       // the record of an earlier run whose outputs are whole: nothing is left to do
  std::exception_ptr failure;               // why it cannot be used
  std::shared_ptr<ImageSource> source;      // as the person wants it segmented: allows reads from several threads
  std::shared_ptr<ImageSource> for_model;   // the same at the size that the model should see; often the same object
  std::shared_ptr<StreamedImage> streamed;  // behind source where all pixels are decoded once and kept; nullptr: by windows
  double open_seconds = 0;
  double decode_seconds() const { return streamed ? streamed->decode_seconds() : 0; }   // so far
};

// Fed by one thread at a time. Destroyed before finish(), it leaves nothing behind.
class ImageJob final : public LabelSink {
 public:
  // Creates the temporaries of the outputs. Errors: those of ImageOutputs.
  ImageJob(const OpenedImage& image, const OutputChoice& outputs, const ModelConfig& config);

  // rows: at the size that the model saw.
  void append(LabelRows rows) override;
  // Makes the files appear; sizes, counts and times of writing are then in the record.
  void finish();

  const OpenedImage& image() const { return image_; }
  // The model's times are the caller's to fill in before finish().
  ImageRecord& record() { return record_; }

 private:
  const OpenedImage image_;
  ImageOutputs outputs_;
  LabelOutput output_;
  std::optional<LabelScaler> scaler_;
  ImageRecord record_;
  double write_seconds_ = 0;
};

}  // namespace fovea
