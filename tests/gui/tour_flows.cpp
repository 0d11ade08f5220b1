// Pictures of the main views, for documentation and for looking at them; no test of anything, and not played by ctest.
//
//   FOVEA_TOUR=FOLDER FOVEA_IMAGE=photo.png [FOVEA_SIZE=1280x720] [FOVEA_SCALE=1] [FOVEA_THEME=light] test_viewer_flows tour/
//   ... FOVEA_PLACE=X,Y,ZOOM FOVEA_HEAD=LAYER,HEAD test_viewer_flows readme/     the README's picture: that head's row of that pixel
#include <cinttypes>
#include <cstdio>
#include <cstdlib>

#include "app/viewer/layers/heat_layer.h"
#include "core/image/writers.h"
#include "tests/gui/flow.h"

namespace fovea::gui {
namespace {

class Tour {
 public:
  explicit Tour(Flow& flow) : flow_(flow), folder_(std::getenv("FOVEA_TOUR")) {}

  void begin() {
    int width = 1280, height = 720;
    if (const char* size = std::getenv("FOVEA_SIZE")) std::sscanf(size, "%dx%d", &width, &height);
    const char* theme = std::getenv("FOVEA_THEME");
    if (theme && std::string_view(theme) == "light") flow_.run("view.light");
    flow_.resize(width, height);
    flow_.on_main([this] { flow_.workspace().panels.reset_layout(); });   // of this size
    keep("start", [this] { flow_.run("file.close"); });
    flow_.open(std::getenv("FOVEA_IMAGE"));
  }
  // A picture after the steps; beside its name goes what the size and theme were, by the folder that the caller chose.
  void keep(const std::string& name, const std::function<void()>& steps) {
    steps();
    flow_.settle();
    flow_.ui.Yield(3);
    write_png(folder_ / (name + ".png"), flow_.stage().picture(flow_.ui));
  }

 private:
  Flow& flow_;
  std::filesystem::path folder_;
};

// Around a place given as shares of the image.
void look_closer(Flow& flow, double x, double y, double zoom = 1) {
  flow.on_main([&] {
    flow.camera().look_at({x * flow.camera().image().width, y * flow.camera().image().height}, zoom);
    flow.camera().jump_to_target();
  });
  flow.settle();
}

void repeat(Flow& flow, std::string_view action, std::int64_t times) {
  for (std::int64_t i = 0; i < times; ++i) flow.run(action);
}

// From the mean of heads of the last layer of twelve, and back.
void choose_head(Flow& flow, std::int64_t layer, std::int64_t head) {
  repeat(flow, "attention.previous_layer", 11 - layer);
  repeat(flow, "attention.next_head", head + 1);
}
void leave_head(Flow& flow, std::int64_t layer, std::int64_t head) {
  repeat(flow, "attention.next_layer", 11 - layer);
  repeat(flow, "attention.previous_head", head + 1);
}

}  // namespace

FLOW(tour, pictures_of_the_main_views) {
  if (!std::getenv("FOVEA_TOUR") || !std::getenv("FOVEA_IMAGE")) return;
  Tour tour(flow);
  tour.begin();
  tour.keep("image", [] {});
  tour.keep("histogram", [&] { flow.run("panel.histogram"), look_closer(flow, 0.4, 0.4); });
  flow.run("panel.histogram");
  tour.keep("palette", [&] { flow.key(ImGuiMod_Ctrl | ImGuiMod_Shift | ImGuiKey_P), flow.ui.KeyChars("lay"); });
  flow.ui.PopupCloseAll();
  tour.keep("help", [&] { flow.run("help.keys"); });
  flow.run("help.keys");
  tour.keep("dialog", [&] { flow.run("file.open"); });
  flow.ui.PopupCloseAll();

  tour.keep("folder", [&] { flow.run("panel.folder"); });
  flow.run("panel.folder");

  look_closer(flow, 0.4, 0.4, 2);
  tour.keep("segmentation", [&] { flow.run("segment.view"); });
  flow.on_main([&] { flow.workspace().panels.open("attention"); });
  flow.on_main([&] { flow.workspace().layers.remove("segmentation"); });
  tour.keep("encoding", [&] { flow.run("attention.encode_view"); });
  const Point middle = flow.camera().centre();
  const auto click = [&](ImGuiKeyChord modifiers = 0) { return [&flow, middle, modifiers] { flow.click(middle, modifiers); }; };
  tour.keep("row", click());
  tour.keep("column", click(ImGuiMod_Shift));
  tour.keep("rollout", [&] { click(ImGuiMod_Ctrl)(), flow.run("attention.contours"), flow.run("attention.outliers"); });
  flow.run("attention.contours"), flow.run("attention.outliers");
  tour.keep("heads", [&] { click()(), flow.run("panel.heads"); });
  flow.run("panel.heads");
  tour.keep("statistics", [&] { flow.run("panel.head_statistics"); });
  flow.run("panel.head_statistics");
  tour.keep("windows", [&] { flow.run("panel.windows"); });
  flow.run("panel.windows");
  tour.keep("features", [&] { flow.run("attention.method.pca"); });
  flow.run("attention.method.row");
  // Two maps that stay, beside the one that follows the mouse.
  for (const std::int64_t layer : {3, 7}) {
    choose_head(flow, layer, 2);
    click()();
    flow.settle();
    flow.run("attention.keep");
    leave_head(flow, layer, 2);
  }
  flow.settle();
  tour.keep("four-views", [&] { flow.run("view.quad"); });
  flow.run("view.quad");
  tour.keep("curtain", [&] { flow.run("attention.method.entropy"), flow.settle(), flow.run("view.curtain"); });
  flow.run("view.curtain");
  tour.keep("memory-and-log", [&] { flow.run("panel.statistics"), flow.run("panel.log"); });
  tour.keep("error", [&] { flow.drop({flow.file("garbage.png")}); });
  flow.expect_error("garbage.png");
}

FLOW(readme, picture_of_a_head_beside_all_heads) {
  const char *place = std::getenv("FOVEA_PLACE"), *head = std::getenv("FOVEA_HEAD");
  if (!std::getenv("FOVEA_TOUR") || !std::getenv("FOVEA_IMAGE") || !place || !head) return;
  double x = 0, y = 0, zoom = 1;
  std::int64_t layer = 0, number = 0;
  IM_CHECK_EQ(std::sscanf(place, "%lf,%lf,%lf", &x, &y, &zoom), 3);
  IM_CHECK_EQ(std::sscanf(head, "%" SCNd64 ",%" SCNd64, &layer, &number), 2);
  Tour tour(flow);
  tour.begin();
  for (const char* panel : {"panel.heads", "panel.head_statistics"}) flow.run(panel);
  flow.settle();
  const Extent image = flow.camera().image();
  look_closer(flow, x / image.width, y / image.height, zoom);
  flow.run("attention.encode_view");
  flow.settle();
  flow.click({x, y});
  choose_head(flow, layer, number);
  tour.keep("viewer", [] {});
}

}  // namespace fovea::gui
