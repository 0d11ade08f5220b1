#include "app/viewer/project/project_feature.h"

#include <imgui_internal.h>   // FindWindowByName

#include <algorithm>
#include <chrono>
#include <thread>

#include "app/viewer/export/export_feature.h"
#include "app/viewer/project/view_sections.h"
#include "app/viewer/resources.h"
#include "app/viewer/theme.h"

namespace fovea {
namespace {

constexpr double kRest_s = 1;              // after a change, before it is kept: a drag is one change
constexpr const char* kQuestion = "Save changes?";
constexpr const char* kUnsaved = "unsaved.fovea";   // what the last session did not save

}  // namespace

ProjectFeature::ProjectFeature(Workspace& workspace, std::filesystem::path folder)
    : workspace_(workspace), folder_(std::move(folder)), abandoned_(find_abandoned_autosave(folder_)),
      job_([wake = workspace.main_thread.wake] { if (wake) wake(); }) {
  try {
    if (!abandoned_.empty()) abandoned_name_ = load_autosave(abandoned_).project.image.filename().string();
  } catch (const Error&) {
    abandoned_.clear();   // the crash spoilt it: nothing to offer
  }
  add_actions();
  for (auto section : {camera_section, comparison_section, model_section}) workspace_.sections.add(section(workspace_));
  workspace_.openers.push_back([this](const std::filesystem::path& file) {
    if (file.extension() != kProjectExtension) return false;
    open(file);
    return true;
  });
  workspace_.may_quit.push_back([this] {
    if (path_.empty() || !workspace_.history.modified() || close_anyway_) return true;
    asking_ = true;
    return false;
  });
  workspace_.on_image_changed.push_back([this] {
    std::error_code ignored;
    if (!opening_ && std::filesystem::exists(own_autosave(folder_), ignored)) {
      std::filesystem::rename(own_autosave(folder_), folder_ / kUnsaved, ignored);
    }
    if (!opening_) path_.clear();
    workspace_.comparison = {};
    title_.clear();
    changed_at_s_ = -1;
  });
  workspace_.on_failure.push_back([this] { keep_for_next_start(); });
  workspace_.every_frame.push_back([this] { return every_frame(); });
}

// What a session without a project changed can be had again; with one, the person was asked.
ProjectFeature::~ProjectFeature() {
  if (failed_) return;
  std::error_code ignored;
  try {
    if (path_.empty() && workspace_.image && workspace_.history.modified()) save_autosave(folder_ / kUnsaved, now(), path_);
  } catch (const std::exception&) {
    // nothing that could still be told
  }
  std::filesystem::remove(own_autosave(folder_), ignored);
}

void ProjectFeature::add_actions() {
  const auto has_image = [this] { return workspace_.image.has_value(); };
  workspace_.actions.add({.id = "project.save", .title = "Save project", .group = "File", .shortcut = ImGuiMod_Ctrl | ImGuiKey_S,
                          .tip = "Layers, what is asked of the model, and where you look, to go on later",
                          .run = [this] {
                            if (path_.empty()) ask_where();
                            else save(path_);
                          },
                          .enabled = has_image});
  workspace_.actions.add({.id = "project.save_as", .title = "Save project as…", .group = "File", .run = [this] { ask_where(); },
                          .enabled = has_image});
  workspace_.actions.add({.id = "project.restore", .title = "Restore what was not saved", .group = "File",
                          .tip = "The last image that was changed without saving a project, as it was",
                          .run = [this] { restore(folder_ / kUnsaved); },
                          .enabled = [this] {
                            std::error_code ignored;
                            return std::filesystem::exists(folder_ / kUnsaved, ignored);
                          }});
}

void ProjectFeature::ask_where() {
  const std::filesystem::path suggested = path_.empty() ? suggested_file(workspace_, kProjectExtension) : path_;
  workspace_.ask_file({.purpose = FilePurpose::kSave, .title = "Save project", .start = suggested, .extensions = {kProjectExtension},
                       .chosen = [this](const std::filesystem::path& file) { save(file); }});
}

ProjectFile ProjectFeature::now() const { return {workspace_.image->path, workspace_.image->key, workspace_.sections.save()}; }

bool ProjectFeature::save(const std::filesystem::path& path) {
  if (!workspace_.image) return false;
  try {
    save_project(path, now());
  } catch (const Error& error) {
    workspace_.messages.error(std::string(error.what()) + "; choose another place: File, Save project as");
    return false;
  }
  path_ = std::filesystem::absolute(path);
  workspace_.history.mark_saved();
  workspace_.messages.info("Saved " + path.string());
  workspace_.settings.remember(path_);
  workspace_.keep_settings();
  std::error_code ignored;
  std::filesystem::remove(own_autosave(folder_), ignored);
  return true;
}

bool ProjectFeature::open(const std::filesystem::path& path) {
  try {
    return take(load_project(path), std::filesystem::absolute(path), path);
  } catch (const Error& error) {
    workspace_.messages.error(error.what());
    std::error_code ignored;
    if (!std::filesystem::exists(path, ignored) && workspace_.settings.forget(std::filesystem::absolute(path, ignored))) {
      workspace_.keep_settings();
    }
    return false;
  }
}

bool ProjectFeature::take(const ProjectFile& project, const std::filesystem::path& project_path, const std::filesystem::path& source) {
  std::error_code ignored;
  if (!std::filesystem::exists(project.image, ignored)) {
    workspace_.messages.error(source.filename().string() + ": its image is not there: " + project.image.string() +
                              "; put it back, or open the image and begin anew");
    return false;
  }
  opening_ = true;
  const bool opened = workspace_.open(project.image);
  opening_ = false;
  if (!opened) return false;
  if (!project.image_key.empty() && workspace_.image->key != project.image_key) {
    workspace_.messages.warn(project.image.filename().string() +
                             ": is not the image that this project was made with; results may not fit it");
  }
  workspace_.sections.load(project.sections);
  workspace_.history.reset();
  path_ = project_path;
  if (!path_.empty()) {
    workspace_.settings.remember(path_);
    workspace_.keep_settings();
  }
  return true;
}

// What cannot be had now, as when its image was moved, is offered again at the next start.
void ProjectFeature::restore(const std::filesystem::path& file) {
  try {
    const Autosave saved = load_autosave(file);
    if (!take(saved.project, saved.project_path, file)) return;
  } catch (const Error& error) {
    return workspace_.messages.error(error.what());
  }
  workspace_.history.touch("Restore");
  std::error_code ignored;
  std::filesystem::remove(file, ignored);
}

bool ProjectFeature::every_frame() {
  job_.poll();
  autosave();
  if (!workspace_.image) show_recovery();
  show_question();
  show_title();
  return false;
}

void ProjectFeature::autosave() {
  if (!workspace_.image || !workspace_.history.modified()) return;
  const double now_s = ImGui::GetTime();
  if (workspace_.history.revision() != seen_revision_) {
    seen_revision_ = workspace_.history.revision();
    changed_at_s_ = now_s;
  }
  if (changed_at_s_ < 0 || now_s - changed_at_s_ < kRest_s || job_.running()) return;
  changed_at_s_ = -1;
  job_.start([file = own_autosave(folder_), project = now(), path = path_](Progress&,
                                                                           const std::stop_token&) { save_autosave(file, project, path); },
             [this](const BackgroundJob::Outcome& outcome) {
               if (!outcome.error.empty()) workspace_.messages.warn(outcome.error + "; a crash would lose what you changed");
             });
}

// The next start then offers it.
void ProjectFeature::keep_for_next_start() {
  failed_ = true;
  while (job_.running()) {   // a file of a second ago must not come after this one
    job_.poll();
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  try {
    if (workspace_.image && workspace_.history.modified()) save_autosave(own_autosave(folder_), now(), path_);
  } catch (const std::exception&) {
    // what was kept a second after the last change stays
  }
}

// A dialog in the middle of the window, as all programs have it.
void ProjectFeature::show_question() {
  if (asking_) ImGui::OpenPopup(kQuestion);
  asking_ = false;
  const ImGuiViewport& viewport = *ImGui::GetMainViewport();
  ImGui::SetNextWindowPos({viewport.WorkPos.x + viewport.WorkSize.x / 2, viewport.WorkPos.y + viewport.WorkSize.y / 2}, ImGuiCond_Always,
                          {0.5f, 0.5f});
  if (!ImGui::BeginPopupModal(kQuestion, nullptr, ImGuiWindowFlags_AlwaysAutoResize)) return;
  ImGui::Text("%s has changes that are not saved.", path_.filename().c_str());
  ImGui::Spacing();
  const auto close = [&] {
    close_anyway_ = true;
    ImGui::CloseCurrentPopup();
    workspace_.quit();
  };
  if (ImGui::Button("Save")) {
    if (save(path_)) close();
    else ImGui::CloseCurrentPopup();
  }
  ImGui::SetItemDefaultFocus();
  ImGui::SameLine();
  if (ImGui::Button("Don't save")) close();
  ImGui::SameLine();
  if (ImGui::Button("Cancel") || ImGui::IsKeyPressed(ImGuiKey_Escape)) ImGui::CloseCurrentPopup();
  ImGui::EndPopup();
}

// On top of the start page, until it is answered.
void ProjectFeature::show_recovery() {
  if (abandoned_.empty()) return;
  const ImGuiWindow* canvas = ImGui::FindWindowByName(kCanvasWindow);   // the start page is drawn in it
  if (!canvas) return;
  ImGui::SetNextWindowPos({canvas->Pos.x + canvas->Size.x / 2, canvas->Pos.y + ImGui::GetFontSize()}, ImGuiCond_Always, {0.5f, 0});
  ImGui::Begin(
      "Recovery", nullptr,
      ImGuiWindowFlags_NoDecoration | ImGuiWindowFlags_AlwaysAutoResize | ImGuiWindowFlags_NoDocking | ImGuiWindowFlags_NoSavedSettings);
  ImGui::TextColored(theme_colours().warning, "The last session ended unexpectedly. What you had changed of %s was kept.",
                     abandoned_name_.c_str());
  const bool take_it = ImGui::Button("Restore");
  ImGui::SameLine();
  const bool discard = ImGui::Button("Discard");
  ImGui::End();
  if (!take_it && !discard) return;
  const std::filesystem::path file = std::exchange(abandoned_, {});
  std::error_code ignored;
  if (take_it) restore(file);
  else std::filesystem::remove(file, ignored);
}

void ProjectFeature::show_title() {
  if (!workspace_.image || path_.empty() || !workspace_.set_title) return;
  std::string title = path_.filename().string() + (workspace_.history.modified() ? " (changed)" : "") + " – Fovea";
  if (title == title_) return;
  title_ = std::move(title);
  workspace_.set_title(title_);
}

std::unique_ptr<Feature> make_project_feature(Workspace& workspace) {
  return std::make_unique<ProjectFeature>(workspace, user_cache_folder() / "projects");
}

}  // namespace fovea
