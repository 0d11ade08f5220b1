// What the model sees, with the shipped model: encode, ask, step, compare.
#include <cmath>

#include "app/viewer/explore/explore_feature.h"
#include "app/viewer/layers/heat_layer.h"
#include "tests/gui/flow.h"

namespace fovea::gui {
namespace {

constexpr Point kToken{163, 117};            // in token 14, 20
constexpr RectD kWindow{12 * 8, 6 * 8, 17 * 8, 17 * 8};   // of that token: the shipped model's 17 x 17

HeatLayer* heat(Flow& flow) { return dynamic_cast<HeatLayer*>(flow.workspace().layers.find(explore::kHeatLayer)); }

nlohmann::json view(Flow& flow) { return flow.workspace().sections.save().at("attention"); }

// Encodes what is seen, unless a flow before has, and looks at the last layer as after an encoding.
void encode(Flow& flow) {
  if (flow.workspace().actions.find("attention.next_layer")->is_enabled()) {
    IM_CHECK(flow.run("tool.pick"));
  } else {
    flow.key(ImGuiKey_E);
  }
  flow.settle();
  flow.on_main([&] { flow.workspace().sections.load({{"attention", {{"layer", 1000}}}}); });
  flow.on_main([&] { flow.workspace().history.reset(); });
  flow.settle();
}

double sum(const HeatLayer& layer) {
  double total = 0;
  for (const float value : layer.raster().values) total += std::isfinite(value) ? value : 0;
  return total;
}

// Mean difference of two canvases over a rectangle of the image.
double difference(Flow& flow, const ImageU8& a, const ImageU8& b, const RectD& rect) {
  const Point low = flow.camera().to_canvas({rect.x, rect.y}), high = flow.camera().to_canvas({rect.x + rect.width, rect.y + rect.height});
  double total = 0, count = 0;
  for (auto y = static_cast<std::int64_t>(low.y) + 1; y < static_cast<std::int64_t>(high.y) - 1; ++y) {
    for (auto x = 3 * (static_cast<std::int64_t>(low.x) + 1); x < 3 * (static_cast<std::int64_t>(high.x) - 1); ++x, ++count) {
      total += std::abs(a.row(y)[x] - b.row(y)[x]);
    }
  }
  return total / count;
}

ImVec2 wall_cell(Flow& flow, int panel) {
  return flow.ui.ItemInfo(("//All heads###heads/$$" + std::to_string(panel) + "/##panel").c_str()).RectFull.GetCenter();
}

}  // namespace

FLOW(attention, a_key_encodes_and_a_click_shows_the_tokens_row) {
  flow.run("file.close");
  flow.open(flow.file("waves.png"));
  const ImageU8 before = flow.canvas();
  flow.key(ImGuiKey_E);
  flow.settle();
  IM_CHECK_STR_EQ(flow.workspace().tools.active().id.c_str(), "pick");
  flow.click(kToken);
  flow.settle();
  IM_CHECK(heat(flow) != nullptr);
  IM_CHECK(heat(flow)->bounds() == kWindow);
  const ImageU8 after = flow.canvas();
  IM_CHECK_GT(difference(flow, before, after, kWindow), 5.0);
  IM_CHECK_EQ(difference(flow, before, after, {0, 0, 90, 240}), 0.0);   // outside nothing changes
  IM_CHECK_EQ(difference(flow, before, after, {240, 0, 80, 240}), 0.0);
}

FLOW(attention, modifiers_ask_for_column_rollout_and_global_tokens) {
  encode(flow);
  flow.click(kToken, ImGuiMod_Shift);
  flow.settle();
  IM_CHECK_STR_EQ(view(flow)["method"].get<std::string>().c_str(), "column");
  IM_CHECK(heat(flow)->bounds() == kWindow);   // windows are symmetric
  flow.click(kToken, ImGuiMod_Ctrl);
  flow.settle();
  IM_CHECK_STR_EQ(view(flow)["method"].get<std::string>().c_str(), "rollout");
  IM_CHECK_GT(heat(flow)->bounds().width, kWindow.width);   // several layers reach farther
  flow.click(kToken);
  flow.settle();
  IM_CHECK_STR_EQ(view(flow)["method"].get<std::string>().c_str(), "row");   // a modifier is of one click
}

FLOW(attention, alt_and_a_click_leave_the_menu_alone) {
  encode(flow);
  flow.click(kToken, ImGuiMod_Alt);
  flow.settle();
  IM_CHECK(!view(flow)["tokens"]["global"].is_null());
  IM_CHECK_EQ(static_cast<int>(ImGui::GetCurrentContext()->NavLayer), static_cast<int>(ImGuiNavLayer_Main));
}

FLOW(attention, a_modifier_let_go_before_the_button_counts) {
  encode(flow);
  flow.move(kToken);
  flow.ui.KeyDown(ImGuiMod_Ctrl);
  flow.ui.MouseDown();
  flow.ui.KeyUp(ImGuiMod_Ctrl);
  flow.ui.MouseUp();
  flow.settle();
  IM_CHECK_STR_EQ(view(flow)["method"].get<std::string>().c_str(), "rollout");
}

FLOW(attention, dragging_a_box_asks_for_the_mean) {
  encode(flow);
  flow.drag({100, 100}, {139, 123});
  flow.settle();
  IM_CHECK_STR_EQ(view(flow)["tokens"]["box"].dump().c_str(), "[12,12,4,6]");   // tokens of 8 pixels: row, column, rows, columns
  IM_CHECK_LT(sum(*heat(flow)), 1.0);   // a mean of rows: one less what goes to global tokens
  IM_CHECK_GT(sum(*heat(flow)), 0.3);
}

FLOW(attention, the_brush_collects_tokens) {
  encode(flow);
  flow.key(ImGuiKey_B);
  flow.drag({100, 100}, {180, 100});
  flow.settle();
  const auto brush = view(flow)["tokens"]["brush"];
  IM_CHECK_GT(static_cast<int>(brush.size()), 9);   // ten tokens along the way at least
  IM_CHECK(heat(flow) != nullptr);
}

FLOW(attention, the_lasso_takes_what_it_goes_round) {
  encode(flow);
  IM_CHECK(flow.run("tool.lasso"));
  // Three corners of a triangle, closed where the button is let go.
  const auto place = [&](Point p) { return flow.on_screen(p); };
  flow.ui.MouseTeleportToPos(place({80, 60}));
  flow.ui.MouseDown();
  for (const Point p : {Point{200, 60}, Point{80, 180}}) flow.ui.MouseMoveToPos(place(p));
  flow.ui.MouseUp();
  flow.settle();
  const auto brush = view(flow)["tokens"]["brush"];
  constexpr double kPatch = 8, expected = 120 * 120 / 2 / (kPatch * kPatch);
  IM_CHECK_LT(std::abs(static_cast<double>(brush.size()) - expected), expected * 0.2 + 2);
  for (const auto& token : brush) {   // middles inside
    const double x = (token[1].get<double>() + 0.5) * kPatch, y = (token[0].get<double>() + 0.5) * kPatch;
    IM_CHECK_GT(x, 79.0);
    IM_CHECK_GT(y, 59.0);
    IM_CHECK_LT(x - 80 + y - 60, 122.0);
  }
  IM_CHECK(heat(flow) != nullptr);
}

FLOW(attention, keys_step_through_layers_and_heads) {
  encode(flow);
  flow.click(kToken);
  flow.settle();
  const auto layer = view(flow)["layer"].get<int>();
  const float top = heat(flow)->style.high;
  flow.key(ImGuiKey_Comma);
  flow.key(ImGuiKey_RightBracket);
  flow.settle();
  IM_CHECK_EQ(view(flow)["layer"].get<int>(), layer - 1);
  IM_CHECK_STR_EQ(view(flow)["heads"].get<std::string>().c_str(), "one");
  IM_CHECK_NE(heat(flow)->style.high, top);
  flow.key(ImGuiKey_LeftBracket);
  flow.key(ImGuiKey_Period);
  flow.settle();
  IM_CHECK_EQ(heat(flow)->style.high, top);
  for (int i = 0; i < 20; ++i) flow.key(ImGuiKey_Period);   // stays at the last one
  IM_CHECK_EQ(view(flow)["layer"].get<int>(), layer);
}

FLOW(attention, the_wall_shows_a_head_under_the_mouse_and_pins_it_on_a_click) {
  encode(flow);
  flow.click(kToken);
  flow.settle();
  const float top = heat(flow)->style.high;
  flow.key(ImGuiKey_H);
  flow.settle();
  flow.ui.MouseMoveToPos(wall_cell(flow, 14));
  flow.settle();
  const float hovered = heat(flow)->style.high;
  IM_CHECK_NE(hovered, top);
  flow.move({300, 10});
  flow.settle();
  IM_CHECK_EQ(heat(flow)->style.high, top);
  flow.ui.MouseMoveToPos(wall_cell(flow, 14));
  flow.ui.MouseClick();
  flow.move({300, 10});
  flow.settle();
  IM_CHECK_EQ(heat(flow)->style.high, hovered);
  IM_CHECK_STR_EQ(view(flow)["heads"].get<std::string>().c_str(), "one");
}

FLOW(attention, the_mass_slider_hides_weak_tokens_and_a_fixed_range_holds) {
  encode(flow);
  flow.click(kToken);
  flow.settle();
  IM_CHECK_EQ(heat(flow)->threshold, -std::numeric_limits<float>::infinity());
  flow.ui.ItemInputValue("//Attention###attention/Mass", 50.0f);
  flow.settle();
  const float threshold = heat(flow)->threshold;
  double shown = 0;
  for (const float value : heat(flow)->raster().values) shown += value >= threshold ? value : 0;
  IM_CHECK_LT(std::abs(shown / sum(*heat(flow)) - 0.5), 0.05);
  flow.ui.ItemClick("//Attention###attention/Fixed range");
  flow.settle();
  const float high = heat(flow)->style.high;
  flow.key(ImGuiKey_Comma);
  flow.settle();
  IM_CHECK_EQ(heat(flow)->style.high, high);
  flow.ui.ItemClick("//Attention###attention/Fixed range");
  flow.settle();
  IM_CHECK_NE(heat(flow)->style.high, high);
}

FLOW(attention, marks_and_panels_draw_and_a_dot_shows_its_head) {
  encode(flow);
  flow.click(kToken);
  for (const ImGuiKey key : {ImGuiKey_R, ImGuiKey_N, ImGuiKey_S, ImGuiKey_D, ImGuiKey_W}) {
    flow.key(key);
    flow.settle();
  }
  IM_CHECK(view(flow)["field_contours"].get<bool>());
  IM_CHECK(view(flow)["outliers"].get<bool>());
  IM_CHECK(!view(flow)["window_outline"].get<bool>());
}

FLOW(attention, a_kept_map_lies_below_the_next_and_the_curtain_hangs_between_them) {
  encode(flow);
  flow.click(kToken);
  flow.settle();
  flow.key(ImGuiKey_K);
  flow.click({60, 60});
  flow.settle();
  const LayerList& layers = flow.workspace().layers;
  std::size_t top = 0;
  while (top < layers.size() && layers.at(top).id != explore::kHeatLayer) ++top;
  IM_CHECK_GE(static_cast<int>(top), 2);   // image, kept map, what is asked
  IM_CHECK_LT(static_cast<int>(top), static_cast<int>(layers.size()));
  const Layer& kept = layers.at(top - 1);
  IM_CHECK(kept.removable);
  flow.key(ImGuiKey_C);
  flow.settle();
  IM_CHECK_STR_EQ(flow.workspace().comparison.curtain.left.c_str(), kept.id.c_str());
  IM_CHECK_STR_EQ(flow.workspace().comparison.curtain.right.c_str(), explore::kHeatLayer);
}

FLOW(attention, every_method_gives_a_picture) {
  encode(flow);
  flow.click(kToken);
  flow.settle();
  for (const explore::MethodChoice& choice : explore::method_choices()) {
    IM_CHECK(flow.run(std::string("attention.method.") + choice.method));
    flow.settle();
    IM_CHECK_STR_EQ(view(flow)["method"].get<std::string>().c_str(), choice.method);
    const bool colours = std::string_view(choice.method) == "pca";
    IM_CHECK(colours ? flow.workspace().layers.find(explore::kColourLayer) != nullptr : heat(flow) && !heat(flow)->raster().values.empty());
  }
}

FLOW(attention, undo_brings_tokens_and_method_back) {
  encode(flow);
  flow.click(kToken);
  flow.settle();
  const auto first = view(flow);
  flow.click({40, 40}, ImGuiMod_Shift);
  flow.settle();
  flow.key(ImGuiMod_Ctrl | ImGuiKey_Z);
  flow.settle();
  IM_CHECK_STR_EQ(view(flow).dump().c_str(), first.dump().c_str());
  IM_CHECK(heat(flow)->bounds() == kWindow);
}

FLOW(attention, a_click_before_encoding_says_what_to_do) {
  flow.open(flow.file("map.tif"));
  flow.key(ImGuiKey_T);
  flow.click(kToken);
  flow.settle();
  IM_CHECK(heat(flow) == nullptr);
  IM_CHECK(flow.workspace().messages.all().back().text.find("press E") != std::string::npos);
}

FLOW(attention, another_image_forgets_what_was_encoded) {
  encode(flow);
  flow.click(kToken);
  flow.settle();
  flow.open(flow.file("blocks.png"));
  IM_CHECK(heat(flow) == nullptr);
  flow.click({100, 100});
  flow.settle();
  IM_CHECK(heat(flow) == nullptr);
}

FLOW(attention, escape_cancels_an_encoding) {
  flow.open(flow.file("blocks.png"));
  flow.key(ImGuiMod_Shift | ImGuiKey_E);
  const auto share = [&] {
    float most = 0;
    for (const auto& running : flow.workspace().running) most = std::max(most, running().value_or(RunningWork{}).share);
    return most;
  };
  flow.wait("the model is at work on a layer", [&] { return share() > 0; });
  flow.key(ImGuiKey_Escape);
  flow.ui.Yield(2);
  IM_CHECK_EQ(share(), 0.0f);
  flow.settle();
  flow.click({100, 100});   // a click asks nothing of what was not encoded
  flow.settle();
  IM_CHECK(heat(flow) == nullptr);
  flow.open(flow.file("waves.png"));
  encode(flow);   // and the next one works
  flow.click(kToken);
  flow.settle();
  IM_CHECK(heat(flow) != nullptr);
}

}  // namespace fovea::gui
