// The panel "Segmentation": run the model, see how much is of which class, choose what is shown.
#pragma once

#include <functional>
#include <string>

#include "app/viewer/background_job.h"
#include "app/viewer/layers/label_layer.h"
#include "app/viewer/segment/segmentation.h"
#include "app/viewer/workspace.h"

namespace fovea {

// What the panel shows and changes; the feature owns it.
struct SegmentView {
  std::optional<Segmentation> shown;
  KeepProbabilities probabilities = KeepProbabilities::kYes;   // of the next run
  int probability_class = -1;                                   // whose layer is shown; -1: none
};

class SegmentPanel {
 public:
  SegmentPanel(Workspace& workspace, const BackgroundJob& job, SegmentView& view) : workspace_(workspace), job_(job), view_(view) {}
  void show();

 private:
  void show_run();
  void show_classes(const Segmentation& made);
  void show_class_row(const Segmentation& made, std::size_t index, LabelLayer* layer);
  void show_probabilities(const Segmentation& made);
  void show_only(LabelLayer& layer, std::size_t index);
  std::string area_text(std::int64_t pixels) const;

  Workspace& workspace_;
  const BackgroundJob& job_;
  SegmentView& view_;
};

// "1.25 ha", "340 m²", "12.3 MP", "5 px".
std::string area_name(std::int64_t pixels, std::optional<double> pixel_size_m);

}  // namespace fovea
