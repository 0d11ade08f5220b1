// The graphics driver takes the OpenGL context away. The driver's word is the test's, through gl::reset_status; that the calls after it come to
// nothing, that the old context is destroyed and that another one is made, is all real.
#include <GLFW/glfw3.h>

#include <algorithm>
#include <cmath>

#include "app/viewer/explore/explore_feature.h"
#include "app/viewer/gl_context.h"
#include "app/viewer/layers/colour_layer.h"
#include "app/viewer/layers/heat_layer.h"
#include "app/viewer/layers/label_layer.h"
#include "core/image/writers.h"
#include "tests/gui/flow.h"
#include "tests/image/sample_files.h"

namespace fovea::gui {
namespace {

constexpr GLenum kUnknownReset = 0x8255;       // GL_UNKNOWN_CONTEXT_RESET
constexpr Point kClicked{163, 117};
constexpr const char* kTold = "The graphics driver was reset";

GLenum say_reset() { return kUnknownReset; }

// In the middle of a frame, as it happens: the rest of it draws into nothing.
void take_context_away() {
  gl::reset_status = say_reset;
  glfwMakeContextCurrent(nullptr);
}

int times_told(Flow& flow) {
  int times = 0;
  for (const Message& message : flow.workspace().messages.all()) {
    if (message.text.starts_with(kTold)) times += message.repeats;
  }
  return times;
}

void lose_context(Flow& flow) {
  const int told = times_told(flow);
  flow.on_main(take_context_away);
  flow.wait("another context", [&] { return times_told(flow) > told; });
}

// Largest difference of a sample.
int difference(const ImageU8& a, const ImageU8& b) {
  if (a.width() != b.width() || a.height() != b.height()) return 256;
  int largest = 0;
  for (std::size_t i = 0; i < a.samples().size(); ++i) largest = std::max(largest, std::abs(a.samples()[i] - b.samples()[i]));
  return largest;
}

// A layer of every kind that has something in the GPU's memory, over the waves.
void add_layers(Flow& flow) {
  flow.on_main([&] {
    Workspace& workspace = flow.workspace();
    const RectD whole{0, 0, 320, 240};
    ImageU8 classes(320, 240, 1);
    for (std::int64_t y = 0; y < 240; ++y) std::fill_n(classes.row(y), 320, static_cast<std::uint8_t>(y / 80));
    const std::vector<LabelClass> names{{"a", {255, 0, 0}}, {"b", {0, 255, 0}}, {"c", {0, 0, 255}}};
    const ValueMap map = map_in_memory(std::make_shared<const ImageU8>(std::move(classes)), whole);
    workspace.layers.add(std::make_unique<LabelLayer>("map", "Map", map, names, workspace.tiles));
    auto& heat = workspace.layers.add(std::make_unique<HeatLayer>("heat", "Heat"));
    heat.set_values({.columns = 3, .rows = 2, .values = {0, 0.2f, 0.4f, 0.6f, 0.8f, 1}, .rect_level0 = {40, 30, 120, 120}});
    ImageU8 colours(2, 2, 3);
    for (std::size_t i = 0; i < 12; ++i) colours.samples()[i] = static_cast<std::uint8_t>(20 * i);
    auto& features = workspace.layers.add(std::make_unique<ColourLayer>("colours", "Colours"));
    features.set_colours(std::move(colours), {180, 60, 90, 90});
    features.style.blend = Blend::kMultiply;   // through a surface of its own
    workspace.history.touch("Add layers");
  });
  flow.settle();
}

// The window without the message, and with the mouse where nothing minds it.
ImageU8 whole_window(Flow& flow) {
  flow.workspace().messages.clear();
  flow.ui.MouseMoveToPos({2, 470});
  flow.settle();
  return flow.stage().picture(flow.ui);
}

}  // namespace

FLOW(context, everything_is_drawn_again_as_it_was) {
  add_layers(flow);
  flow.on_main([&] {
    flow.camera().look_at({170, 110}, 2.5);
    flow.camera().jump_to_target();
  });
  const ImageU8 canvas = flow.canvas(), window = whole_window(flow);
  const nlohmann::json kept = flow.workspace().sections.save();
  lose_context(flow);
  flow.settle();
  IM_CHECK(flow.last_error().find("If it happens again: ") != std::string::npos);
  IM_CHECK(flow.stage().window().title().starts_with("waves.png"));
  IM_CHECK_EQ(difference(flow.canvas(), canvas), 0);
  IM_CHECK_EQ(difference(whole_window(flow), window), 0);
  IM_CHECK(flow.workspace().sections.save() == kept);
  IM_CHECK(flow.workspace().history.can_undo());
  flow.key(ImGuiMod_Ctrl | ImGuiKey_Z);
  flow.settle();
  IM_CHECK(flow.workspace().layers.find("heat") == nullptr || !flow.workspace().history.can_undo());
}

FLOW(context, panels_with_pictures_of_their_own_come_back) {
  flow.key(ImGuiKey_E);
  flow.settle();
  flow.click(kClicked);
  flow.key(ImGuiKey_H);
  flow.drop({flow.stage().folder() / ""});
  flow.settle();
  const ImageU8 window = whole_window(flow);
  lose_context(flow);
  IM_CHECK_EQ(difference(whole_window(flow), window), 0);
}

FLOW(context, an_encoding_in_the_background_goes_on) {
  flow.run("file.close");
  flow.open(flow.file("waves.png"));
  flow.key(ImGuiKey_E);
  lose_context(flow);
  flow.settle();
  flow.workspace().messages.clear();
  flow.click(kClicked);
  flow.settle();
  const auto* heat = dynamic_cast<HeatLayer*>(flow.workspace().layers.find(explore::kHeatLayer));
  IM_CHECK(heat != nullptr && !heat->raster().values.empty());
  const ImageU8 canvas = flow.canvas();
  lose_context(flow);   // with an answer on the screen
  flow.settle();
  IM_CHECK_EQ(difference(flow.canvas(), canvas), 0);
  flow.workspace().messages.clear();
}

FLOW(context, tiles_on_their_way_arrive_in_the_new_one) {
  const auto file = flow.file("large.tif");
  test::write_raster({.path = file, .options = {"TILED=YES", "BLOCKXSIZE=256", "BLOCKYSIZE=256"}}, test::make_pattern(3000, 2000, 3, 8));
  const auto look = [&] {
    flow.on_main([&] {
      flow.viewer().open(file);
      flow.camera().look_at({1500, 1000}, 0.6);
      flow.camera().jump_to_target();
    });
  };
  look();
  flow.settle();
  const ImageU8 canvas = flow.canvas();
  for (const int frames : {0, 1, 2, 4}) {   // before the first tile, among them
    look();
    if (frames > 0) flow.ui.Yield(frames);
    lose_context(flow);
    flow.settle();
    flow.workspace().messages.clear();
    IM_CHECK_EQ(difference(flow.canvas(), canvas), 0);
  }
}

FLOW(context, lost_twice_in_a_row_and_while_it_is_made) {
  add_layers(flow);
  const ImageU8 canvas = flow.canvas();
  lose_context(flow);
  lose_context(flow);   // the frame after
  IM_CHECK_EQ(times_told(flow), 2);
  // The driver takes three new ones before anything is drawn in them.
  static int left = 0;
  left = 3;
  static bool listening = false;
  if (!std::exchange(listening, true)) {
    flow.workspace().on_context_renewed.push_back([] {
      if (left > 0 && left--) take_context_away();
    });
  }
  lose_context(flow);
  IM_CHECK_EQ(left, 0);
  IM_CHECK_EQ(times_told(flow), 3);
  flow.settle();
  flow.workspace().messages.clear();
  IM_CHECK_EQ(difference(flow.canvas(), canvas), 0);
}

FLOW(context, a_picture_asked_for_in_that_frame_is_taken_in_the_next) {
  add_layers(flow);
  const ImageU8 before = whole_window(flow);
  ImageU8 taken;
  flow.on_main([&] {
    flow.stage().window().capture({0, 0, 1 << 16, 1 << 16}, [&](ImageU8 picture) { taken = std::move(picture); });
    take_context_away();
  });
  flow.wait("the picture", [&] { return !taken.empty(); });
  IM_CHECK_EQ(taken.width(), before.width());
  IM_CHECK_GT(*std::ranges::max_element(taken.samples()), 100);   // not the black of a context that draws nothing
  flow.settle();
  flow.workspace().messages.clear();
}

}  // namespace fovea::gui
