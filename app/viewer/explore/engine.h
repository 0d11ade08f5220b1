// The only door to torch: an interface whose implementation lives in a shared library that is loaded when a model is first needed, so
// that the window opens without it.
#pragma once

#include <functional>
#include <memory>
#include <stop_token>
#include <string>

#include "app/viewer/explore/question.h"
#include "core/base/progress.h"
#include "core/segment/output_choice.h"

namespace fovea::explore {

// One thread at a time. Errors are fovea::Error; a stop ends in Error{kCancelled}.
class Engine {
 public:
  virtual ~Engine() = default;

  // Keeps the model for later calls. Errors: Error{kModel}, Error{kEnvironment}.
  virtual std::shared_ptr<const ModelSummary> load(const std::string& model, const std::string& device) = 0;

  // Forgets what was encoded before, runs the encoder and keeps queries and keys of all layers. Progress in layers. Where the memory does
  // not suffice, Error{kEnvironment} says how large a region would fit, and so does fitting_side().
  virtual Encoded encode(const EncodeRequest& request, Progress& progress, const std::stop_token& stop) = 0;

  // Gives the memory of what was encoded back.
  virtual void forget() = 0;

  // About what was encoded last; Error{kUsage} if nothing was.
  virtual Reply answer(const Question& question, Progress& progress, const std::stop_token& stop) = 0;

  // Labels an image, or a region of it as an image of its own, as `fovea segment` (--window) does with its defaults.
  struct SegmentRequest {
    std::filesystem::path image;
    std::string model = "aerial", device = "auto";
    std::optional<Rect> region_level0{};   // the whole image if not given
    std::filesystem::path stem{};          // where files go, without suffix (core/segment/outputs.h); used if there are outputs
    std::vector<OutputKind> outputs{};
  };
  struct SegmentSummary {
    std::shared_ptr<const ModelSummary> model;
    Rect area;                             // pixels of level 0
    std::vector<std::int64_t> class_pixels;
    std::int64_t nodata_pixels = 0;
    std::vector<std::filesystem::path> files;   // in the order of outputs
    double seconds = 0;
  };
  // rows: [any height, area.width, 1], the next rows of the class map from top to bottom; may be empty.
  using ClassRows = std::function<void(const ImageU8& rows)>;
  virtual SegmentSummary segment(const SegmentRequest& request, const ClassRows& rows, Progress& progress, const std::stop_token& stop) = 0;

  // Why the last call threw. After kDeviceLost nothing of this process runs on a GPU any more: what was encoded is forgotten, "auto" means
  // the CPU.
  virtual Trouble trouble() const { return Trouble::kNone; }
  // Side in pixels of the largest square that would have fitted, where the last encode() asked for too much; else 0.
  virtual std::int64_t fitting_side() const { return 0; }
};

// Loads the library beside the program (or in ../lib/fovea) and makes an engine. Takes about a second the first time. Error{kEnvironment}
// "libfovea_viewer_models.so: cannot be loaded: ...".
std::unique_ptr<Engine> load_engine();

inline constexpr const char* kEngineLibrary = "libfovea_viewer_models.so";
inline constexpr const char* kEngineFunction = "fovea_viewer_create_engine";
using CreateEngine = Engine*();            // the caller owns the result

}  // namespace fovea::explore
