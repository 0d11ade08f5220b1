// Attention exploration in the real window, hidden, with the shipped model: mouse and keys as ImGui gets them, pixels as OpenGL draws them.
// FOVEA_SCREENSHOTS=FOLDER keeps a picture of each step.
#include <gtest/gtest.h>
#include <imgui.h>
#include <imgui_internal.h>   // FindWindowByName

#include <cmath>
#include <cstdlib>
#include <random>
#include <thread>

#include "app/viewer/explore/explore_feature.h"
#include "app/viewer/gl_objects.h"
#include "app/viewer/layers/heat_layer.h"
#include "app/viewer/viewer.h"
#include "core/image/writers.h"
#include "tests/viewer/scratch_folder.h"

namespace fovea::explore {
namespace {

ImageU8 picture(std::int64_t width, std::int64_t height) {
  ImageU8 image(width, height, 3);
  for (std::int64_t y = 0; y < height; ++y) {
    for (std::int64_t i = 0; i < 3 * width; ++i) {
      const double wave = std::sin(static_cast<double>(i / 3 + 40 * (i % 3)) / 23.0) * std::cos(static_cast<double>(y) / 17.0);
      image.row(y)[i] = static_cast<std::uint8_t>(128 + 100 * wave);
    }
  }
  return image;
}

class ExploreWindowTest : public testing::Test {
 protected:
  // One window a process.
  static void SetUpTestSuite() {
    folder = new test::ScratchFolder;
    setenv("XDG_CONFIG_HOME", (*folder / "").c_str(), 1);   // a person's settings are neither read nor written
    setenv("XDG_CACHE_HOME", (*folder / "").c_str(), 1);
    write_png(*folder / "waves.png", picture(320, 240));
    window = new Window({.width = 1280, .height = 720, .visibility = Visibility::kHidden, .scale = 1});
    viewer = new Viewer(*window);
    viewer->open(*folder / "waves.png");
  }
  static void TearDownTestSuite() {
    delete viewer;
    delete window;
    delete folder;
  }

