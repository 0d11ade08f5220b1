#include "app/viewer/viewer.h"

#include <imgui_internal.h>   // the queue of input

#include <algorithm>
#include <chrono>
#include <cmath>

#include "app/viewer/actions/menu_bar.h"
#include "app/viewer/actions/view_actions.h"
#include "app/viewer/canvas/tool_bar.h"
#include "app/viewer/layers/image_layer.h"
#include "app/viewer/panels/histogram_panel.h"
#include "app/viewer/panels/layers_panel.h"
#include "app/viewer/panels/start_page.h"
#include "app/viewer/panels/status_line.h"
#include "app/viewer/panels/toasts.h"
#include "app/viewer/project/layer_section.h"
#include "app/viewer/project/project_file.h"
#include "app/viewer/resources.h"
#include "core/image/pyramid.h"

namespace fovea {
namespace {

constexpr int kFramesAfterInput = 2;    // what a key or a click changes is seen in the next frame, what follows from that one later
constexpr float kStatusHeight = 1.6f;   // lines of text

}  // namespace

double Viewer::steady_seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

Viewer::Viewer(Window& window, Clock clock)
    : window_(window),
      clock_(std::move(clock)),
      pool_(Settings{}.video_memory_bytes),
      cache_(Settings{}.memory_bytes),
      workspace_({.pool = &pool_,
                  .cache = &cache_,
                  .shaders = shader_folder(),
                  .wake = Window::wake,
                  .bury = [this](std::shared_ptr<void> object) { graveyard_.bury(std::move(object)); }}),
      painter_(shader_folder()),
      canvas_(workspace_, painter_),
      palette_(workspace_.actions),
      help_(workspace_.actions),
      last_frame_s_(clock_()) {
  connect_workspace();
  workspace_.settings = load_settings(user_config_folder() / "viewer.json");
  pool_.set_budget_bytes(workspace_.settings.video_memory_bytes);
  cache_.set_budget_bytes(workspace_.settings.memory_bytes);
  load_fonts();
  apply_theme(workspace_.settings.theme, window_.scale());
  add_file_actions();
  add_window_actions();
  add_edit_actions(workspace_);
  add_view_actions(workspace_);
  add_layer_actions(workspace_);
  add_layers_panel(workspace_);
  add_histogram_panel(workspace_);
  add_statistics_panel(workspace_, frame_times_);
  add_log_panel(workspace_);
  features_ = install_features(workspace_);
  workspace_.sections.add(layer_section(workspace_));   // last: the layers of the features are there when it is loaded
  workspace_.history.reset();
}

// What features ask of the window.
void Viewer::connect_workspace() {
  workspace_.main_thread.wake = Window::wake;
  workspace_.ask_file = [this](FileQuestion question) {
    dialog_.ask(std::move(question), workspace_.settings.system_dialogs ? FileDialog::Kind::kSystem : FileDialog::Kind::kOwn);
  };
  workspace_.open = [this](const std::filesystem::path& path) { return open(path); };
  workspace_.set_title = [this](const std::string& title) { window_.set_title(title); };
  workspace_.quit = [this] { window_.request_close(true); };
  workspace_.keep_settings = [this] { keep_settings(); };
  workspace_.capture_view = [this](std::function<void(ImageU8)> taken) {
    captures_.push_back(std::move(taken));
    Window::wake();
  };
}

void Viewer::keep_settings() {
  workspace_.settings.video_memory_bytes = pool_.budget_bytes();
  workspace_.settings.memory_bytes = cache_.budget_bytes();
  try {
    save_settings(user_config_folder() / "viewer.json", workspace_.settings);
  } catch (const Error& error) {
    workspace_.messages.warn(error.what());
  }
}

bool Viewer::open(const std::filesystem::path& path) {
  std::error_code no_such_folder;
  last_folder_ = std::filesystem::absolute(path, no_such_folder).parent_path();
  for (const auto& opener : workspace_.openers) {
    if (opener(path)) return true;
  }
  if (open_image_file(path)) return true;
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored) && workspace_.settings.forget(std::filesystem::absolute(path, ignored))) keep_settings();
  return false;
}

bool Viewer::open_image_file(const std::filesystem::path& path) {
  try {
    const auto folder = user_cache_folder() / "pyramids", cache_file = pyramid_cache_file(path, folder);
    auto layer = std::make_unique<ImageLayer>(path, cache_file, workspace_.tiles);
    graveyard_.bury(std::shared_ptr<void>(nullptr, [folder, cache_file, budget_bytes = workspace_.settings.pyramid_cache_bytes](void*) {
      trim_pyramids(folder, budget_bytes, cache_file);   // reads a folder: not on this thread
    }));
    workspace_.layers.clear();
    workspace_.image = {std::filesystem::absolute(path), layer->info(), cache_file.stem().string()};
    workspace_.camera.set_image({static_cast<double>(layer->info().width), static_cast<double>(layer->info().height)});
    workspace_.layers.add(std::move(layer));
    file_watch_.start(workspace_.image->path);
    window_.set_title(path.filename().string() + " – Fovea");
    workspace_.messages.note("Opened " + path.string());
    workspace_.settings.remember(workspace_.image->path);
    keep_settings();
  } catch (const Error& error) {
    workspace_.messages.error(error.what(), {"Open another…", [this] { ask_for_image(); }});
    return false;
  }
  for (const auto& changed : workspace_.on_image_changed) changed();
  workspace_.history.reset();
  return true;
}

