#include "app/viewer/export/export_feature.h"

#include <unistd.h>

#include "app/viewer/export/picture.h"
#include "core/image/writers.h"

namespace fovea {
namespace {

constexpr const char* kGroup = "File/Save picture";

}  // namespace

std::filesystem::path suggested_file(const Workspace& workspace, const std::string& suffix) {
  if (!workspace.image) return suffix;
  std::filesystem::path folder = workspace.image->path.parent_path();
  std::error_code ignored;
  if (::access(folder.c_str(), W_OK) != 0) folder = std::filesystem::current_path(ignored);
  return folder / (workspace.image->path.stem().string() + suffix);
}

ExportFeature::ExportFeature(Workspace& workspace) : workspace_(workspace) {
  const auto possible = [this] { return workspace_.image.has_value() && !workspace_.exports.running(); };
  workspace_.actions.add({.id = "export.view", .title = "View as it is…", .group = kGroup,
                          .shortcut = ImGuiMod_Ctrl | ImGuiMod_Shift | ImGuiKey_S,
                          .tip = "A picture of the canvas with everything drawn on it",
                          .run = [this] { ask("Save view", "_view.png", [this](const std::filesystem::path& file) { save_view(file); }); },
                          .enabled = possible});
  workspace_.actions.add(
      {.id = "export.overlay",
       .title = "All layers, full resolution…",
       .group = kGroup,
       .shortcut = ImGuiMod_Ctrl | ImGuiKey_E,
       .tip = "The whole image under its visible layers, pixel for pixel, of any size; TIFF keeps the georeference",
       .run = [this] { ask("Save all layers", "_layers.jpg", [this](const std::filesystem::path& file) { save_overlay(file); }); },
       .enabled = possible});
  workspace_.every_frame.push_back([this] {
    workspace_.exports.poll();
    return false;
  });
  workspace_.running.push_back([this]() -> std::optional<RunningWork> {
    if (!workspace_.exports.running()) return std::nullopt;
    return RunningWork{"Saving " + workspace_.exports.file().filename().string(), workspace_.exports.state().share()};
  });
  workspace_.on_cancel.push_back([this] {
    if (!workspace_.exports.running()) return false;
    workspace_.exports.cancel();
    return true;
  });
}

void ExportFeature::ask(const char* title, const char* suffix, std::function<void(const std::filesystem::path&)> chosen) {
  const std::filesystem::path suggested = suggested_file(workspace_, suffix);
  std::vector<std::string> extensions{suggested.extension().string()};
  for (const std::string& extension : picture_extensions()) {
    if (extension != extensions.front()) extensions.push_back(extension);
  }
  workspace_.ask_file({.purpose = FilePurpose::kSave, .title = title, .start = suggested, .extensions = extensions,
                       .chosen = std::move(chosen)});
}

Sidecar ExportFeature::sidecar(const char* what) const {
  Sidecar sidecar{.what = what, .image = workspace_.image->path, .commands = {}};
  for (const auto& layer : workspace_.layers.all()) {
    if (!layer->style.visible) continue;
    for (const auto& command : workspace_.commands) {
      if (auto made = command(*layer)) sidecar.commands.push_back(std::move(*made));
    }
  }
  const nlohmann::json project = workspace_.sections.save();
  for (const char* section : {"layers", "view"}) {
    if (project.contains(section)) sidecar.more[section] = project[section];
  }
  return sidecar;
}

void ExportFeature::save_view(const std::filesystem::path& file) {
  workspace_.capture_view([this, file, sidecar = sidecar("view")](ImageU8 picture) {
    auto shared = std::make_shared<const ImageU8>(std::move(picture));
    workspace_.exports.start(file, sidecar, [shared, file](Progress&, const std::stop_token&) {
      const std::string extension = file.extension().string();
      if (extension == ".png") return write_png(file, *shared);
      if (extension != ".tif" && extension != ".tiff") return write_jpeg(file, *shared, 95);
      const auto writer = create_rgb_tiff_writer({.path = file, .width = shared->width(), .height = shared->height()});
      writer->append(*shared);
      writer->finish();
    });
  });
}

void ExportFeature::save_overlay(const std::filesystem::path& file) {
  try {
    auto layers = std::make_shared<std::vector<std::unique_ptr<LayerRows>>>(rows_of(workspace_.layers));
    const ImageInfo& info = workspace_.image->info;
    const PictureOptions options{.path = file, .area = {0, 0, info.width, info.height}, .georeference = info.georeference};
    workspace_.exports.start(file, sidecar("overlay"), [layers, options](Progress& progress, const std::stop_token& stop) {
      write_picture(options, *layers, progress, stop);
    });
  } catch (const Error& error) {
    workspace_.messages.error(error.what());
  }
}

std::unique_ptr<Feature> make_export_feature(Workspace& workspace) { return std::make_unique<ExportFeature>(workspace); }

}  // namespace fovea
