// What a quick hand types while a slow frame is drawn, all of it between two looks of the window.
#include <gtest/gtest.h>
#include <imgui.h>

#include "app/viewer/window.h"

namespace fovea {
namespace {

class InputTest : public testing::Test {
 protected:
  InputTest() {
    frame();
    frame();
  }
  void frame() {
    window.begin_frame();
    for (const ImGuiKeyChord chord : chords) {
      if (ImGui::IsKeyChordPressed(chord)) pressed.push_back(chord);
    }
    window.render();
  }
  void frames() {
    for (int i = 0; i < 6; ++i) frame();
  }
  // As the window's system tells it: the modifier's meaning, then its key.
  void control(bool down) {
    ImGui::GetIO().AddKeyEvent(ImGuiMod_Ctrl, down);
    ImGui::GetIO().AddKeyEvent(ImGuiKey_LeftCtrl, down);
  }
  void key(ImGuiKey key, bool down) { ImGui::GetIO().AddKeyEvent(key, down); }

  Window window{{.width = 64, .height = 64, .visibility = Visibility::kHidden, .scale = 1}};
  const std::vector<ImGuiKeyChord> chords{ImGuiKey_O, ImGuiMod_Ctrl | ImGuiKey_O, ImGuiKey_E, ImGuiMod_Ctrl | ImGuiKey_E};
  std::vector<ImGuiKeyChord> pressed;
  using Chords = std::vector<ImGuiKeyChord>;
};

TEST_F(InputTest, AModifierThatIsLetGoBeforeItsKeyStillCounts) {
  control(true);
  frame();
  key(ImGuiKey_O, true), control(false), key(ImGuiKey_O, false);
  frames();
  EXPECT_EQ(pressed, Chords{ImGuiMod_Ctrl | ImGuiKey_O});
  EXPECT_FALSE(ImGui::GetIO().KeyCtrl);
}

TEST_F(InputTest, AModifierAfterAKeyDoesNotCount) {
  key(ImGuiKey_O, true), control(true), key(ImGuiKey_O, false), control(false);
  frames();
  EXPECT_EQ(pressed, Chords{ImGuiKey_O});
}

TEST_F(InputTest, SeveralKeysOfOneFrameKeepTheirOrder) {
  control(true), key(ImGuiKey_O, true), control(false), key(ImGuiKey_O, false);
  key(ImGuiKey_E, true), key(ImGuiKey_E, false);
  control(true), key(ImGuiKey_E, true), key(ImGuiKey_E, false), control(false);
  frames();
  EXPECT_EQ(pressed, (Chords{ImGuiMod_Ctrl | ImGuiKey_O, ImGuiKey_E, ImGuiMod_Ctrl | ImGuiKey_E}));
}

}  // namespace
}  // namespace fovea
