// A person who presses everything: seeded sequences of actions, keys, clicks, drags and resizes. No crash, no OpenGL error, and what is drawn
// afterwards is right. FOVEA_SEED=N plays another one; the seed is printed.
#include <cstdio>
#include <cstdlib>
#include <random>

#include "tests/gui/flow.h"
#include "tests/gui/pictures.h"

namespace fovea::gui {
namespace {

constexpr int kSequences = 200, kSteps = 6;
constexpr const char* kPictures[] = {"waves.png", "blocks.png", "map.tif", "grey16.tif", "garbage.png"};

class Person {
 public:
  Person(Flow& flow, unsigned seed) : flow_(flow), random_(seed) {
    // Quitting ends the program, full screen needs a monitor, and the file dialog may be the desktop's.
    for (const Action& action : flow.workspace().actions.all()) {
      const bool asks_for_files = action.id == "file.open" || action.id.starts_with("export.") || action.id.starts_with("project.");
      if (action.id != "file.quit" && action.id != "view.full_screen" && !asks_for_files) actions_.push_back(action.id);
    }
  }

  void step() {
    switch (below(12)) {
      case 0: case 1: case 2: case 3: flow_.run(actions_[below(actions_.size())]); break;
      case 4: case 5: flow_.click(place(), modifiers()); break;
      case 6: flow_.drag(place(), place(), below(2) ? ImGuiMouseButton_Left : ImGuiMouseButton_Middle, modifiers()); break;
      case 7: flow_.move(place()), flow_.ui.MouseWheelY(static_cast<float>(below(9)) - 4); break;
      case 8: flow_.key(keys_[below(std::size(keys_))]); break;
      case 9: style(); break;
      case 10: if (below(4) == 0) flow_.on_main([this] { flow_.viewer().open(flow_.file(kPictures[below(std::size(kPictures))])); }); break;
      default: if (below(6) == 0) flow_.resize(100 + static_cast<int>(below(500)), 80 + static_cast<int>(below(300)));
    }
    flow_.ui.Yield();
  }

 private:
  std::size_t below(std::size_t count) { return random_() % count; }
  Point place() { return {static_cast<double>(below(400)) - 40, static_cast<double>(below(320)) - 40}; }
  ImGuiKeyChord modifiers() {
    constexpr ImGuiKeyChord choices[] = {0, 0, 0, ImGuiMod_Shift, ImGuiMod_Ctrl, ImGuiMod_Alt};
    return choices[below(std::size(choices))];
  }
  void style() {
    if (flow_.workspace().layers.empty()) return;
    LayerStyle& style = flow_.workspace().layers.at(below(flow_.workspace().layers.size())).style;
    style.opacity = static_cast<float>(below(11)) / 10;
    style.blend = static_cast<Blend>(below(4));
    style.colours = static_cast<ColourTable>(below(kColourTables));
  }

  static constexpr ImGuiKey keys_[] = {ImGuiKey_Escape, ImGuiKey_Enter, ImGuiKey_Tab, ImGuiKey_Space, ImGuiKey_LeftArrow, ImGuiKey_Delete, ImGuiKey_F1};
  Flow& flow_;
  std::mt19937 random_;
  std::vector<std::string> actions_;
};

}  // namespace

FLOW(random, two_hundred_sequences_without_a_crash_or_an_opengl_error) {
  const char* chosen = std::getenv("FOVEA_SEED");
  const auto first = static_cast<unsigned>(chosen ? std::strtoul(chosen, nullptr, 10) : 20261128);
  std::printf("random actions: FOVEA_SEED=%u\n", first);
  flow.resize(500, 320);
  for (int sequence = 0; sequence < kSequences; ++sequence) {
    Person person(flow, first + static_cast<unsigned>(sequence));
    for (int step = 0; step < kSteps; ++step) person.step();
    const std::string error = flow.stage().take_gl_error();
    if (!error.empty()) IM_ERRORF("sequence %d (FOVEA_SEED=%u starts with it): %s", sequence, first + static_cast<unsigned>(sequence), error.c_str());
    if (flow.ui.IsError()) return;
  }
  // Then the window still does its work.
  flow.ui.PopupCloseAll();
  flow.run("attention.cancel");
  flow.resize(800, 480);
  flow.on_main([&] {
    flow.workspace().comparison = {};
    flow.workspace().messages.clear();
    flow.viewer().open(flow.file("blocks.png"));
  });
  flow.settle();
  const ImageU8 picture = flow.canvas();
  const Point p = flow.camera().to_canvas({450, 350});
  const std::uint8_t* pixel = picture.row(static_cast<std::int64_t>(p.y)) + 3 * static_cast<std::int64_t>(p.x);
  IM_CHECK_EQ(static_cast<int>(pixel[0]), block_colour(4, 3).red);
}

}  // namespace fovea::gui
