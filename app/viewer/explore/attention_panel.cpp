#include "app/viewer/explore/attention_panel.h"

#include <imgui.h>

#include <algorithm>
#include <cinttypes>
#include <cmath>

#include "app/viewer/panels/widgets.h"
#include "app/viewer/theme.h"

namespace fovea::explore {
namespace {

constexpr double kMegabyte = 1024.0 * 1024.0;

bool percent_slider(const char* label, double& share, float least) {
  float percent = static_cast<float>(share * 100);
  if (!ImGui::SliderFloat(label, &percent, least, 100, "%.1f %%", ImGuiSliderFlags_AlwaysClamp)) return false;
  share = percent / 100;
  return true;
}

std::string heads_label(const HeadSelection& heads) {
  switch (heads.fusion) {
    case Fusion::kMean: return "mean of all";
    case Fusion::kMax: return "maximum of all";
    case Fusion::kMin: return "minimum of all";
    case Fusion::kOne: break;
  }
  return "head " + std::to_string(heads.head);
}

// ", layer 5 of 12", where a question says how far it is.
std::string layers_done(const LaneState& lane) {
  return lane.total > 0 ? ", layer " + std::to_string(std::min(lane.done + 1, lane.total)) + " of " + std::to_string(lane.total) : "";
}

}  // namespace

void AttentionPanel::show() {
  if (!workspace_.image) return muted_text("Open an image, then encode what you see: every click on it then shows where that place looks.");
  ImGui::PushItemWidth(-ImGui::CalcTextSize("Attention").x - ImGui::GetStyle().ItemInnerSpacing.x);   // the longest label beside a control
  show_encoding();
  if (explorer_.encoded()) {
    show_question();
    show_numbers();
    show_preparing();
    show_display();
  }
  ImGui::PopItemWidth();
}

void AttentionPanel::show_encoding() {
  show_model_combo(workspace_.model);
  const EncodeState state = session_.encoding();
  if (state.running) {
    if (show_progress({.running = true, .stage = state.stage, .done = state.done, .total = state.total, .elapsed_s = state.elapsed_s})) {
      workspace_.actions.run("attention.cancel");
    }
    return;
  }
  action_button(workspace_.actions, "attention.encode_view", "Encode view");
  ImGui::SameLine();
  action_button(workspace_.actions, "attention.encode_image", "Encode image");
  const auto& encoded = explorer_.encoded();
  if (!encoded) return muted_text("Encode what you see, then click a place to see where it looks.");
  char text[128];
  std::snprintf(text, sizeof text, "%" PRId64 " × %" PRId64 " tokens of %" PRId64 " px, %.1f s, %.0f MB, %s", encoded->rows,
                encoded->columns, static_cast<std::int64_t>(encoded->model->config.encoder.patch), encoded->seconds,
                static_cast<double>(encoded->bytes) / kMegabyte, encoded->model->device.c_str());
  muted_text(text);
  if (!encoded->caveat.empty()) muted_text("Approximate: " + encoded->caveat + ".");
}

void AttentionPanel::show_question() {
  ImGui::SeparatorText("Question");
  View& view = explorer_.view;
  if (ImGui::BeginCombo("Show", method_choice(view.method).label, ImGuiComboFlags_HeightLargest)) {
    for (const MethodChoice& choice : method_choices()) {
      if (ImGui::Selectable(choice.label, view.method == choice.method)) explorer_.choose_method(choice.method);
      ImGui::SetItemTooltip("%s", choice.hint);
    }
    ImGui::EndCombo();
  }
  int layer = static_cast<int>(view.layer);
  if (ImGui::SliderInt("Layer", &layer, 0, static_cast<int>(explorer_.depth()) - 1, "%d", ImGuiSliderFlags_AlwaysClamp)) view.layer = layer;
  ImGui::SetItemTooltip("0 is next to the image. Keys: , and .");
  if (method_choice(view.method).by_head) show_heads();
  if (view.method.starts_with("rollout")) {
    percent_slider("Attention", view.attention_share, 0);
    ImGui::SetItemTooltip("The rest is the residual connection. 50 %% is a convention, not a measurement.");
  }
  if (view.method == "kept-mass") {
    int radius = static_cast<int>(view.window / 2);
    char text[32];
    std::snprintf(text, sizeof text, "%d × %d", 2 * radius + 1, 2 * radius + 1);
    if (ImGui::SliderInt("Window", &radius, 0, 24, text, ImGuiSliderFlags_AlwaysClamp)) view.window = 2 * radius + 1;
  }
}

void AttentionPanel::show_heads() {
  View& view = explorer_.view;
  if (ImGui::BeginCombo("Heads", heads_label(view.heads).c_str(), ImGuiComboFlags_HeightLargest)) {
    std::vector<HeadSelection> choices{{Fusion::kMean}, {Fusion::kMax}, {Fusion::kMin}};
    for (std::int64_t head = 0; head < explorer_.heads(); ++head) choices.push_back({Fusion::kOne, head});
    for (const HeadSelection& choice : choices) {
      if (ImGui::Selectable(heads_label(choice).c_str(), view.heads == choice)) view.heads = choice;
    }
    ImGui::EndCombo();
  }
  ImGui::SetItemTooltip("Keys: [ and ]");
}

void AttentionPanel::show_display() {
  ImGui::SeparatorText("Display");
  View& view = explorer_.view;
  percent_slider("Mass", view.mass_share, 1);
  ImGui::SetItemTooltip("Only the strongest tokens that together hold this share are shown");
  float clip = static_cast<float>(view.clip_percentile);
  if (ImGui::SliderFloat("Clip", &clip, 80, 100, "%.1f %%", ImGuiSliderFlags_AlwaysClamp)) view.clip_percentile = clip;
  ImGui::SetItemTooltip("Percentile whose value has the brightest colour");
  bool fixed = view.range_mode == RangeMode::kFixed;
  if (ImGui::Checkbox("Fixed range", &fixed)) {
    view.range_mode = fixed ? RangeMode::kFixed : RangeMode::kPerMap;
    if (fixed) view.fixed_low = static_cast<float>(explorer_.range().low), view.fixed_high = static_cast<float>(explorer_.range().high);
  }
  ImGui::SetItemTooltip("One range for all maps, so that their colours can be compared");
  if (fixed) {
    const float speed = std::max(1e-6f, std::abs(view.fixed_high - view.fixed_low) / 200);
    ImGui::DragFloatRange2("##range", &view.fixed_low, &view.fixed_high, speed, 0, 0, "%.3g", "%.3g");
  }
  ImGui::Checkbox("Window", &view.window_outline);
  ImGui::SameLine();
  ImGui::Checkbox("Receptive field", &view.field_contours);
  ImGui::SameLine();
  ImGui::Checkbox("High norms", &view.outliers);
  if (const auto& norms = explorer_.norms(); view.outliers && norms) show_outliers(*norms);
}

// Most layers have none: then there is nothing to see on the image, either.
void AttentionPanel::show_outliers(const Reply& norms) {
  const auto count = norms.numbers.value("outliers", std::int64_t{0});
  const std::string where = " in layer " + std::to_string(norms.question.layer);
  if (count == 0) muted_text("No token of unusual norm" + where + ".");
  else muted_text(std::to_string(count) + (count == 1 ? " token" : " tokens") + " of unusual norm" + where + ".");
}

// How a map's sum is split between the image and the global tokens.
void AttentionPanel::show_totals(const Reply& reply) {
  const std::string& method = reply.question.method;
  const double whole = method == "norm-weighted" ? reply.grid_total + reply.global_total : 1;   // norms have no sum of their own
  const double grid = reply.grid_total / std::max(whole, 1e-300) * 100, global = reply.global_total / std::max(whole, 1e-300) * 100;
  const bool received = method == "column" || method == "rollout-from";
  ImGui::Text(received ? "From the image %.1f %%, from global tokens %.1f %%" : "On the image %.1f %%, on global tokens %.1f %%", grid,
              global);
  if (received) ImGui::SetItemTooltip("Sum of what all tokens give it, in rows: 100 %% is what one token gives away in all");
}

void AttentionPanel::show_numbers() {
  const auto& reply = explorer_.shown();
  if (!reply) {
    if (explorer_.view.tokens.empty() && method_choice(explorer_.view.method).needs_tokens)
      muted_text("Click a place in the encoded part of the image.");
    return;
  }
  const MethodChoice& choice = method_choice(reply->question.method);
  if (choice.needs_tokens && reply->question.method != "similarity") show_totals(*reply);
  for (const FieldContour& contour : reply->contours) {
    ImGui::Text("%.0f %% within %" PRId64 " tokens, %.0f px around", contour.share * 100, contour.tokens, contour.radius_pixels);
  }
  char text[64];
  std::snprintf(text, sizeof text, "answered in %.0f ms", reply->elapsed_ms);
  muted_text(explorer_.waiting() ? "asking the model…" + layers_done(session_.lane(Lane::kPick)) : text);
}

// Where not every head could be kept, whoever chooses other heads is told why the first rollouts take longer.
void AttentionPanel::show_preparing() {
  const LaneState lane = session_.lane(Lane::kPrepare);
  if (!lane.busy() || lane.total == 0 || !explorer_.view.method.starts_with("rollout")) return;
  muted_text("Rollouts of these heads are being prepared" + layers_done(lane) + ". Until then they take longer.");
}

}  // namespace fovea::explore
