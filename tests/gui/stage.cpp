#include "tests/gui/stage.h"

#include <imgui_impl_opengl3.h>
#include <imgui_te_engine.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "app/viewer/gl_objects.h"
#include "core/image/writers.h"
#include "tests/gui/flow.h"
#include "tests/gui/pictures.h"

namespace fovea::gui {
namespace {

constexpr double kFrame_s = 1.0 / 60;
constexpr double kIdle_s = 0.05;               // a worker's wake ends it sooner
constexpr auto kPatience = std::chrono::minutes(2);
constexpr int kWidth = 800, kHeight = 480;       // a software renderer pays by the pixel

// A person's settings are neither read nor written.
void leave_home(const std::filesystem::path& folder) {
  ::setenv("XDG_CONFIG_HOME", (folder / "config").c_str(), 1);
  ::setenv("XDG_CACHE_HOME", (folder / "cache").c_str(), 1);
  ::setenv("PATH", "/nowhere", 1);   // no program for file dialogs is found: the viewer's own is what opens
}

}  // namespace

std::vector<FlowEntry>& flow_entries() {
  static std::vector<FlowEntry> entries;
  return entries;
}

Stage::Stage() {
  leave_home(folder_ / "");
  write_pictures(folder_ / "");
  const char* scale = std::getenv("FOVEA_SCALE");
  window_ = std::make_unique<Window>(
      WindowOptions{.width = kWidth, .height = kHeight, .visibility = Visibility::kHidden, .scale = scale ? std::strtof(scale, nullptr) : 1});
  back_ends_ = back_ends();
  engine_ = ImGuiTestEngine_CreateContext();
  ImGuiTestEngineIO& io = ImGuiTestEngine_GetIO(engine_);
  io.ConfigRunSpeed = ImGuiTestRunSpeed_Fast;
  io.ConfigSavedSettings = false;
  io.ConfigLogToTTY = true;
  io.ConfigVerboseLevelOnError = ImGuiTestVerboseLevel_Debug;
  io.ConfigFixedDeltaTime = static_cast<float>(kFrame_s);
  io.ConfigWatchdogWarning = io.ConfigWatchdogKillTest = io.ConfigWatchdogKillApp = FLT_MAX;   // wait() has its own, by the clock
  io.ConfigMouseDrawCursor = false;
  viewer_ = std::make_unique<Viewer>(*window_, [this] { return frames_ * kFrame_s; });
  recovery_ = std::make_unique<ContextRecovery>(*window_, *viewer_, ContextRecovery::Patience{.attempts = 5, .between_attempts = {}, .losses = 1000});
  viewer_->open(folder_ / "waves.png");
  beginning_ = viewer_->workspace().sections.save();
  ImGuiTestEngine_Start(engine_, ImGui::GetCurrentContext());
  ImGuiTestEngine_InstallDefaultCrashHandler();
}

Stage::~Stage() {
  ImGuiTestEngine_Stop(engine_);
  put_back_ends();
  viewer_.reset();
  window_.reset();   // and ImGui's context with it, which has to go before the engine's
  ImGuiTestEngine_DestroyContext(engine_);
}

Stage::BackEnds Stage::back_ends() { return {ImGui::GetIO().BackendPlatformUserData, ImGui::GetIO().BackendRendererUserData}; }

void Stage::put_back_ends() const {
  ImGui::GetIO().BackendPlatformUserData = back_ends_.platform;
  ImGui::GetIO().BackendRendererUserData = back_ends_.renderer;
}

bool Stage::play(const std::string& filter) {
  auto& entries = flow_entries();
  std::ranges::sort(entries, {}, [](const FlowEntry& entry) { return std::string(entry.group) + "/" + entry.name; });
  for (const FlowEntry& entry : entries) {
    if ((std::string(entry.group) + "/" + entry.name).find(filter) == std::string::npos) continue;
    ImGuiTest* test = IM_REGISTER_TEST(engine_, entry.group, entry.name);
    test->TestFunc = [this, entry](ImGuiTestContext* imgui) {
      Flow flow(*this, *imgui);
      start(flow);
      if (!imgui->IsError()) entry.play(flow);
      finish(entry, flow);
    };
    ImGuiTestEngine_QueueTest(engine_, test, ImGuiTestRunFlags_RunFromCommandLine);
  }
  do frame();
  while (!ImGuiTestEngine_IsTestQueueEmpty(engine_));
  ImGuiTestEngineResultSummary summary;
  ImGuiTestEngine_GetResultSummary(engine_, &summary);
  std::printf("%d flows, %d failed, %d frames\n", summary.CountTested, summary.CountTested - summary.CountSuccess, frames_);
  return summary.CountTested > 0 && summary.CountSuccess == summary.CountTested && summary.CountInQueue == 0;
}

void Stage::frame() {
  window_->poll(waiting_ && !moving_ ? kIdle_s : 0);
  ++frames_;
  put_back_ends();
  if (recovery_->look()) back_ends_ = back_ends();
  window_->begin_frame();
  if (work_) std::exchange(work_, nullptr)();
  moving_ = viewer_->frame();
  window_->collect();
  ImGuiTestEngine_PreSwap(engine_);
  // ImGui's own triangles take a software renderer longer than everything else: they are drawn only where a flow or the viewer reads them.
  for (ImTextureData* texture : ImGui::GetPlatformIO().Textures) {
    if (texture->Status != ImTextureStatus_OK) ImGui_ImplOpenGL3_UpdateTexture(texture);
  }
  if (window_->has_to_capture()) window_->draw_collected();
  ImGuiTestEngine_PostSwap(engine_);
  if (const std::string error = gl::take_error(); !error.empty() && gl_error_.empty()) gl_error_ = error + " in frame " + std::to_string(frames_);
}

void Stage::on_main(ImGuiTestContext& imgui, std::function<void()> work) {
  work_ = std::move(work);
  while (work_) imgui.Yield();
}

bool Stage::wait(ImGuiTestContext& imgui, const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  waiting_ = true;
  bool holds = condition();
  while (!holds && !imgui.IsError() && std::chrono::steady_clock::now() < deadline) {
    imgui.Yield();
    holds = condition();
  }
  waiting_ = false;
  return holds;
}

std::string Stage::take_gl_error() { return std::exchange(gl_error_, {}); }

ImageU8 Stage::picture(ImGuiTestContext& imgui) {
  ImageU8 picture;
  on_main(imgui, [&] { window_->capture({0, 0, 1 << 16, 1 << 16}, [&](ImageU8 taken) { picture = std::move(taken); }); });
  while (picture.empty()) imgui.Yield();
  return picture;
}

// The same beginning for every flow, whatever the one before left behind: the default image in a window as after the start. An image that is
// open already stays, and what was encoded of it: a second and more of two cores.
void Stage::start(Flow& flow) {
  flow.ui.PopupCloseAll();
  flow.resize(kWidth, kHeight);
  on_main(flow.ui, [this] {
    Workspace& workspace = viewer_->workspace();
    const auto image = std::filesystem::absolute(folder_ / "waves.png");
    workspace.actions.run("attention.cancel");
    workspace.messages.clear();
    workspace.comparison = {};
    workspace.settings = {};
    workspace.tools.activate("pan");
    workspace.panels.reset_layout();
    if (!workspace.image || workspace.image->path != image) viewer_->open(image);
    while (workspace.layers.size() > 1) workspace.layers.remove(workspace.layers.at(1).id);
    workspace.sections.load(beginning_);
    workspace.camera.fit();
    workspace.camera.jump_to_target();
    workspace.history.reset();
    take_gl_error();
  });
  flow.settle();
}

void Stage::finish(const FlowEntry& entry, Flow& flow) {
  flow.settle();
  const std::string error = flow.last_error(), gl_error = take_gl_error();
  IM_CHECK_STR_EQ_NO_RET(error.c_str(), "");
  IM_CHECK_STR_EQ_NO_RET(gl_error.c_str(), "");
  if (const char* screenshots = std::getenv("FOVEA_SCREENSHOTS")) {
    const auto path = std::filesystem::path(screenshots) / (std::string(entry.group) + "-" + entry.name + ".png");
    write_png(path, picture(flow.ui));
  }
}

}  // namespace fovea::gui
