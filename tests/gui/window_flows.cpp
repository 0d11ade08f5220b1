// What is around the canvas: menus, palette, help, themes, panels.
#include "app/viewer/resources.h"
#include "core/base/files.h"
#include "tests/gui/flow.h"

namespace fovea::gui {

FLOW(window, the_palette_finds_and_runs_an_action) {
  flow.key(ImGuiMod_Ctrl | ImGuiMod_Shift | ImGuiKey_P);
  flow.ui.KeyChars("actual pix");
  flow.ui.Yield(2);
  flow.key(ImGuiKey_Enter);
  flow.settle();
  IM_CHECK_EQ(flow.camera().zoom(), 1.0);
  IM_CHECK(ImGui::FindWindowByName("Canvas") != nullptr);
  IM_CHECK_EQ(ImGui::GetCurrentContext()->OpenPopupStack.Size, 0);
}

FLOW(window, the_palette_closes_without_doing_anything) {
  const double zoom = flow.camera().zoom();
  flow.key(ImGuiMod_Ctrl | ImGuiMod_Shift | ImGuiKey_P);
  IM_CHECK_EQ(ImGui::GetCurrentContext()->OpenPopupStack.Size, 1);
  flow.ui.KeyChars("fullscreen nonsense that nothing is called");
  flow.key(ImGuiKey_Enter);
  flow.key(ImGuiKey_Escape);
  IM_CHECK_EQ(ImGui::GetCurrentContext()->OpenPopupStack.Size, 0);
  flow.settle();
  IM_CHECK_EQ(flow.camera().zoom(), zoom);
}

FLOW(window, letters_typed_into_a_field_are_no_shortcuts) {
  flow.key(ImGuiMod_Ctrl | ImGuiMod_Shift | ImGuiKey_P);
  const bool minimap = flow.workspace().settings.minimap;
  flow.ui.KeyChars("mq0");
  flow.key(ImGuiKey_M);
  flow.key(ImGuiKey_Q);
  IM_CHECK_EQ(flow.workspace().settings.minimap, minimap);
  IM_CHECK_EQ(flow.workspace().comparison.views(), 1);
  flow.key(ImGuiKey_Escape);
}

FLOW(window, help_opens_by_its_key_and_lists_every_shortcut) {
  flow.key(ImGuiMod_Shift | ImGuiKey_Slash);
  flow.ui.Yield(2);
  const ImGuiWindow* help = ImGui::FindWindowByName("Keys and mouse###help");
  IM_CHECK(help != nullptr);
  IM_CHECK(help->Active);
  const std::string map = keyboard_map(flow.workspace().actions);
  for (const Action& action : flow.workspace().actions.all()) {
    if (action.shortcut) IM_CHECK(map.find("| " + action.title + " | `" + chord_name(action.shortcut) + "`") != std::string::npos);
  }
  // fovea-view --keys > docs/keys.md
  IM_CHECK(map == read_text_file(std::filesystem::path(FOVEA_SOURCE_DIR) / "docs/keys.md"));
  flow.key(ImGuiKey_Escape);
  flow.ui.Yield(2);
  IM_CHECK(!help->Active);
}

FLOW(window, a_message_offers_a_way_on) {
  int pressed = 0;
  flow.on_main([&] { flow.workspace().messages.error("The model does not fit", {"Take another", [&] { ++pressed; }}); });
  flow.ui.Yield(3);
  flow.ui.ItemClick("//##toast0/Take another");
  flow.ui.Yield(2);
  IM_CHECK_EQ(pressed, 1);
  IM_CHECK(flow.workspace().messages.shown().empty());   // it is answered
  IM_CHECK_STR_EQ(flow.last_error().c_str(), "");
}

FLOW(window, the_tool_bar_shows_and_chooses_the_tool) {
  flow.ui.ItemClick("//##MainMenuBar/##MenuBar/Brush tokens");
  flow.ui.Yield();
  IM_CHECK_STR_EQ(flow.workspace().tools.active().id.c_str(), "brush");
  flow.ui.ItemClick("//##MainMenuBar/##MenuBar/Pan");
  flow.ui.Yield();
  IM_CHECK_STR_EQ(flow.workspace().tools.active().id.c_str(), "pan");
  flow.resize(420, 300);   // no room: nothing is drawn over the menus
  flow.ui.Yield(2);
  IM_CHECK_EQ(flow.ui.ItemInfo("//##MainMenuBar/##MenuBar/Pan", ImGuiTestOpFlags_NoError).ID, 0u);
}

FLOW(window, menus_run_actions_and_show_their_state) {
  flow.ui.SetRef("##MainMenuBar");
  flow.ui.MenuClick("View/Minimap");
  IM_CHECK(!flow.workspace().settings.minimap);
  flow.ui.MenuCheck("View/Minimap");
  IM_CHECK(flow.workspace().settings.minimap);
  flow.ui.MenuClick("View/Panels/Log");
  flow.ui.Yield(2);
  IM_CHECK(flow.workspace().panels.find("log")->open);
}

FLOW(window, the_theme_changes_and_is_remembered) {
  const ImVec4 dark = ImGui::GetStyleColorVec4(ImGuiCol_WindowBg);
  IM_CHECK(flow.run("view.light"));
  flow.settle();
  const ImVec4 light = ImGui::GetStyleColorVec4(ImGuiCol_WindowBg);
  IM_CHECK_GT(light.x, dark.x + 0.5f);
  IM_CHECK(load_settings(user_config_folder() / "viewer.json").theme == Theme::kLight);
  IM_CHECK(flow.run("view.light"));
  flow.settle();
  IM_CHECK_EQ(ImGui::GetStyleColorVec4(ImGuiCol_WindowBg).x, dark.x);
}

FLOW(window, every_panel_opens_and_closes) {
  for (const Panel& panel : flow.workspace().panels.all()) {
    const bool closes = panel.open && panel.seen;   // behind another tab it comes to the front instead
    IM_CHECK(flow.run("panel." + panel.id));
    flow.ui.Yield(3);
    IM_CHECK_EQ(panel.open, !closes);
    IM_CHECK_EQ(panel.seen, !closes);
    if (panel.open) {
      const ImGuiTestItemInfo window = flow.ui.WindowInfo(("//" + panel.title + "###" + panel.id).c_str());
      IM_CHECK(window.Window != nullptr);
      IM_CHECK(window.Window->Active);
    }
  }
  IM_CHECK(flow.run("view.reset_layout"));
  flow.ui.Yield(3);
  for (const Panel& panel : flow.workspace().panels.all()) IM_CHECK_EQ(panel.open, panel.open_at_start);
}

FLOW(window, the_empty_window_says_how_to_begin) {
  IM_CHECK(flow.run("file.close"));
  flow.settle();
  IM_CHECK(!flow.workspace().image.has_value());
  for (const Panel& panel : flow.workspace().panels.all()) {   // and every panel has something to say
    if (!panel.open) flow.run("panel." + panel.id);
  }
  flow.settle();
  for (const char* action : {"view.fit", "view.quad", "view.curtain", "layer.toggle_1", "attention.next_layer", "edit.undo"}) flow.run(action);
  flow.settle();
}

}  // namespace fovea::gui
