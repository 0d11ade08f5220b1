#include "app/viewer/segment/segment_feature.h"

#include <algorithm>

#include "app/viewer/export/export_feature.h"
#include "app/viewer/resources.h"

namespace fovea {
namespace {

constexpr const char* kGroup = "Segmentation";
constexpr int kUnknown = -2;             // of the class whose probabilities the layer holds

RectD to_rect(const Rect& rect) {
  return {static_cast<double>(rect.x), static_cast<double>(rect.y), static_cast<double>(rect.width), static_cast<double>(rect.height)};
}

}  // namespace

SegmentFeature::SegmentFeature(Workspace& workspace, explore::Session::MakeEngine make_engine, std::filesystem::path folder)
    : workspace_(workspace), folder_(std::move(folder)), make_engine_(std::move(make_engine)), job_([wake = workspace.main_thread.wake] {
        if (wake) wake();
      }) {
  add_actions();
  workspace_.panels.add({.id = "segmentation", .title = "Segmentation", .place = DockPlace::kRightBelow, .show = [this] { panel_.show(); },
                         .shortcut = ImGuiKey_L, .tip = "Let the model say what is where, and see how much of it there is"});
  add_exports();
  add_project_section();
  workspace_.every_frame.push_back([this] { return every_frame(); });
  workspace_.running.push_back([this]() -> std::optional<RunningWork> {
    if (!job_.running()) return std::nullopt;
    return RunningWork{"Segmenting", job_.state().share()};
  });
  workspace_.on_cancel.push_back([this] {
    if (!job_.running()) return false;
    job_.cancel();
    return true;
  });
  workspace_.on_image_changed.push_back([this] {
    job_.cancel();
    view_.shown.reset();
    view_.probability_class = layer_class_ = -1;
  });
}

void SegmentFeature::add_actions() {
  const auto has_image = [this] { return workspace_.image.has_value(); };
  workspace_.actions.add({.id = "segment.view", .title = "Segment what you see", .group = kGroup, .shortcut = ImGuiKey_P,
                          .tip = "Give every visible pixel a class, as if what you see were an image of its own",
                          .run = [this] { segment_view(); }, .enabled = has_image});
  workspace_.actions.add({.id = "segment.image", .title = "Segment the whole image", .group = kGroup,
                          .shortcut = ImGuiMod_Shift | ImGuiKey_P,
                          .tip = "Give every pixel a class, as the command fovea segment does", .run = [this] { segment_image(); },
                          .enabled = has_image});
  workspace_.actions.add({.id = "segment.cancel", .title = "Cancel segmentation", .group = kGroup, .run = [this] { job_.cancel(); },
                          .enabled = [this] { return job_.running(); }});
  workspace_.actions.add({.id = "segment.remove", .title = "Remove segmentation", .group = kGroup, .tip = "Undo brings it back",
                          .run = [this] {
                            view_.shown.reset();
                            view_.probability_class = -1;
                            show_layers();
                            workspace_.history.touch("Remove segmentation");
                          },
                          .enabled = [this] { return view_.shown.has_value(); }});
}

void SegmentFeature::add_exports() {
  workspace_.actions.add({.id = "export.mask", .title = "Class map…", .group = "File/Save picture",
                          .tip = "The segmentation as fovea segment writes it: PNG, TIFF, GeoJSON or COCO",
                          .run = [this] {
                            workspace_.ask_file({.purpose = FilePurpose::kSave, .title = "Save class map",
                                                 .start = suggested_file(workspace_, "_mask.png"),
                                                 .extensions = mask_extensions(),
                                                 .chosen = [this](const std::filesystem::path& file) { save_mask_as(file); }});
                          },
                          .enabled = [this] { return view_.shown.has_value() && !workspace_.exports.running(); }});
  workspace_.commands.push_back([this](const Layer& layer) -> std::optional<LayerCommand> {
    if (!view_.shown || !workspace_.image || (layer.id != kSegmentationLayer && layer.id != kProbabilityLayer)) return std::nullopt;
    const bool probabilities = layer.id == kProbabilityLayer;
    return LayerCommand{.layer = layer.id,
                        .command = segment_command(*view_.shown, workspace_.image->path, "again", {probabilities ? "probs" : "tif"}),
                        .writes = "again/" + workspace_.image->path.stem().string() + (probabilities ? "_probs.tif" : "_mask.tif")};
  });
}

void SegmentFeature::save_mask_as(const std::filesystem::path& file) {
  if (!view_.shown || !workspace_.image) return;
  const std::filesystem::path image = workspace_.image->path;
  const MaskFileKind& kind = mask_file_kind(file);
  const Sidecar sidecar{.what = "mask", .image = image,
                        .commands = {{.layer = kSegmentationLayer, .command = segment_command(*view_.shown, image, "again", {kind.format}),
                                      .writes = "again/" + image.stem().string() + kind.suffix}},
                        .more = {{"segmentation", to_json(*view_.shown)}}};
  workspace_.exports.start(file, sidecar, [made = *view_.shown, image, file](Progress& progress, const std::stop_token& stop) {
    save_mask(made, image, file, progress, stop);
  });
}

void SegmentFeature::add_project_section() {
  workspace_.sections.add({.name = "segmentation",
                           .save = [this]() -> nlohmann::json {
                             return {{"result", view_.shown ? nlohmann::json(view_.shown->key) : nlohmann::json()},
                                     {"probability_class", view_.probability_class}};
                           },
                           .load =
                               [this](const nlohmann::json& saved) {
                                 if (!saved.is_object()) return;
                                 const auto key = saved.value("result", nlohmann::json());
                                 const std::string known = view_.shown ? view_.shown->key : "",
                                                   wanted = key.is_string() ? key.get<std::string>() : "";
                                 if (wanted != known) {
                                   view_.shown = wanted.empty() ? std::nullopt : find_segmentation(folder_, wanted);
                                   if (!wanted.empty() && !view_.shown) {
                                     workspace_.messages.warn("The segmentation of this project is no longer kept: press P or Shift+P");
                                   }
                                   show_layers();
                                 }
                                 const auto chosen = saved.value("probability_class", nlohmann::json());
                                 const int classes = view_.shown ? static_cast<int>(view_.shown->classes.size()) : 0;
                                 view_.probability_class = chosen.is_number_integer() ? std::clamp(chosen.get<int>(), -1, classes - 1) : -1;
                               }});
}

void SegmentFeature::segment_view() { segment(workspace_.camera.visible_pixels()); }

void SegmentFeature::segment_image() { segment(std::nullopt); }

void SegmentFeature::segment(std::optional<Rect> region) {
  if (!workspace_.image) return;
  const ImageInfo& info = workspace_.image->info;
  if (region) {   // what is in sight may be more than the image, or all of it
    const std::int64_t x0 = std::max<std::int64_t>(0, region->x), y0 = std::max<std::int64_t>(0, region->y);
    *region = {x0, y0, std::min(info.width, region->x + region->width) - x0, std::min(info.height, region->y + region->height) - y0};
    if (*region == Rect{0, 0, info.width, info.height}) region.reset();
  }
  const SegmentationRequest request{.image = workspace_.image->path, .image_key = workspace_.image->key, .model = workspace_.model.name,
                                    .device = workspace_.model.device, .region_level0 = region,
                                    .probabilities = view_.probabilities};
  workspace_.panels.open("segmentation");
  auto made = std::make_shared<std::optional<Segmentation>>();
  job_.start(
      [this, request, made](Progress& progress, const std::stop_token& stop) {
        if (!engine_) engine_ = make_engine_();
        *made = segment_or_find(request, folder_, *engine_, progress, stop);
      },
      [this, made, request](const BackgroundJob::Outcome& outcome) {
        if (!outcome.error.empty()) tell(outcome.error, request.region_level0);
        if (outcome.stopped || !*made || !workspace_.image || workspace_.image->path != request.image) return;
        take(**made);
      });
}

// Where the GPU is at fault, with a button for the CPU. The job has ended: its engine can be asked.
void SegmentFeature::tell(const std::string& error, std::optional<Rect> region) {
  const explore::Trouble trouble = engine_ ? engine_->trouble() : explore::Trouble::kNone;
  const bool of_device = trouble == explore::Trouble::kDeviceMemory || trouble == explore::Trouble::kDeviceLost;
  if (!of_device || workspace_.model.runs_on_cpu()) return workspace_.messages.error(error);
  workspace_.messages.error(error, {"Segment on the CPU", [this, region] {
                                      workspace_.model.device = "cpu";
                                      segment(region);
                                    }});
}

void SegmentFeature::take(const Segmentation& made) {
  view_.shown = made;
  view_.probability_class = std::min(view_.probability_class, static_cast<int>(made.classes.size()) - 1);
  show_layers();
  workspace_.layers.select(kSegmentationLayer);
  workspace_.history.touch("Segment");
  char text[96];
  std::snprintf(text, sizeof text, "Segmented %lld × %lld pixels in %.1f s", static_cast<long long>(made.area.width),
                static_cast<long long>(made.area.height), made.seconds);
  workspace_.messages.note(text);
}

void SegmentFeature::show_layers() {
  layer_class_ = kUnknown;
  if (!view_.shown) {
    workspace_.layers.remove(kSegmentationLayer);
    return;
  }
  const Segmentation& made = *view_.shown;
  std::vector<LabelClass> entries;
  for (const ClassInfo& info : made.classes) entries.push_back({info.name, info.colour});
  try {
    auto layer = std::make_unique<LabelLayer>(kSegmentationLayer, "Segmentation", map_in_file(made.mask, 0, to_rect(made.area)), entries,
                                              workspace_.tiles);
    layer->classes_elsewhere = true;
    workspace_.layers.add(std::move(layer));
  } catch (const Error& error) {
    workspace_.messages.error(std::string(error.what()) + "; segment again");
    view_.shown.reset();
    workspace_.layers.remove(kSegmentationLayer);
  }
}

void SegmentFeature::update_probability_layer() {
  if (layer_class_ == view_.probability_class) return;
  layer_class_ = view_.probability_class;
  if (layer_class_ < 0 || !view_.shown) return workspace_.layers.remove(kProbabilityLayer);
  const Segmentation& made = *view_.shown;
  try {
    auto layer =
        std::make_unique<ProbabilityLayer>(kProbabilityLayer, "Probability: " + made.classes[static_cast<std::size_t>(layer_class_)].name,
                                           map_in_file(made.probabilities, layer_class_, to_rect(made.area)), workspace_.tiles);
    workspace_.layers.add(std::move(layer));
    workspace_.layers.select(kProbabilityLayer);
  } catch (const Error& error) {
    workspace_.messages.error(std::string(error.what()) + "; segment again");
    view_.probability_class = layer_class_ = -1;
  }
}

bool SegmentFeature::every_frame() {
  job_.poll();
  if (view_.shown && view_.shown->probabilities.empty()) view_.probability_class = -1;
  update_probability_layer();
  return false;   // the job wakes the window when there is something new
}

std::unique_ptr<Feature> make_segment_feature(Workspace& workspace) {
  return std::make_unique<SegmentFeature>(workspace, explore::load_engine, user_cache_folder() / "segmentations");
}

}  // namespace fovea
