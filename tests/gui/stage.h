// The viewer in a hidden window under Dear ImGui's test engine: what every flow plays on. One a process.
//
// Time is the stage's own, a sixtieth of a second a frame, so that movements and fading take as many frames on a slow machine as on a fast
// one. Flows run on the test engine's thread, which never runs beside the main one; whatever calls OpenGL is sent there with on_main().
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "app/viewer/context_recovery.h"
#include "app/viewer/viewer.h"
#include "tests/support/temporary_folder.h"

struct ImGuiTestContext;
struct ImGuiTestEngine;

namespace fovea::gui {

class Flow;

struct FlowEntry {
  const char* group;
  const char* name;
  void (*play)(Flow&);
};
// All flows of the program, in no order.
std::vector<FlowEntry>& flow_entries();

class Stage {
 public:
  Stage();
  ~Stage();
  Stage(const Stage&) = delete;
  Stage& operator=(const Stage&) = delete;

  // Plays the flows whose "group/name" contains the filter (empty: all). Returns whether there were some and none failed.
  // FOVEA_SCREENSHOTS=FOLDER keeps a picture of the end of each.
  bool play(const std::string& filter);

  Window& window() { return *window_; }
  Viewer& viewer() { return *viewer_; }
  const test::TemporaryFolder& folder() const { return folder_; }

  // From a flow: done before this returns, in the next frame of the main thread.
  void on_main(ImGuiTestContext& imgui, std::function<void()> work);
  // From a flow: frames until the condition holds; while nothing moves on the screen the main thread sleeps until a worker wakes it.
  // False after two minutes.
  bool wait(ImGuiTestContext& imgui, const std::function<bool()>& condition);
  // First OpenGL error since the last call, with the frame's number; "" if none.
  std::string take_gl_error();
  // From a flow: what the whole window looks like.
  ImageU8 picture(ImGuiTestContext& imgui);

 private:
  void frame();
  // The test engine gives ImGui, after every flow, the settings from before it: among them the back ends of a context that is gone since.
  struct BackEnds {
    void* platform = nullptr;
    void* renderer = nullptr;
  };
  static BackEnds back_ends();
  void put_back_ends() const;
  void start(Flow& flow);
  void finish(const FlowEntry& entry, Flow& flow);

  test::TemporaryFolder folder_;
  ImGuiTestEngine* engine_ = nullptr;
  std::unique_ptr<Window> window_;
  std::unique_ptr<Viewer> viewer_;
  std::unique_ptr<ContextRecovery> recovery_;
  BackEnds back_ends_;
  std::function<void()> work_;
  nlohmann::json beginning_;             // what the project would keep at the start
  std::string gl_error_;
  int frames_ = 0;
  bool waiting_ = false, moving_ = true;
};

}  // namespace fovea::gui
