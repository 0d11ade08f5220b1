// Windows whose OpenGL context is lost: what becomes of the window, and of a program that can have no other one.
#include <GLFW/glfw3.h>
#include <gtest/gtest.h>
#include <imgui.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "app/viewer/gl_context.h"
#include "app/viewer/gl_objects.h"
#include "app/viewer/main_loop.h"
#include "app/viewer/project/project_file.h"
#include "app/viewer/resources.h"
#include "core/image/writers.h"
#include "tests/support/temporary_folder.h"

namespace fovea {
namespace {

GLenum say_reset() { return 0x8255; }   // GL_UNKNOWN_CONTEXT_RESET

void take_context_away() {
  gl::reset_status = say_reset;
  glfwMakeContextCurrent(nullptr);
}

TEST(Context, IsRobustWhereTheDriverOffersIt) {
  const Window window({.width = 64, .height = 48, .visibility = Visibility::kHidden, .scale = 1});
  const bool robust = glfwGetWindowAttrib(window.handle(), GLFW_CONTEXT_ROBUSTNESS) == GLFW_LOSE_CONTEXT_ON_RESET;
  EXPECT_EQ(gl::reset_status != nullptr, robust) << "the driver's word is asked for exactly where it is to be had";
  EXPECT_FALSE(gl::context_lost());
  RecordProperty("robust", robust);
}

TEST(Context, NamesOfALostOneAreNoNames) {
  Window window({.width = 64, .height = 48, .visibility = Visibility::kHidden, .scale = 1});
  gl::Texture old = gl::create_texture();
  glBindTexture(GL_TEXTURE_2D, old.id());
  const GLuint id = old.id();
  ASSERT_NE(id, 0u);
  window.drop_context();
  EXPECT_FALSE(old);
  window.make_context();
  EXPECT_FALSE(old);
  std::vector<gl::Texture> later;
  while (later.empty() || later.back().id() < id) {   // until the same name is given again
    later.push_back(gl::create_texture());
    glBindTexture(GL_TEXTURE_2D, later.back().id());
  }
  ASSERT_EQ(later.back().id(), id);
  old.reset();
  EXPECT_EQ(glIsTexture(id), GL_TRUE) << "it is another's now";
  later.back().reset();
  EXPECT_EQ(glIsTexture(id), GL_FALSE);
  EXPECT_EQ(gl::take_error(), "");
}

TEST(Context, OffScreenItIsMadeAnewToo) {
  std::unique_ptr<Window> window;
  try {
    window = std::make_unique<Window>(WindowOptions{.width = 64, .height = 48, .visibility = Visibility::kOffScreen, .scale = 1});
  } catch (const Error& error) {
    GTEST_SKIP() << error.what();
  }
  const auto draw = [&] {
    window->begin_frame();
    ImGui::GetForegroundDrawList()->AddRectFilled({8, 8}, {40, 40}, IM_COL32(255, 128, 0, 255));
    window->render();
    return window->read();
  };
  draw();
  const ImageU8 before = draw();
  EXPECT_EQ(before.row(20)[3 * 20], 255);
  window->drop_context();
  window->make_context();
  draw();
  const ImageU8 after = draw();
  EXPECT_TRUE(std::ranges::equal(before.samples(), after.samples()));
  EXPECT_EQ(gl::take_error(), "");
}

// The display server may start anew when its only client goes: some attempts then fail.
TEST(Context, IsHadFromTheDisplayOnWhereItCannotBeHadOtherwise) {
  Window window({.width = 64, .height = 48, .visibility = Visibility::kHidden, .scale = 1});
  window.drop_context();
  glfwWindowHint(GLFW_CLIENT_API, GLFW_NO_API);
  EXPECT_THROW(window.make_context(), Error);
  bool made = false;
  for (int attempt = 0; attempt < 100 && !made; ++attempt) {
    try {
      window.make_context();
      made = true;
    } catch (const Error& error) {
      EXPECT_TRUE(std::string(error.what()).starts_with("no display")) << error.what();
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
    }
  }
  ASSERT_TRUE(made);
  const gl::Texture texture = gl::create_texture();
  EXPECT_TRUE(texture);
  EXPECT_EQ(gl::take_error(), "");
}

struct Stand {
  int x = 0, y = 0, width = 0, height = 0;
  bool operator==(const Stand&) const = default;
};

Stand stand(const Window& window) {
  Stand now;
  glfwGetWindowPos(window.handle(), &now.x, &now.y);
  glfwGetWindowSize(window.handle(), &now.width, &now.height);
  return now;
}

TEST(Context, TheNewWindowStandsWhereTheOldOneStood) {
  Window window({.title = "Anew", .width = 320, .height = 200, .visibility = Visibility::kVisible, .scale = 1});
  glfwSetWindowPos(window.handle(), 37, 53);
  glfwSetWindowSize(window.handle(), 400, 300);
  window.poll(0.1);
  const Stand before = stand(window);
  ASSERT_EQ(before, (Stand{37, 53, 400, 300}));
  window.set_title("Renamed");
  window.drop_context();
  window.make_context();
  window.poll(0.1);
  EXPECT_EQ(stand(window), before);
  EXPECT_EQ(window.title(), "Renamed");
  EXPECT_EQ(glfwGetWindowAttrib(window.handle(), GLFW_VISIBLE), GLFW_TRUE);
  EXPECT_EQ(gl::take_error(), "");
}

TEST(Context, FullScreenStaysAndLeadsBackToTheSameWindow) {
  Window window({.width = 320, .height = 200, .visibility = Visibility::kVisible, .scale = 1});
  glfwSetWindowPos(window.handle(), 37, 53);
  window.poll(0.1);
  window.toggle_full_screen();
  if (!window.full_screen()) GTEST_SKIP() << "this display has no monitor";
  window.poll(0.1);
  const Stand full = stand(window);
  window.drop_context();
  window.make_context();
  window.poll(0.1);
  EXPECT_TRUE(window.full_screen());
  EXPECT_EQ(stand(window), full);
  window.toggle_full_screen();
  window.poll(0.1);
  EXPECT_EQ(stand(window), (Stand{37, 53, 320, 200}));
}

// A program of its own, in a folder of its own: nothing of a person's.
class LostProgram : public testing::Test {
 protected:
  LostProgram() {
    ::setenv("XDG_CONFIG_HOME", (folder_ / "config").c_str(), 1);
    ::setenv("XDG_CACHE_HOME", (folder_ / "cache").c_str(), 1);
    ImageU8 picture(300, 200, 3);
    for (std::size_t i = 0; i < picture.samples().size(); ++i) picture.samples()[i] = static_cast<std::uint8_t>(i * 7);
    write_png(folder_ / "picture.png", picture);
  }
  ~LostProgram() override { ::setenv("DISPLAY", display_.c_str(), 1); }

