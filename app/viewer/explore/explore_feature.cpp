#include "app/viewer/explore/explore_feature.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <tuple>

#include "app/viewer/explore/attend_command.h"
#include "app/viewer/explore/attention_tools.h"
#include "app/viewer/explore/region.h"
#include "app/viewer/explore/view_section.h"
#include "app/viewer/export/export_feature.h"
#include "app/viewer/layers/colour_layer.h"
#include "app/viewer/layers/heat_layer.h"
#include "app/viewer/resources.h"

namespace fovea::explore {
namespace {

constexpr const char* kGroup = "Attention";
constexpr double kComfortableShare = 0.7;   // of the side of what would just fit

}  // namespace

ExploreFeature::ExploreFeature(Workspace& workspace, Session::MakeEngine make_engine, std::filesystem::path kept_folder)
    : workspace_(workspace),
      session_(std::move(make_engine), [wake = workspace.main_thread.wake] { if (wake) wake(); }),
      explorer_(session_), marks_(explorer_), kept_(workspace, std::move(kept_folder)), panel_(workspace, session_, explorer_) {
  add_encoding_actions();
  add_choosing_actions();
  add_tools();
  add_panels();
  add_exports();
  add_project_section();
  workspace_.every_frame.push_back([this] { return every_frame(); });
  workspace_.running.push_back([this]() -> std::optional<RunningWork> {
    const EncodeState state = session_.encoding();
    if (!state.running) return std::nullopt;
    return RunningWork{"Encoding", state.total > 0 ? static_cast<float>(state.done) / static_cast<float>(state.total) : 0};
  });
  workspace_.on_cancel.push_back([this] {
    if (!session_.encoding().running) return false;
    session_.cancel_encoding();
    return true;
  });
  workspace_.on_image_changed.push_back([this] {
    awaited_.reset();
    kept_.clear();
    explorer_.clear();
    noted_ = explorer_.view;
  });
  workspace_.decorations.push_back([this](const CanvasPainter& painter) {
    // Its colours are explained once, where it is shown first.
    bool explained = false;
    for (int view = 0; view < painter.view; ++view) explained |= heat_in(view) != nullptr;
    marks_.paint(painter, explained ? nullptr : heat_in(painter.view));
  });
  workspace_.status.push_back([this](Point p) -> std::string {
    const auto& encoded = explorer_.encoded();
    const auto token = encoded ? token_at(*encoded, p.x, p.y) : std::nullopt;
    return token ? "token " + std::to_string(token->row) + ", " + std::to_string(token->column) : "";
  });
}

// The map of the latest answer, if that view shows it.
const HeatLayer* ExploreFeature::heat_in(int view) const {
  for (std::size_t i = 0; i < workspace_.layers.size(); ++i) {
    const Layer& layer = workspace_.layers.at(i);
    if (layer.id != kHeatLayer || !layer.style.visible || workspace_.comparison.span(workspace_.layers, i, view).empty()) continue;
    return dynamic_cast<const HeatLayer*>(&layer);
  }
  return nullptr;
}

void ExploreFeature::add_encoding_actions() {
  const auto has_image = [this] { return workspace_.image.has_value(); };
  workspace_.actions.add({.id = "attention.encode_view",
                          .title = "Encode what you see",
                          .group = kGroup,
                          .shortcut = ImGuiKey_E,
                          .tip = "Run the model on the visible part, so that every click is answered at once",
                          .run = [this] { encode_view(); },
                          .enabled = has_image});
  workspace_.actions.add({.id = "attention.encode_image",
                          .title = "Encode the whole image",
                          .group = kGroup,
                          .shortcut = ImGuiMod_Shift | ImGuiKey_E,
                          .tip = "Exact everywhere; takes longer and more memory",
                          .run = [this] { encode_image(); },
                          .enabled = has_image});
  for (const auto& [id, title, device] : {std::tuple("model.auto", "GPU if there is one", "auto"), std::tuple("model.cpu", "CPU", "cpu")}) {
    workspace_.actions.add({.id = id, .title = title, .group = std::string(kGroup) + "/Run models on",
                            .tip = "From the next encoding or segmentation on",
                            .run = [this, device = std::string(device)] { workspace_.model.device = device; },
                            .checked = [this, cpu = std::string_view(device) == "cpu"] { return workspace_.model.runs_on_cpu() == cpu; }});
  }
  workspace_.actions.add({.id = "attention.cancel", .title = "Cancel encoding", .group = kGroup,
                          .run = [this] { session_.cancel_encoding(); }, .enabled = [this] { return session_.encoding().running; }});
}

void ExploreFeature::add_choosing_actions() {
  const auto encoded = [this] { return explorer_.encoded() != nullptr; };
  const auto add = [&](const char* id, const char* title, ImGuiKey key, const char* tip, std::function<void()> run) {
    workspace_.actions.add({.id = id,
                            .title = title,
                            .group = kGroup,
                            .shortcut = key,
                            .tip = tip,
                            .run = std::move(run),
                            .enabled = encoded,
                            .repeats = true});
  };
  add("attention.previous_layer", "Previous layer", ImGuiKey_Comma, "Nearer to the image", [this] { explorer_.step_layer(-1); });
  add("attention.next_layer", "Next layer", ImGuiKey_Period, "Nearer to the result", [this] { explorer_.step_layer(1); });
  add("attention.previous_head", "Previous head", ImGuiKey_LeftBracket, "Before the first: the mean of all",
      [this] { explorer_.step_head(-1); });
  add("attention.next_head", "Next head", ImGuiKey_RightBracket, "After the last: the mean of all", [this] { explorer_.step_head(1); });
  add("attention.next_global", "Next global token", ImGuiKey_G, "Where a global token looks", [this] { explorer_.next_global_token(); });
  const auto add_switch = [&](const char* id, const char* title, ImGuiKey key, const char* tip, bool View::* option) {
    workspace_.actions.add({.id = id,
                            .title = title,
                            .group = kGroup,
                            .shortcut = key,
                            .tip = tip,
                            .run = [this, option] { explorer_.view.*option = !(explorer_.view.*option); },
                            .checked = [this, option] { return explorer_.view.*option; }});
  };
  add_switch("attention.window", "Window outline", ImGuiKey_W, "The tokens that the chosen one can see in this layer",
             &View::window_outline);
  add_switch("attention.contours", "Receptive field", ImGuiKey_R,
             "What holds 50 % (white) and 90 % (blue) of the rollout from the chosen tokens", &View::field_contours);
  add_switch("attention.outliers", "High-norm tokens", ImGuiKey_N, "Tokens whose features have an unusual norm (Darcet et al. 2024)",
             &View::outliers);
  workspace_.actions.add({.id = "attention.keep", .title = "Keep as a layer", .group = kGroup, .shortcut = ImGuiKey_K,
                          .tip = "A copy of the map that is shown, to compare the next one with it",
                          .run = [this] { kept_.keep(*explorer_.shown(), *explorer_.encoded(), *answer_layer()); },
                          .enabled = [this] { return explorer_.shown() && explorer_.encoded() && answer_layer(); }});
  for (const MethodChoice& choice : method_choices()) {
    workspace_.actions.add({.id = std::string("attention.method.") + choice.method,
                            .title = choice.label,
                            .group = std::string(kGroup) + "/Method",
                            .tip = choice.hint,
                            .run = [this, method = choice.method] { explorer_.choose_method(method); },
                            .enabled = encoded,
                            .checked = [this, method = choice.method] { return explorer_.view.method == method; }});
  }
}

void ExploreFeature::add_tools() {
  workspace_.tools.add({.id = "pick",
                        .title = "Pick tokens",
                        .shortcut = ImGuiKey_T,
                        .tip = "Click a token or drag a box to see where it looks",
                        .tool = std::make_unique<PickTool>(explorer_, workspace_.messages)});
  workspace_.tools.add({.id = "brush",
                        .title = "Brush tokens",
                        .shortcut = ImGuiKey_B,
                        .tip = "Paint over tokens to see where they look on average",
                        .tool = std::make_unique<BrushTool>(explorer_)});
  workspace_.tools.add({.id = "lasso",
                        .title = "Lasso tokens",
                        .shortcut = ImGuiMod_Shift | ImGuiKey_B,
                        .tip = "Go round tokens to see where they look on average",
                        .tool = std::make_unique<LassoTool>(explorer_)});
}

void ExploreFeature::add_panels() {
  PanelSet& panels = workspace_.panels;
  panels.add({.id = "attention",
              .title = "Attention",
              .place = DockPlace::kRightBelow,
              .show = [this] { panel_.show(); },
              .shortcut = ImGuiKey_A,
              .tip = "Which model, layer and head, and how its answers are shown"});
  panels.add({.id = "heads",
              .title = "All heads",
              .place = DockPlace::kLeft,
              .show = [this] { wall_.show(); },
              .open = false,
              .shortcut = ImGuiKey_H,
              .tip = "Every head of every layer for the chosen tokens: hover to see it on the image, click to keep it"});
  panels.add({.id = "head_statistics", .title = "Statistics of heads", .place = DockPlace::kBottom, .show = [this] { plots_.show(); },
              .open = false, .shortcut = ImGuiKey_S, .tip = "Entropy and distance by layer and head; click a dot to see that head"});
  panels.add({.id = "windows", .title = "Window sizes", .place = DockPlace::kBottom, .show = [this] { windows_.show(); }, .open = false,
              .shortcut = ImGuiKey_D, .tip = "The row of the chosen token under other windows, and what they keep of dense attention"});
}

void ExploreFeature::encode_view() { encode(workspace_.camera.visible_pixels()); }

void ExploreFeature::encode_image() { encode(std::nullopt); }

void ExploreFeature::encode(std::optional<Rect> region) {
  if (!workspace_.image) return;
  last_region_ = region;
  workspace_.messages.dismiss(told_encoding_);
  session_.encode({.image = workspace_.image->path, .model = workspace_.model.name, .device = workspace_.model.device,
                   .region_level0 = region});
  workspace_.tools.activate("pick");   // the next click asks
  workspace_.panels.open("attention");
}

void ExploreFeature::add_project_section() {
  workspace_.sections.add({.name = "attention", .save = [this] { return save_view(explorer_.view); },
                           .load = [this](const nlohmann::json& saved) {
                             loaded_ = saved;
                             load_view(saved, explorer_.encoded().get(), explorer_.view);
                             noted_ = explorer_.view;
                           }});
  // What was encoded is encoded again: tokens and layers mean nothing without it.
  workspace_.sections.add({.name = "encoding", .use = SectionUse::kFileOnly,
                           .save = [this]() -> nlohmann::json {
                             const auto& encoded = explorer_.encoded();
                             if (!encoded) return {};
                             const auto& region = encoded->request.region_level0;
                             const std::string model = model_for_project(encoded->request.model, encoded->request.image.parent_path());
                             nlohmann::json place;
                             if (region) place = {region->x, region->y, region->width, region->height};
                             return {{"model", model}, {"region", place}};
                           },
                           .load = [this](const nlohmann::json& saved) {
                             if (!saved.is_object() || !saved.value("model", nlohmann::json()).is_string() || !workspace_.image) return;
                             const auto region = saved.value("region", nlohmann::json());
                             const auto is_number = [](const nlohmann::json& v) { return v.is_number_integer(); };
                             const bool has_region = region.is_array() && region.size() == 4 && std::ranges::all_of(region, is_number);
                             if (!has_region && !region.is_null()) return;
                             awaited_ = loaded_;   // the section before this one
                             workspace_.tools.activate("pick");   // as after an encoding that somebody asked for
                             last_region_ = has_region ? std::optional(Rect{region[0], region[1], region[2], region[3]}) : std::nullopt;
                             const auto& image = workspace_.image->path;
                             const std::string model = model_of_project(saved["model"].get<std::string>(), image.parent_path());
                             session_.encode({.image = image, .model = model, .device = workspace_.model.device,
                                              .region_level0 = last_region_});
                           }});
}

void ExploreFeature::add_exports() {
  workspace_.actions.add({.id = "export.attention", .title = "Attention map…", .group = "File/Save picture",
                          .tip = "The values that are shown, one a token, as a georeferenced float32 TIFF",
                          .run = [this] {
                            const std::string suffix = "_" + explorer_.shown()->question.method + ".tif";
                            workspace_.ask_file({.purpose = FilePurpose::kSave, .title = "Save attention map",
                                                 .start = suggested_file(workspace_, suffix), .extensions = {".tif"},
                                                 .chosen = [this](const std::filesystem::path& file) { save_map(file); }});
                          },
                          .enabled = [this] {
                            const bool has_values = explorer_.shown() && !explorer_.shown()->plane.empty();
                            return has_values && !workspace_.exports.running() && !to_save_.encoded;
                          }});
  workspace_.commands.push_back([this](const Layer& layer) { return kept_.command(layer); });
  workspace_.commands.push_back([this](const Layer& layer) -> std::optional<LayerCommand> {
    const auto& reply = explorer_.shown();
    if (!reply || !explorer_.encoded() || (layer.id != kHeatLayer && layer.id != kColourLayer)) return std::nullopt;
    return attend_command(layer.id, *explorer_.encoded(), reply->question);
  });
}

// What is shown is answered once more, rounded as the command in the sidecar does.
void ExploreFeature::save_map(const std::filesystem::path& file) {
  const auto reply = explorer_.shown();
  if (!reply || !explorer_.encoded() || reply->plane.empty() || !workspace_.image) return;
  Question question = reply->question;
  question.rounding = Rounding::kAsAttend;
  session_.ask(Lane::kSave, {question});
  to_save_ = {file, explorer_.encoded()};
}

void ExploreFeature::write_what_was_saved() {
  const LaneState lane = session_.lane(Lane::kSave);
  if (!to_save_.encoded || (lane.replies.empty() && lane.busy())) return;
  const auto [file, encoded] = std::exchange(to_save_, {});
  if (lane.replies.empty()) {   // it failed, or the image was closed
    if (!lane.error.empty()) workspace_.messages.error(file.filename().string() + ": not saved: " + lane.error);
    return;
  }
  const auto reply = lane.replies.front();
  const Sidecar sidecar{.what = "attention", .image = encoded->request.image,
                        .commands = {attend_command(kHeatLayer, *encoded, reply->question)},
                        .more = {{"unit", reply->unit}, {"numbers", reply->numbers}}};
  const GeoReference georeference = workspace_.image ? workspace_.image->info.georeference : GeoReference{};
  workspace_.exports.start(file, sidecar, [reply, encoded, file, georeference](Progress&, const std::stop_token&) {
    write_raw_map(file, *encoded, *reply, georeference);
  });
}

// Panels, tools and keys change the view as they like; undo learns of it here.
void ExploreFeature::note_changes() {
  View view = explorer_.view;
  view.wall = noted_.wall, view.windows = noted_.windows, view.statistics = noted_.statistics;   // whether panels are seen
  if (view == noted_) return;
  workspace_.history.touch(view.tokens != noted_.tokens ? "Choose tokens" : "Change attention view");
}

Layer* ExploreFeature::answer_layer() const {
  return explorer_.shown() ? workspace_.layers.find(explorer_.shown()->plane.empty() ? kColourLayer : kHeatLayer) : nullptr;
}

bool ExploreFeature::every_frame() {
  kept_.every_frame();
  write_what_was_saved();
  was_busy_ = session_.busy();
  note_changes();
  const auto before = explorer_.encoded();
  const bool changed = explorer_.update();
  const bool encoded_anew = explorer_.encoded() && explorer_.encoded() != before;
  if (awaited_ && encoded_anew) load_view(*std::exchange(awaited_, std::nullopt), explorer_.encoded().get(), explorer_.view);
  if (changed) show_answer();
  noted_ = explorer_.view;   // a new encoding changes it too: nothing to undo
  // Panels that are seen set these again in this frame.
  explorer_.view.wall = explorer_.view.windows = explorer_.view.statistics = false;
  explorer_.hover(std::nullopt);
  const EncodeState encoding = session_.encoding();
  tell_once(told_encoding_, encoding.error, way_on(encoding.trouble, encoding.fitting_side));
  tell_once(told_answer_, explorer_.error(), way_on(explorer_.trouble(), 0));
  return false;   // the session wakes the window when there is something new
}

// What a button beside the message does: where the GPU is at fault, the CPU; where too much was asked, less.
std::optional<MessageAction> ExploreFeature::way_on(Trouble trouble, std::int64_t fitting_side) {
  if (fitting_side > 0) return MessageAction{"Zoom in and encode", [this, fitting_side] { zoom_in_and_encode(fitting_side); }};
  const bool of_device = trouble == Trouble::kDeviceMemory || trouble == Trouble::kDeviceLost;
  if (!of_device || workspace_.model.runs_on_cpu()) return std::nullopt;
  return MessageAction{"Encode on the CPU", [this] {
                         workspace_.model.device = "cpu";
                         encode(last_region_);
                       }};
}

// Pixel for pixel, as the model sees the image, or nearer where even that does not fit.
void ExploreFeature::zoom_in_and_encode(std::int64_t fitting_side) {
  Camera& camera = workspace_.camera;
  const Extent canvas = camera.canvas();
  const double comfortable = kComfortableShare * static_cast<double>(fitting_side);
  camera.look_at(camera.centre(), std::max({1.0, camera.zoom(), std::sqrt(canvas.width * canvas.height) / std::max(1.0, comfortable)}));
  camera.jump_to_target();
  encode_view();
}

void ExploreFeature::tell_once(std::string& told, const std::string& error, const std::optional<MessageAction>& way_on) {
  if (error != told && !error.empty()) {
    if (way_on) workspace_.messages.error(error, *way_on);
    else workspace_.messages.error(error);
  }
  told = error;
}

void ExploreFeature::show_answer() {
  const auto& reply = explorer_.shown();
  const auto& encoded = explorer_.encoded();
  auto* heat = dynamic_cast<HeatLayer*>(workspace_.layers.find(kHeatLayer));
  if (!reply || !encoded || reply->colours.empty()) workspace_.layers.remove(kColourLayer);
  if (!reply || !encoded || reply->plane.empty()) {
    if (heat) heat->clear();
    painted_ = nullptr;
  }
  if (!reply || !encoded) return;
  const RectD place = RectD::of(pixels_of(*encoded, reply->place));
  if (!reply->plane.empty()) return show_values(*reply, place);
  auto& colours = workspace_.layers.add(std::make_unique<ColourLayer>(kColourLayer, "Features"));
  ImageU8 copy(reply->colours.width(), reply->colours.height(), reply->colours.channels());   // the reply is shared
  std::ranges::copy(reply->colours.samples(), copy.samples().begin());
  colours.set_colours(std::move(copy), place);
}

void ExploreFeature::show_values(const Reply& reply, const RectD& place) {
  if (!workspace_.layers.find(kHeatLayer)) {
    auto added = std::make_unique<HeatLayer>(kHeatLayer, "Attention");
    added->style.opacity = 0.85f;
    added->style.colours = ColourTable::kMagma;
    workspace_.layers.add(std::move(added));
    workspace_.layers.select(kHeatLayer);
    painted_ = nullptr;
  }
  auto& heat = dynamic_cast<HeatLayer&>(*workspace_.layers.find(kHeatLayer));
  if (painted_.get() != &reply) {
    // Maps of chosen tokens are nearly nothing nearly everywhere: there the image shows through. Others have a value everywhere.
    const bool chosen = method_choice(reply.question.method).needs_tokens && reply.question.method != "similarity";
    if (!painted_ || painted_->question.method != reply.question.method) heat.alpha = chosen ? HeatAlpha::kByValue : HeatAlpha::kFlat;
    const auto values = reply.plane.samples();
    heat.set_values(
        {.columns = reply.plane.width(), .rows = reply.plane.height(), .values = {values.begin(), values.end()}, .rect_level0 = place});
    painted_ = explorer_.shown();
  }
  heat.style.low = static_cast<float>(explorer_.range().low);
  heat.style.high = static_cast<float>(explorer_.range().high);
  heat.threshold = explorer_.threshold() > 0 ? explorer_.threshold() : -std::numeric_limits<float>::infinity();
}

std::unique_ptr<Feature> make_explore_feature(Workspace& workspace) {
  return std::make_unique<ExploreFeature>(workspace, load_engine, user_cache_folder() / "maps");
}

}  // namespace fovea::explore
