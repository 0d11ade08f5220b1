// Attention exploration in the window: actions, tools, panel and layers around an Explorer.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "app/viewer/explore/attention_panel.h"
#include "app/viewer/explore/canvas_marks.h"
#include "app/viewer/explore/explorer.h"
#include "app/viewer/explore/kept_maps.h"
#include "app/viewer/explore/plots_panel.h"
#include "app/viewer/explore/session.h"
#include "app/viewer/explore/wall_panel.h"
#include "app/viewer/explore/windows_panel.h"
#include "app/viewer/features.h"

namespace fovea::explore {

inline constexpr const char* kHeatLayer = "attention";              // ids of the layers that answers become
inline constexpr const char* kColourLayer = "attention-colours";

class ExploreFeature final : public Feature {
 public:
  // workspace outlives it. make_engine: load_engine, or an engine of a test. kept_folder: of maps that a person keeps.
  ExploreFeature(Workspace& workspace, Session::MakeEngine make_engine, std::filesystem::path kept_folder);
  bool busy() const override { return was_busy_ || session_.busy(); }

  Explorer& explorer() { return explorer_; }
  const Session& session() const { return session_; }
  void encode_view();
  void encode_image();
  // The map that is shown, as fovea attend --raw writes it.
  void save_map(const std::filesystem::path& file);

 private:
  void encode(std::optional<Rect> region_level0);
  void zoom_in_and_encode(std::int64_t fitting_side);
  void add_exports();
  void add_encoding_actions();
  void add_choosing_actions();
  void add_tools();
  void add_panels();
  void add_project_section();
  bool every_frame();
  void note_changes();
  void write_what_was_saved();
  void show_answer();
  void show_values(const Reply& reply, const RectD& place);
  void tell_once(std::string& told, const std::string& error, const std::optional<MessageAction>& way_on);
  std::optional<MessageAction> way_on(Trouble trouble, std::int64_t fitting_side);

  const HeatLayer* heat_in(int view) const;
  Layer* answer_layer() const;             // of the answer that is shown; nullptr: none
  Workspace& workspace_;
  Session session_;
  Explorer explorer_;
  CanvasMarks marks_;
  KeptMaps kept_;
  AttentionPanel panel_;
  WallPanel wall_{explorer_};
  WindowsPanel windows_{explorer_};
  PlotsPanel plots_{explorer_};
  std::shared_ptr<const Reply> painted_;   // whose values the layer holds
  View noted_;                             // as undo knows it
  std::optional<nlohmann::json> awaited_;  // a project's view, for when its region is encoded
  nlohmann::json loaded_;                  // the view that was loaded last
  std::string told_encoding_, told_answer_;
  struct ToSave {
    std::filesystem::path file;
    std::shared_ptr<const Encoded> encoded;  // nullptr: nothing
  } to_save_;
  std::optional<Rect> last_region_;        // that was to be encoded
  bool was_busy_ = false;                  // before answers were taken in this frame: they are on the screen in the next one
};

std::unique_ptr<Feature> make_explore_feature(Workspace& workspace);

}  // namespace fovea::explore
