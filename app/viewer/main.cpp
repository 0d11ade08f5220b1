// The program fovea-view: arguments, exit codes as those of fovea.
#include <CLI/CLI.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <optional>
#include <vector>

#include "app/viewer/display_watch.h"
#include "app/viewer/main_loop.h"
#include "app/viewer/viewer.h"
#include "app/viewer/window.h"
#include "core/image/writers.h"

namespace {

constexpr auto kScreenshotPatience = std::chrono::seconds(60);

volatile std::sig_atomic_t interrupted = 0;

struct Arguments {
  std::vector<std::string> files;
  std::string screenshot, theme, device = "auto";
  int width = 1440, height = 900;
  float scale = 0;
  bool keys = false;
};

std::optional<int> parse(int argc, char** argv, Arguments& arguments) {
  CLI::App app("Explore an image of any size.");
  app.footer("Example: fovea-view scene.tif");
  app.add_option("FILE", arguments.files,
                 "An image or a project (.fovea); further files are laid over it (class maps) or added (folders of models)");
  app.add_option("--device", arguments.device, "For the model: auto, cpu, cuda, cuda:INDEX");
  app.add_option("--theme", arguments.theme, "dark or light, this time")->check(CLI::IsMember({"dark", "light"}));
  app.add_option("--screenshot", arguments.screenshot,
                 "Write a PNG of the window once everything is shown, and end; exit code 1 and a line where something could not be shown");
  app.add_option("--width", arguments.width, "Width of the window")->check(CLI::Range(64, 16384));
  app.add_option("--height", arguments.height, "Height of the window")->check(CLI::Range(64, 16384));
  app.add_option("--scale,--force-scale", arguments.scale, "Size of text and controls (default: the monitor's)")
      ->check(CLI::Range(0.5f, 4.0f));
  app.add_flag("--keys", arguments.keys, "Print all keys and what the mouse does, as Markdown, and end");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return std::nullopt;
}

int run(const Arguments& arguments) {
  const bool hidden = !arguments.screenshot.empty() || arguments.keys;
  fovea::Window window({.width = arguments.width, .height = arguments.height,
                        .visibility = hidden ? fovea::Visibility::kHidden : fovea::Visibility::kVisible, .scale = arguments.scale});
  fovea::Viewer viewer(window);
  if (arguments.keys) {
    std::fputs(fovea::keyboard_map(viewer.workspace().actions).c_str(), stdout);
    return 0;
  }
  const fovea::DisplayWatch watch(viewer);
  if (!arguments.theme.empty()) fovea::apply_theme(arguments.theme == "light" ? fovea::Theme::kLight : fovea::Theme::kDark, window.scale());
  viewer.workspace().model.device = arguments.device;
  for (const std::string& file : arguments.files) viewer.open(file);
  std::signal(SIGINT, [](int) { interrupted = 1; });
  std::signal(SIGTERM, [](int) { interrupted = 1; });
  const auto deadline = std::chrono::steady_clock::now() + kScreenshotPatience;
  const auto drawn = [&] {
    if (!hidden || (!viewer.settled() && std::chrono::steady_clock::now() < deadline)) return true;
    fovea::write_png(arguments.screenshot, window.read());
    return false;
  };
  fovea::run_main_loop(window, viewer, {.drawn = drawn, .interrupted = [] { return interrupted != 0; }});
  const std::string error = hidden ? viewer.workspace().messages.last_error() : "";
  if (!error.empty()) std::fprintf(stderr, "%s\n", error.c_str());   // nobody sees the window that says it
  return error.empty() ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  Arguments arguments;
  if (const auto code = parse(argc, argv, arguments)) return *code;
  try {
    return run(arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", fovea::first_line(error.what()).c_str());
    return 3;
  }
}