  // Runs until an error ends it; what the error says.
  std::string run(const ContextRecovery::Patience& patience, std::function<void()> after_a_change) {
    Window window({.width = 400, .height = 300, .visibility = Visibility::kHidden, .scale = 1});
    Viewer viewer(window);
    viewer.open(folder_ / "picture.png");
    bool changed = false;
    const auto drawn = [&] {
      if (!viewer.settled()) return true;
      if (!std::exchange(changed, true)) {
        viewer.workspace().layers.at(0).style.high = 0.5f;
        viewer.workspace().history.touch("Change contrast");
        return true;
      }
      after_a_change();
      return true;
    };
    try {
      run_main_loop(window, viewer, {.drawn = drawn, .patience = patience});
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kEnvironment);   // exit code 3
      return error.what();
    }
    return "";
  }
  void expect_recovery_file() const {
    const Autosave kept = load_autosave(own_autosave(user_cache_folder() / "projects"));
    EXPECT_EQ(kept.project.image, folder_ / "picture.png");
    EXPECT_NE(kept.project.sections.dump().find("0.5"), std::string::npos) << kept.project.sections.dump();
  }
  const test::TemporaryFolder folder_;
  const std::string display_ = std::getenv("DISPLAY") ? std::getenv("DISPLAY") : "";
};

TEST_F(LostProgram, WithoutAnotherContextEndsAndKeepsWhatWasNotSaved) {
  const std::string error = run({.attempts = 3, .between_attempts = std::chrono::milliseconds(1)}, [] {
    glfwWindowHint(GLFW_CLIENT_API, GLFW_NO_API);   // the first attempt: a window, but no OpenGL
    ::setenv("DISPLAY", ":nowhere", 1);             // the others
    take_context_away();
  });
  EXPECT_TRUE(error.starts_with("the graphics driver was reset and there is no other window to be had: no display")) << error;
  EXPECT_EQ(error.find('\n'), std::string::npos);
  expect_recovery_file();
}

TEST_F(LostProgram, EndsWhenItIsLostAgainAndAgain) {
  int losses = 0;
  const std::string error = run({.losses = 3}, [&] {
    ++losses;
    take_context_away();
  });
  EXPECT_EQ(losses, 3);
  EXPECT_TRUE(error.starts_with("the graphics driver was reset 3 times within 60 s; ")) << error;
  EXPECT_EQ(error.find('\n'), std::string::npos);
  expect_recovery_file();
}

}  // namespace
}  // namespace fovea
