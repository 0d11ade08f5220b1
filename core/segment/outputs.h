// The files that one segmented image becomes.
#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "core/image/writers.h"
#include "core/model/config.h"
#include "core/segment/label_rows.h"
#include "core/segment/output_choice.h"

namespace fovea {

// One kind of file, fed by rows. Destroyed before finish(), it leaves nothing behind.
class OutputWriter {
 public:
  virtual ~OutputWriter() = default;
  virtual void append(const LabelRows& rows) = 0;
  virtual void finish() = 0;
};

// All files of one image: each row goes to each writer, finish() makes one file after the other appear.
class ImageOutputs final : public LabelSink {
 public:
  struct Subject {
    std::filesystem::path image;   // its file
    std::filesystem::path stem;    // where the files go, without suffix; its folder is created
  };
  // source (which must outlive the object) gives the overlay its pixels. Errors: Error{kEnvironment}; Error{kInput} where this image cannot
  // become one of these files.
  ImageOutputs(const Subject& subject, const OutputChoice& choice, ImageSource& source, const ModelConfig& config);

  void append(LabelRows rows) override;
  void finish();
  const std::vector<std::filesystem::path>& files() const noexcept { return files_; }

 private:
  std::vector<std::filesystem::path> files_;
  std::vector<std::unique_ptr<OutputWriter>> writers_;
};

// The image under its class colours as a JPEG. Where classes has the ignore index the image shows through.
std::unique_ptr<OutputWriter> create_overlay_output(const std::filesystem::path& path, ImageSource& source, const ModelConfig& config);

// Every file that an image with this stem may become, whatever was chosen.
std::vector<std::filesystem::path> possible_outputs(const std::filesystem::path& stem);

std::vector<Colour> palette_of(const ModelConfig& config);

}  // namespace fovea
