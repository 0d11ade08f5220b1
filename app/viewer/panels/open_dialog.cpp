#include "app/viewer/panels/open_dialog.h"

#include <imgui.h>
#include <misc/cpp/imgui_stdlib.h>
#include <portable_file_dialogs.h>

#include <algorithm>

#include "app/viewer/theme.h"
#include "core/image/image_source.h"

namespace fovea {
namespace {

constexpr const char* kPopup = "Open image";

}  // namespace

struct OpenDialog::Native {
  pfd::open_file dialog;
};

OpenDialog::OpenDialog(std::function<void(const std::filesystem::path&)> chosen) : chosen_(std::move(chosen)) {}
OpenDialog::~OpenDialog() {
  if (native_) native_->dialog.kill();   // its destructor would wait for the person
}

void OpenDialog::open(const std::filesystem::path& folder) {
  if (!pfd::settings::available()) return open_in_app(folder);
  if (!native_) native_.reset(new Native{pfd::open_file("Open image", folder.string())});
}

void OpenDialog::open_in_app(const std::filesystem::path& folder) {
  list(folder);
  opening_ = true;
}

void OpenDialog::show() {
  if (native_ && native_->dialog.ready(0)) {
    const auto files = native_->dialog.result();
    native_.reset();
    for (const std::string& file : files) chosen_(file);
  }
  show_in_app();
}

void OpenDialog::list(const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  folders_.clear();
  images_.clear();
  problem_.clear();
  std::error_code code;
  folder_ = fs::absolute(folder.empty() ? fs::current_path(code) : folder, code);
  typed_ = folder_.string();
  for (fs::directory_iterator entry(folder_, fs::directory_options::skip_permission_denied, code), end; !code && entry != end; entry.increment(code)) {
    std::error_code ignored;
    if (entry->path().filename().string().starts_with(".")) continue;
    if (entry->is_directory(ignored)) folders_.push_back(entry->path());
    else if (has_image_extension(entry->path())) images_.push_back(entry->path());
  }
  if (code) problem_ = folder_.string() + ": " + code.message();
  std::ranges::sort(folders_);
  std::ranges::sort(images_);
}

void OpenDialog::show_in_app() {
  if (opening_) ImGui::OpenPopup(kPopup);
  opening_ = false;
  const ImGuiViewport& viewport = *ImGui::GetMainViewport();
  const float font = ImGui::GetFontSize();
  ImGui::SetNextWindowPos({viewport.WorkPos.x + viewport.WorkSize.x / 2, viewport.WorkPos.y + viewport.WorkSize.y / 2}, ImGuiCond_Always, {0.5f, 0.5f});
  ImGui::SetNextWindowSize({std::min(viewport.WorkSize.x * 0.9f, font * 40), std::min(viewport.WorkSize.y * 0.9f, font * 30)});
  bool open = true;
  if (!ImGui::BeginPopupModal(kPopup, &open)) return;
  std::filesystem::path go, take;
  ImGui::SetNextItemWidth(-1);
  if (ImGui::InputText("##path", &typed_, ImGuiInputTextFlags_EnterReturnsTrue)) {
    std::error_code ignored;
    (std::filesystem::is_directory(typed_, ignored) ? go : take) = typed_;
  }
  ImGui::SetItemTooltip("A folder or a file; Enter goes there");
  if (ImGui::BeginChild("##files", {0, -ImGui::GetFrameHeightWithSpacing()}, ImGuiChildFlags_Borders)) {
    if (folder_.has_parent_path() && folder_.parent_path() != folder_ && ImGui::Selectable("..")) go = folder_.parent_path();
    for (const auto& path : folders_) {
      if (ImGui::Selectable((path.filename().string() + "/").c_str())) go = path;
    }
    for (const auto& path : images_) {
      if (ImGui::Selectable(path.filename().string().c_str())) take = path;
    }
    if (images_.empty()) ImGui::TextColored(theme_colours().muted, "%s", problem_.empty() ? "No images here." : problem_.c_str());
  }
  ImGui::EndChild();
  const bool cancelled = ImGui::Button("Cancel") || ImGui::IsKeyPressed(ImGuiKey_Escape);
  if (cancelled || !take.empty()) ImGui::CloseCurrentPopup();
  ImGui::EndPopup();
  if (!go.empty()) list(go);
  if (!take.empty()) chosen_(take);
}

}  // namespace fovea