void Viewer::close() {
  workspace_.layers.clear();
  workspace_.image.reset();
  file_watch_.stop();
  window_.set_title("Fovea");
  for (const auto& changed : workspace_.on_image_changed) changed();
  workspace_.history.reset();
}

// 16 bits rarely use their whole range: such an image is shown by its own values, once all of them are known, unless somebody chose
// others before that. Returns whether that changed the picture, which is drawn already.
bool Viewer::settle_contrast() {
  auto* image = dynamic_cast<ImageLayer*>(workspace_.layers.find("image"));
  if (!image || !image->contrast_is_open || !image->complete()) return false;
  image->contrast_is_open = false;
  if (image->style.low != 0 || image->style.high != 1) return false;
  image->stretch_contrast(image->histogram());
  if (!workspace_.history.modified()) workspace_.history.reset();   // it is how the image opens, not a change to it
  return true;
}

// ImGui takes one change of a key in a frame and leaves what was typed since for the next ones: an idle window would keep it waiting.
bool Viewer::input_is_under_way() {
  const ImGuiContext& imgui = *ImGui::GetCurrentContext();
  if (!imgui.InputEventsTrail.empty()) frames_after_input_ = kFramesAfterInput;
  else if (frames_after_input_ > 0) --frames_after_input_;
  return !imgui.InputEventsQueue.empty() || frames_after_input_ > 0;
}

bool Viewer::frame() {
  const double began_s = steady_seconds(), now_s = clock_(), elapsed_s = now_s - last_frame_s_;
  last_frame_s_ = now_s;
  pool_.begin_frame();
  for (const auto& path : window_.take_dropped_files()) open(path);
  workspace_.main_thread.run_posted();
  hold_back_quitting();
  bool again = false;
  for (const auto& every_frame : workspace_.every_frame) again |= every_frame();

  workspace_.comparison.peeking = !ImGui::GetIO().WantTextInput && ImGui::IsKeyDown(ImGuiKey_GraveAccent);
  show_menu_bar(workspace_.actions, {{"File", [this] { show_recent_menu(); }}}, [this] { show_tool_bar(workspace_.tools); });
  const ImGuiViewport& viewport = *ImGui::GetMainViewport();
  const float status_height = kStatusHeight * ImGui::GetTextLineHeightWithSpacing();
  workspace_.panels.show(viewport.WorkPos, {viewport.WorkSize.x, viewport.WorkSize.y - status_height}, kCanvasWindow);
  const CanvasState state = show_canvas(now_s, elapsed_s);
  again |= settle_contrast();

  if (captures_.empty() && !capturing_) {
    show_toasts(workspace_.messages, state.origin, state.size);   // gone by themselves in an idle window's look
  }
  workspace_.actions.handle_shortcuts();
  palette_.show();
  help_.show();
  dialog_.show();
  show_status_line(workspace_, state, {viewport.WorkPos.x, viewport.WorkPos.y + viewport.WorkSize.y - status_height},
                   {viewport.WorkSize.x, status_height});

  if (!chosen_.empty()) open(std::exchange(chosen_, {}));
  collect_errors();
  if (std::string news = file_watch_.look(now_s); !news.empty()) workspace_.messages.error(std::move(news));
  workspace_.history.settle(ImGui::IsAnyItemActive() ? History::Hands::kBusy : History::Hands::kFree);
  const bool complete =
      std::ranges::all_of(workspace_.layers.all(), [](const auto& layer) { return !layer->style.visible || layer->complete(); });
  again |= state.needs_frame || !captures_.empty() || input_is_under_way();
  frame_times_.add((steady_seconds() - began_s) * 1e3);
  const bool busy = std::ranges::any_of(features_, [](const auto& feature) { return feature->busy(); });
  settled_ = ++frames_ > 3 && !again && !busy &&   // windows find their places in the first frames
             (complete || !workspace_.messages.last_error().empty());
  return again;
}

void Viewer::context_renewed() {
  pool_.forget_all();
  painter_ = LayerPainter(shader_folder());
  for (const auto& renewed : workspace_.on_context_renewed) renewed();
  frames_ = 0;   // not settled before it was drawn
  settled_ = false;
}

void Viewer::keep_unsaved() {
  for (const auto& failed : workspace_.on_failure) failed();
}

void Viewer::hold_back_quitting() {
  if (!window_.should_close()) return;
  if (!std::ranges::all_of(workspace_.may_quit, [](const auto& may) { return may(); })) window_.request_close(false);
}

