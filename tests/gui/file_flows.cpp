// Files: opened by dialog, by drop, from the list of recent ones; unreadable, broken, gone or changed while open.
#include <fstream>

#include "app/viewer/resources.h"
#include "core/image/writers.h"
#include "tests/gui/flow.h"
#include "tests/gui/pictures.h"

namespace fovea::gui {
namespace {

// A frame looks at the open file once a second of the stage's time.
void wait_a_second(Flow& flow) { flow.ui.Yield(75); }

}  // namespace

FLOW(files, the_dialog_walks_folders_and_opens_an_image) {
  std::filesystem::create_directories(flow.file("inner"));
  std::filesystem::copy_file(flow.file("blocks.png"), flow.file("inner") / "another.png", std::filesystem::copy_options::overwrite_existing);
  flow.key(ImGuiMod_Ctrl | ImGuiKey_O);
  flow.ui.Yield(2);
  ImGuiWindow* files = flow.ui.WindowInfo("//Open image/##files").Window;
  IM_CHECK(files != nullptr);
  flow.ui.SetRef(files);
  flow.ui.ItemClick("inner\\/");
  flow.ui.Yield(2);
  flow.ui.ItemClick("another.png");   // marks it
  flow.ui.Yield(2);
  IM_CHECK_STR_NE(flow.open_name().c_str(), "another.png");
  flow.ui.ItemClick("//Open image/Open");
  flow.settle();
  IM_CHECK_STR_EQ(flow.open_name().c_str(), "another.png");
  IM_CHECK_EQ(flow.workspace().image->info.width, 1000);
}

FLOW(files, after_a_failure_the_dialog_is_where_the_file_was) {
  std::filesystem::create_directories(flow.file("elsewhere"));
  std::ofstream(flow.file("elsewhere") / "no_image.png") << "text";
  flow.on_main([&] { flow.viewer().open(flow.file("elsewhere") / "no_image.png"); });
  flow.expect_error("no_image.png");
  flow.key(ImGuiMod_Ctrl | ImGuiKey_O);
  flow.ui.Yield(2);
  flow.ui.SetRef(flow.ui.WindowInfo("//Open image/##files").Window);
  IM_CHECK(flow.ui.ItemExists("no_image.png"));
  flow.key(ImGuiKey_Escape);
}

FLOW(files, a_double_click_in_the_dialog_opens) {
  flow.key(ImGuiMod_Ctrl | ImGuiKey_O);
  flow.ui.Yield(2);
  flow.ui.SetRef(flow.ui.WindowInfo("//Open image/##files").Window);
  flow.ui.ItemDoubleClick("blocks.png");
  flow.settle();
  IM_CHECK_STR_EQ(flow.open_name().c_str(), "blocks.png");
  IM_CHECK_EQ(ImGui::GetCurrentContext()->OpenPopupStack.Size, 0);
}

FLOW(files, the_dialog_takes_a_typed_path_and_can_be_left) {
  flow.key(ImGuiMod_Ctrl | ImGuiKey_O);
  flow.ui.Yield(2);
  flow.ui.ItemInputValue("//Open image/##path", flow.file("blocks.png").c_str());
  flow.settle();
  IM_CHECK_STR_EQ(flow.open_name().c_str(), "blocks.png");
  flow.key(ImGuiMod_Ctrl | ImGuiKey_O);
  flow.ui.Yield(2);
  flow.key(ImGuiKey_Escape);
  flow.ui.Yield(2);
  IM_CHECK_EQ(ImGui::GetCurrentContext()->OpenPopupStack.Size, 0);
  IM_CHECK_STR_EQ(flow.open_name().c_str(), "blocks.png");
}

FLOW(files, a_dropped_file_opens) {
  flow.drop({flow.file("blocks.png")});
  IM_CHECK_STR_EQ(flow.open_name().c_str(), "blocks.png");
}

FLOW(files, recent_files_are_remembered_newest_first) {
  flow.open(flow.file("blocks.png"));
  flow.open(flow.file("map.tif"));
  const auto recent = load_settings(user_config_folder() / "viewer.json").recent;
  IM_CHECK_GT(static_cast<int>(recent.size()), 1);
  IM_CHECK_STR_EQ(recent[0].filename().c_str(), "map.tif");
  IM_CHECK_STR_EQ(recent[1].filename().c_str(), "blocks.png");
  IM_CHECK(flow.run("file.close"));
  flow.settle();
  flow.ui.ItemClick("//Canvas/$$1/blocks.png");   // the empty window lists them
  flow.settle();
  IM_CHECK_STR_EQ(flow.open_name().c_str(), "blocks.png");
}

FLOW(files, unreadable_files_leave_the_open_one_alone) {
  flow.drop({flow.file("garbage.png")});
  flow.expect_error("garbage.png");
  flow.drop({flow.file("nowhere.png")});
  flow.expect_error("nowhere.png");
  IM_CHECK_STR_EQ(flow.open_name().c_str(), "waves.png");
}

FLOW(files, a_dropped_folder_is_looked_through) {
  flow.drop({flow.stage().folder() / ""});
  const auto folder_is_open = [&] {
    const Panel* panel = flow.workspace().panels.find("folder");
    return panel && panel->open;
  };
  IM_CHECK(folder_is_open());
  IM_CHECK_STR_EQ(flow.open_name().c_str(), "waves.png");   // until a picture is chosen
}

FLOW(files, a_broken_image_says_so_and_the_program_goes_on) {
  flow.on_main([&] { flow.viewer().open(flow.file("broken.jpg")); });
  flow.expect_error("broken.jpg");
  flow.open(flow.file("blocks.png"));
  IM_CHECK_STR_EQ(flow.open_name().c_str(), "blocks.png");
}

FLOW(files, a_file_that_vanishes_is_told_and_can_be_opened_again) {
  const auto path = flow.file("vanishing.png");
  std::filesystem::copy_file(flow.file("blocks.png"), path, std::filesystem::copy_options::overwrite_existing);
  flow.open(path);
  std::filesystem::rename(path, flow.file("elsewhere.png"));
  wait_a_second(flow);
  flow.expect_error("vanishing.png");
  flow.wheel({500, 350}, 10);                      // what was read stays
  flow.settle();
  std::filesystem::rename(flow.file("elsewhere.png"), path);
  wait_a_second(flow);
  flow.key(ImGuiKey_F5);
  flow.settle();
  IM_CHECK_STR_EQ(flow.last_error().c_str(), "");
  IM_CHECK_STR_EQ(flow.open_name().c_str(), "vanishing.png");
}

FLOW(files, a_file_that_changes_is_told) {
  const auto path = flow.file("changing.png");
  std::filesystem::copy_file(flow.file("blocks.png"), path, std::filesystem::copy_options::overwrite_existing);
  flow.open(path);
  std::filesystem::copy_file(flow.file("waves.png"), path, std::filesystem::copy_options::overwrite_existing);
  std::filesystem::last_write_time(path, std::filesystem::file_time_type::clock::now() + std::chrono::seconds(5));
  wait_a_second(flow);
  flow.expect_error("changed");
  flow.key(ImGuiKey_F5);
  flow.settle();
  IM_CHECK_EQ(flow.workspace().image->info.width, 320);
}

FLOW(files, settings_that_cannot_be_kept_are_a_warning) {
  const auto config = user_config_folder();
  std::filesystem::rename(config, flow.file("config-aside"));
  std::ofstream(config.string()) << "a file where the folder should be";
  flow.open(flow.file("blocks.png"));
  bool warned = false;
  for (const Message& message : flow.workspace().messages.all()) warned |= message.severity == Severity::kWarning && message.text.find("viewer.json") != std::string::npos;
  std::filesystem::remove(config);
  std::filesystem::rename(flow.file("config-aside"), config);
  IM_CHECK(warned);
  IM_CHECK_STR_EQ(flow.open_name().c_str(), "blocks.png");
}

FLOW(files, garbage_settings_count_as_missing) {
  const auto file = flow.file("settings.json");
  for (const char* text : {"", "{", "[]", "{\"theme\": 7, \"recent\": {\"a\": 1}, \"video_memory_mb\": \"much\"}", "\xff\xfe"}) {
    std::ofstream(file.string()) << text;
    const Settings settings = load_settings(file);
    IM_CHECK(settings.theme == Theme::kDark);
    IM_CHECK_EQ(settings.video_memory_bytes, Settings{}.video_memory_bytes);
    IM_CHECK(settings.recent.empty());
  }
}

FLOW(files, closing_and_opening_many_times_leaves_nothing_behind) {
  for (int i = 0; i < 20; ++i) {
    const char* names[] = {"waves.png", "blocks.png", "map.tif", "grey16.tif"};
    flow.on_main([&] { flow.viewer().open(flow.file(names[i % 4])); });
    if (i % 3 == 0) flow.ui.Yield();               // before the last one is there
  }
  flow.settle();
  IM_CHECK(flow.run("file.close"));
  flow.settle();
  IM_CHECK_EQ(static_cast<int>(flow.workspace().tiles.pool->tiles()), 0);
  IM_CHECK_EQ(flow.workspace().tiles.pool->bytes(), 0);
  IM_CHECK_EQ(flow.workspace().tiles.cache->bytes(), 0);
}

}  // namespace fovea::gui