  void SetUp() override { settle(); }
  void TearDown() override {
    settle();
    EXPECT_EQ(gl::take_error(), "");
    EXPECT_EQ(viewer->workspace().messages.last_error(), "");
    const char* screenshots = std::getenv("FOVEA_SCREENSHOTS");
    if (!screenshots) return;
    const std::string name = testing::UnitTest::GetInstance()->current_test_info()->name();
    write_png(std::filesystem::path(screenshots) / (name + ".png"), window->read());
  }
  void frame() {
    window->poll(0);
    window->begin_frame();
    viewer->frame();
    window->render();
    window->present();
  }
  void settle() {
    for (int i = 0; i < 5; ++i) frame();
    for (int i = 0; i < 20000 && !viewer->settled(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
      frame();
    }
    ASSERT_TRUE(viewer->settled());
  }
  void move(ImVec2 to) {
    ImGui::GetIO().AddMousePosEvent(to.x, to.y);
    frame();
    frame();
  }
  void button(bool down) {
    ImGui::GetIO().AddMouseButtonEvent(ImGuiMouseButton_Left, down);
    frame();
    frame();
  }
  void click(ImVec2 at) {
    move(at);
    button(true);
    button(false);
  }
  void press(ImGuiKey key) {
    ImGui::GetIO().AddKeyEvent(key, true);
    frame();
    ImGui::GetIO().AddKeyEvent(key, false);
    frame();
  }
  bool run(const char* action) {
    const bool done = viewer->workspace().actions.run(action);
    settle();
    return done;
  }
  static ImVec2 corner_of(const char* name) {
    const ImGuiWindow* found = ImGui::FindWindowByName(name);
    return found ? found->Pos : ImVec2(-1, -1);
  }
  // Where a pixel of the image is in the window.
  static ImVec2 on_screen(Point image_point) {
    const Point p = viewer->workspace().camera.to_canvas(image_point);
    const ImVec2 corner = corner_of("Canvas");
    return {corner.x + static_cast<float>(p.x), corner.y + static_cast<float>(p.y)};
  }
  static const HeatLayer* heat() { return dynamic_cast<const HeatLayer*>(viewer->workspace().layers.find(kHeatLayer)); }
  static ImageU8 canvas() { return viewer->canvas().picture().read(); }
  // Mean difference of the canvas's pixels over a rectangle of the image.
  static double difference(const ImageU8& a, const ImageU8& b, const RectD& rect) {
    const Camera& camera = viewer->workspace().camera;
    const Point low = camera.to_canvas({rect.x, rect.y}), high = camera.to_canvas({rect.x + rect.width, rect.y + rect.height});
    double sum = 0, count = 0;
    for (auto y = static_cast<std::int64_t>(low.y) + 1; y < static_cast<std::int64_t>(high.y) - 1; ++y) {
      for (auto x = 3 * (static_cast<std::int64_t>(low.x) + 1); x < 3 * (static_cast<std::int64_t>(high.x) - 1); ++x, ++count) {
        sum += std::abs(a.row(y)[x] - b.row(y)[x]);
      }
    }
    return sum / count;
  }

  static inline test::ScratchFolder* folder = nullptr;
  static inline Window* window = nullptr;
  static inline Viewer* viewer = nullptr;
};

TEST_F(ExploreWindowTest, AKeyEncodesAndAClickDrawsTheTokensWindow) {
  Workspace& workspace = viewer->workspace();
  const ImageU8 before = canvas();
  press(ImGuiKey_E);
  EXPECT_EQ(workspace.tools.active().id, "pick");
  settle();
  click(on_screen({163, 117}));                     // token 14, 20
  settle();
  ASSERT_NE(heat(), nullptr);
  EXPECT_EQ(heat()->bounds(), (RectD{12 * 8, 6 * 8, 17 * 8, 17 * 8}));   // the shipped model's window of 17 x 17
  const ImageU8 after = canvas();
  EXPECT_GT(difference(before, after, heat()->bounds()), 5);
  EXPECT_EQ(difference(before, after, {0, 0, 90, 240}), 0);              // outside nothing changes
  EXPECT_EQ(difference(before, after, {240, 0, 80, 240}), 0);
}

TEST_F(ExploreWindowTest, KeysStepThroughLayersAndHeads) {
  const float top = heat()->style.high;
  press(ImGuiKey_Comma);
  press(ImGuiKey_RightBracket);
  settle();
  EXPECT_NE(heat()->style.high, top);               // another layer and head, another range
  press(ImGuiKey_LeftBracket);
  press(ImGuiKey_Period);
  settle();
  EXPECT_EQ(heat()->style.high, top);
}

TEST_F(ExploreWindowTest, TheWallShowsTheHeadUnderTheMouseAndKeepsItOnAClick) {
  const float top = heat()->style.high;
  press(ImGuiKey_H);
  settle();
  const ImVec2 corner = corner_of("All heads###heads");
  move({corner.x + 60, corner.y + 100});            // a panel of one of the first layers
  settle();
  const float hovered = heat()->style.high;
  EXPECT_NE(hovered, top);
  move(on_screen({300, 10}));
  settle();
  EXPECT_EQ(heat()->style.high, top);
  click({corner.x + 60, corner.y + 100});
  move(on_screen({300, 10}));
  settle();
  EXPECT_EQ(heat()->style.high, hovered);
}

TEST_F(ExploreWindowTest, PanelsAndMarksDraw) {
  for (const char* action : {"panel.head_statistics", "attention.contours", "attention.outliers"}) EXPECT_TRUE(run(action)) << action;
}

TEST_F(ExploreWindowTest, WindowSizesDraw) {
  EXPECT_TRUE(run("panel.head_statistics"));
  EXPECT_TRUE(run("panel.windows"));
}

TEST_F(ExploreWindowTest, RandomActionsLeaveNoErrors) {
  std::mt19937 random(7);
  std::vector<std::string> ids;
  for (const Action& action : viewer->workspace().actions.all()) {
    const bool ours = action.id.starts_with("attention.") || action.id.starts_with("panel.") || action.id.starts_with("view.quad") ||
                      action.id.starts_with("view.curtain") || action.id.starts_with("edit.") || action.id.starts_with("tool.");
    if (ours && !action.id.starts_with("attention.encode")) ids.push_back(action.id);
  }
  for (int step = 0; step < 120; ++step) {
    viewer->workspace().actions.run(ids[random() % ids.size()]);
    if (step % 4 == 0) click(on_screen({static_cast<double>(random() % 320), static_cast<double>(random() % 240)}));
    frame();
    ASSERT_EQ(gl::take_error(), "") << step;
  }
}

TEST_F(ExploreWindowTest, AnotherImageForgetsWhatWasEncoded) {
  viewer->close();
  settle();
  EXPECT_EQ(heat(), nullptr);
  viewer->open(*folder / "waves.png");
  viewer->workspace().comparison = {};              // the random actions may have left a curtain where the click goes
  run("tool.pick");
  viewer->workspace().messages.clear();
  click(on_screen({163, 117}));
  settle();
  EXPECT_EQ(heat(), nullptr);
  ASSERT_FALSE(viewer->workspace().messages.all().empty());
  EXPECT_NE(viewer->workspace().messages.all().back().text.find("Nothing is encoded"), std::string::npos);
}

}  // namespace
}  // namespace fovea::explore