CanvasState Viewer::show_canvas(double now_s, double elapsed_s) {
  ImGui::PushStyleVar(ImGuiStyleVar_WindowPadding, ImVec2(0, 0));
  ImGui::Begin(kCanvasWindow, nullptr, ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_NoMove);
  const auto captures = std::exchange(captures_, {});
  capturing_ = !captures.empty();
  const CanvasState state = canvas_.show(now_s, elapsed_s, captures.empty() ? CanvasFurniture::kAll : CanvasFurniture::kPictureOnly);
  const float density = ImGui::GetIO().DisplayFramebufferScale.x > 0 ? ImGui::GetIO().DisplayFramebufferScale.x : 1;
  const auto pixels = [&](float points) { return static_cast<std::int64_t>(std::lround(points * density)); };
  for (const auto& taken : captures) {
    window_.capture({pixels(state.origin.x), pixels(state.origin.y), pixels(state.size.x), pixels(state.size.y)}, taken);
  }
  if (!workspace_.image) chosen_ = show_start_page(workspace_);
  ImGui::End();
  ImGui::PopStyleVar();
  return state;
}

void Viewer::collect_errors() {
  std::int64_t held_bytes = 0;
  for (const auto& layer : workspace_.layers.all()) {
    auto* tiled = dynamic_cast<TiledLayer*>(layer.get());
    if (!tiled) continue;
    if (auto error = tiled->take_error(); !error.empty()) workspace_.messages.error(std::move(error));
    held_bytes += tiled->held_bytes();
    if (auto* image = dynamic_cast<ImageLayer*>(tiled)) {
      if (auto error = image->take_build_error(); !error.empty()) workspace_.messages.warn(std::move(error));
    }
  }
  cache_.set_reserved_bytes(held_bytes);
}

void Viewer::show_recent_menu() {
  if (!ImGui::BeginMenu("Open recent", !workspace_.settings.recent.empty())) return;
  std::filesystem::path chosen;
  for (const auto& path : workspace_.settings.recent) {
    if (ImGui::MenuItem(path.string().c_str())) chosen = path;
  }
  ImGui::EndMenu();
  if (!chosen.empty()) open(chosen);
}

void Viewer::set_theme(Theme theme) {
  workspace_.settings.theme = theme;
  apply_theme(theme, window_.scale());
  keep_settings();
}

void Viewer::ask_for_image() {
  std::vector<std::string> extensions = image_extensions();
  extensions.emplace_back(kProjectExtension);
  const auto& recent = workspace_.settings.recent;
  if (last_folder_.empty() && !recent.empty()) last_folder_ = recent.front().parent_path();
  std::error_code ignored;
  workspace_.ask_file({.purpose = FilePurpose::kOpen, .title = "Open image",
                       .start = std::filesystem::is_directory(last_folder_, ignored) ? last_folder_ : std::filesystem::path(),
                       .extensions = extensions, .chosen = [this](const std::filesystem::path& path) { open(path); }});
}

void Viewer::add_file_actions() {
  auto& actions = workspace_.actions;
  const auto has_image = [this] { return workspace_.image.has_value(); };
  actions.add({.id = "file.open", .title = "Open…", .group = "File", .shortcut = ImGuiMod_Ctrl | ImGuiKey_O, .tip = "Open an image",
               .run = [this] { ask_for_image(); }});
  actions.add({.id = "file.reload", .title = "Reload", .group = "File", .shortcut = ImGuiKey_F5,
               .tip = "Open the image again as it is now on the disk",
               .run = [this] {
                 workspace_.messages.clear();
                 open(std::filesystem::path(workspace_.image->path));
               },
               .enabled = has_image});
  actions.add({.id = "file.close", .title = "Close image", .group = "File", .shortcut = ImGuiMod_Ctrl | ImGuiKey_W,
               .run = [this] { close(); }, .enabled = has_image});
  actions.add({.id = "file.quit", .title = "Quit", .group = "File", .shortcut = ImGuiMod_Ctrl | ImGuiKey_Q,
               .run = [this] { window_.request_close(true); }});
}

// What is around the picture.
void Viewer::add_window_actions() {
  auto& actions = workspace_.actions;
  actions.add({.id = "help.palette", .title = "Command palette", .group = "Help", .shortcut = ImGuiMod_Ctrl | ImGuiMod_Shift | ImGuiKey_P,
               .tip = "Type a few letters of what you want", .run = [this] { palette_.open(); }});
  actions.add({.id = "help.keys", .title = "Keys and mouse", .group = "Help", .shortcut = ImGuiMod_Shift | ImGuiKey_Slash,
               .tip = "Also opened by ?",
               .run = [this] { help_.toggle(); }, .checked = [this] { return help_.is_open(); }});
  actions.add({.id = "view.light", .title = "Light theme", .group = "View",
               .run = [this] { set_theme(workspace_.settings.theme == Theme::kLight ? Theme::kDark : Theme::kLight); },
               .checked = [this] { return workspace_.settings.theme == Theme::kLight; }});
  actions.add({.id = "view.full_screen", .title = "Full screen", .group = "View", .shortcut = ImGuiKey_F,
               .run = [this] { window_.toggle_full_screen(); },
               .checked = [this] { return window_.full_screen(); }});
}

}  // namespace fovea
