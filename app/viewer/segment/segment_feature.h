// Segmentation in the window: the actions that run the model in the background, its layers, its panel.
#pragma once

#include <memory>

#include "app/viewer/background_job.h"
#include "app/viewer/explore/session.h"
#include "app/viewer/features.h"
#include "app/viewer/segment/segment_panel.h"

namespace fovea {

inline constexpr const char* kSegmentationLayer = "segmentation";   // ids of layers
inline constexpr const char* kProbabilityLayer = "probability";

class SegmentFeature final : public Feature {
 public:
  // workspace outlives it. folder: where results are kept.
  SegmentFeature(Workspace& workspace, explore::Session::MakeEngine make_engine, std::filesystem::path folder);
  bool busy() const override { return job_.running(); }

  void segment_view();
  void segment_image();
  // By the extension: .png, .tif, .geojson, .json (COCO).
  void save_mask_as(const std::filesystem::path& file);
  const std::optional<Segmentation>& shown() const { return view_.shown; }

 private:
  void add_actions();
  void add_exports();
  void add_project_section();
  void segment(std::optional<Rect> region_level0);
  void take(const Segmentation& made);
  void tell(const std::string& error, std::optional<Rect> region_level0);
  void show_layers();
  void update_probability_layer();
  bool every_frame();

  Workspace& workspace_;
  const std::filesystem::path folder_;
  std::shared_ptr<explore::Engine> engine_;      // made by the job when it is first needed, only used there
  const explore::Session::MakeEngine make_engine_;
  SegmentView view_;
  int layer_class_ = -1;                         // whose probabilities the layer holds
  BackgroundJob job_;                            // after the engine that it uses
  SegmentPanel panel_{workspace_, job_, view_};
};

std::unique_ptr<Feature> make_segment_feature(Workspace& workspace);

}  // namespace fovea
