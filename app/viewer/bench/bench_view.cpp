// fovea_bench_view, started by `fovea bench view`: the viewer off screen along a recorded way over a gigapixel image with four overlays.
#include <glad/gl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "app/viewer/bench/bench_images.h"
#include "app/viewer/bench/camera_path.h"
#include "app/viewer/layers/image_layer.h"
#include "app/viewer/viewer.h"
#include "core/base/files.h"
#include "core/image/writers.h"

namespace fovea {
namespace {

using Clock = std::chrono::steady_clock;

constexpr auto kFrame = std::chrono::microseconds(16'667);
constexpr double kPatience_s = 120, kPreparationPatience_s = 1800;

struct Arguments {
  int width = 2560, height = 1440, frames = 1200;
  std::int64_t side = 32768;
  bool json = false, first = false;
  std::string folder, screenshots, trace;
  std::vector<std::string> open;
};

enum class Until { kFirstPicture, kComplete };

double ms_since(Clock::time_point start) { return std::chrono::duration<double, std::milli>(Clock::now() - start).count(); }

double thread_cpu_ms() {
  timespec now{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

// Time of this thread inside OpenGL's calls: those that draw (a software renderer sets its triangles up in there), those that allocate
// textures and those that fill them (a software renderer copies in there).
struct Account {
  double cpu_ms = 0, wall_ms = 0;
  int calls = 0;
};
Account drawing, allocating, filling;
template <class Function>
struct Timed;
template <class... Arguments>
struct Timed<void (*)(Arguments...)> {
  template <void (**slot)(Arguments...), Account* account>
  static void install() {
    static void (*original)(Arguments...) = nullptr;
    original = *slot;
    *slot = +[](Arguments... arguments) {
      const double before = thread_cpu_ms();
      const auto start = Clock::now();
      original(arguments...);
      account->cpu_ms += thread_cpu_ms() - before;
      account->wall_ms += ms_since(start);
      ++account->calls;
    };
  }
};

void time_drawing() {
  Timed<PFNGLDRAWARRAYSPROC>::install<&glad_glDrawArrays, &drawing>();
  Timed<PFNGLDRAWARRAYSINSTANCEDPROC>::install<&glad_glDrawArraysInstanced, &drawing>();
  Timed<PFNGLCLEARPROC>::install<&glad_glClear, &drawing>();
  Timed<PFNGLBINDFRAMEBUFFERPROC>::install<&glad_glBindFramebuffer, &drawing>();
  Timed<PFNGLTEXIMAGE2DPROC>::install<&glad_glTexImage2D, &allocating>();
  Timed<PFNGLTEXIMAGE3DPROC>::install<&glad_glTexImage3D, &allocating>();
  Timed<PFNGLBUFFERDATAPROC>::install<&glad_glBufferData, &filling>();
  Timed<PFNGLTEXSUBIMAGE3DPROC>::install<&glad_glTexSubImage3D, &filling>();
}

double percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  std::ranges::sort(values);
  return values[std::min(values.size() - 1, static_cast<std::size_t>(share * static_cast<double>(values.size())))];
}

nlohmann::json percentiles(const std::vector<double>& values) {
  return {{"p50", percentile(values, 0.5)}, {"p95", percentile(values, 0.95)}, {"p99", percentile(values, 0.99)},
          {"p99_9", percentile(values, 0.999)}, {"max", values.empty() ? 0 : *std::ranges::max_element(values)}};
}

class Bench {
 public:
  explicit Bench(const Arguments& arguments)
      : arguments_(arguments), window_({.width = arguments.width, .height = arguments.height, .visibility = Visibility::kOffScreen,
                                        .scale = 1}),
        viewer_(window_) {
    time_drawing();
  }

  nlohmann::json machine() const {
    const auto text = [](GLenum name) { return std::string(reinterpret_cast<const char*>(glGetString(name))); };
    return {{"renderer", text(GL_RENDERER)}, {"version", text(GL_VERSION)}, {"cpu_threads", std::thread::hardware_concurrency()}};
  }

  // From the wish to open a file to the first frame that shows all of it, if only coarsely, and to the one with every pixel.
  nlohmann::json open(const std::filesystem::path& file, Until until = Until::kComplete) {
    const auto start = Clock::now();
    viewer_.open(file);
    const double opened_ms = ms_since(start);
    double picture_ms = -1;
    bool again = true;
    do {
      window_.poll(again ? 0 : 0.5);   // as in the program: nothing is drawn while nothing happens
      again = frame().again;
      if (picture_ms < 0 && image().covers()) picture_ms = ms_since(start);
      if (picture_ms >= 0 && until == Until::kFirstPicture) return {{"open_call_ms", opened_ms}, {"first_picture_ms", picture_ms}};
    } while (!viewer_.settled() && ms_since(start) < 1e3 * kPatience_s);
    return {{"open_call_ms", opened_ms}, {"first_picture_ms", picture_ms}, {"complete_ms", ms_since(start)}};
  }

  // Until whatever is prepared in the background, so that the next time is fast, is there too.
  double prepare(const std::filesystem::path& file) {
    const auto start = Clock::now();
    const auto& layer = dynamic_cast<const ImageLayer&>(image());
    while (layer.build_progress() >= 0 && ms_since(start) < 1e3 * kPreparationPatience_s) {
      window_.poll(0.5);
      frame();
    }
    if (layer.build_progress() >= 0) {
      throw Error(ErrorKind::kEnvironment,
                  file.string() + ": not prepared within " + std::to_string(static_cast<int>(kPreparationPatience_s)) + " s");
    }
    return ms_since(start);
  }

  nlohmann::json fly() {
    add_bench_overlays(viewer_.workspace());
    std::vector<Cost> costs;
    std::vector<double> zooms;
    double missing_ms = 0, longest_missing_ms = 0, streak_ms = 0;
    auto tick = Clock::now();
    for (int i = 0; i < arguments_.frames; ++i) {
      follow_path(viewer_.workspace().camera, static_cast<double>(i) / (arguments_.frames - 1));
      const auto start = Clock::now();
      costs.push_back(frame());
      zooms.push_back(viewer_.workspace().camera.zoom());
      const bool missing = image().missing_now();
      tick += kFrame;
      if (Clock::now() < tick) std::this_thread::sleep_until(tick);
      else tick = Clock::now();
      streak_ms = missing ? streak_ms + ms_since(start) : 0;
      if (missing) missing_ms += ms_since(start);
      longest_missing_ms = std::max(longest_missing_ms, streak_ms);
      if (!arguments_.screenshots.empty() && i % std::max(1, arguments_.frames / 8) == arguments_.frames / 16) {
        write_png(std::filesystem::path(arguments_.screenshots) / ("view-" + std::to_string(i) + ".png"), window_.read());
      }
    }
    if (!arguments_.trace.empty()) write_trace(costs, zooms);
    const auto of = [&](auto&& value) {
      std::vector<double> values;
      for (const Cost& cost : costs) values.push_back(value(cost));
      return percentiles(values);
    };
    return {{"frames", arguments_.frames}, {"frame_ms", of([](const Cost& c) { return c.frame_ms; })},
            {"own_cpu_ms", of([](const Cost& c) { return c.own_ms; })},
            {"drawing_calls_cpu_ms", of([](const Cost& c) { return c.drawing.cpu_ms; })},
            {"texture_calls_cpu_ms", of([](const Cost& c) { return c.allocating.cpu_ms + c.filling.cpu_ms; })},
            {"gpu_wait_ms", of([](const Cost& c) { return c.wait_ms; })},
            {"tiles_missing_ms", missing_ms}, {"tiles_missing_longest_ms", longest_missing_ms}};
  }

  nlohmann::json memory() const {
    rusage usage{};
    ::getrusage(RUSAGE_SELF, &usage);
    return {{"video_memory_peak_mb", static_cast<double>(peak_pool_) / 1048576.0}, {"video_memory_budget_mb", pool().budget_bytes() >> 20},
            {"tiles_peak_mb", static_cast<double>(peak_cache_) / 1048576.0}, {"tiles_budget_mb", cache().budget_bytes() >> 20},
            {"process_peak_mb", usage.ru_maxrss / 1024}, {"frames_over_budget", over_budget_}};
  }
  int frames_over_budget() const { return over_budget_; }
  std::string last_error() { return viewer_.workspace().messages.last_error(); }

 private:
  // Of a frame. wait_ms: until OpenGL has drawn what it was told to.
  struct Cost {
    double own_ms, frame_ms, wait_ms;
    Account drawing, allocating, filling;
    bool again;
  };
  void write_trace(const std::vector<Cost>& costs, const std::vector<double>& zooms) const {
    std::string text = "frame,zoom,frame_ms,own_cpu_ms,drawing_wall_ms,allocating_wall_ms,allocations,filling_wall_ms,fillings,wait_ms\n";
    for (std::size_t i = 0; i < costs.size(); ++i) {
      const Cost& c = costs[i];
      char line[256];
      std::snprintf(line, sizeof line, "%zu,%.4f,%.2f,%.2f,%.2f,%.2f,%d,%.2f,%d,%.2f\n", i, zooms[i], c.frame_ms, c.own_ms,
                    c.drawing.wall_ms, c.allocating.wall_ms, c.allocating.calls, c.filling.wall_ms, c.filling.calls, c.wait_ms);
      text += line;
    }
    write_file_atomically(arguments_.trace, text);
  }
  TilePool& pool() const { return *viewer_.workspace().tiles.pool; }
  TileCache& cache() const { return *viewer_.workspace().tiles.cache; }
  const TiledLayer& image() const { return dynamic_cast<const TiledLayer&>(*viewer_.workspace().layers.find("image")); }

  // What the program's main loop does, with the CPU time of our code: everything but OpenGL's calls that draw and fill textures.
  Cost frame() {
    drawing = allocating = filling = {};
    const auto start = Clock::now();
    const double before = thread_cpu_ms();
    window_.begin_frame();
    const bool again = viewer_.frame();
    window_.collect();
    const double own_ms = thread_cpu_ms() - before - drawing.cpu_ms - allocating.cpu_ms - filling.cpu_ms;
    window_.draw_collected();
    const auto drawn = Clock::now();
    window_.present();
    const Cost cost{own_ms, ms_since(start), ms_since(drawn), drawing, allocating, filling, again};
    peak_pool_ = std::max(peak_pool_, pool().bytes());
    peak_cache_ = std::max(peak_cache_, cache().bytes() + cache().reserved_bytes());
    if (pool().bytes() > pool().budget_bytes() || cache().bytes() + cache().reserved_bytes() > cache().budget_bytes()) ++over_budget_;
    return cost;
  }

  Arguments arguments_;
  Window window_;
  mutable Viewer viewer_;
  std::int64_t peak_pool_ = 0, peak_cache_ = 0;
  int over_budget_ = 0;
};

void print_table(const nlohmann::json& result) {
  const auto line = [](const char* name, const nlohmann::json& p) {
    std::printf("%-28s p50 %7.2f  p95 %7.2f  p99 %7.2f  p99.9 %7.2f  max %7.2f ms\n", name, p["p50"].get<double>(), p["p95"].get<double>(),
                p["p99"].get<double>(), p["p99_9"].get<double>(), p["max"].get<double>());
  };
  std::printf("%s\n", result["machine"]["renderer"].get<std::string>().c_str());
  line("frame", result["flight"]["frame_ms"]);
  line("our code, CPU", result["flight"]["own_cpu_ms"]);
  line("OpenGL's texture calls, CPU", result["flight"]["texture_calls_cpu_ms"]);
  line("waiting for OpenGL", result["flight"]["gpu_wait_ms"]);
  std::printf("%-28s %.0f ms, longest %.0f ms\n", "tiles missing", result["flight"]["tiles_missing_ms"].get<double>(),
              result["flight"]["tiles_missing_longest_ms"].get<double>());
  for (const auto& [name, open] : result["open"].items()) {
    std::printf("open %-23s first picture %.0f ms, complete %.0f ms\n", name.c_str(), open["first_picture_ms"].get<double>(),
                open["complete_ms"].get<double>());
  }
  std::printf("%-28s %s\n", "memory", result["memory"].dump().c_str());
}

// Files are made where they are missing and left only in a folder that was named.
void forget_user(const std::filesystem::path& folder) {
  // A person's settings and caches are neither read nor written.
  std::error_code ignored;
  std::filesystem::remove_all(folder / "cache", ignored);
  ::setenv("XDG_CACHE_HOME", (folder / "cache").c_str(), 1);
  ::setenv("XDG_CONFIG_HOME", (folder / "cache").c_str(), 1);
}

// A person's own files: the first picture, all of it, what is prepared in the background, and the next time.
nlohmann::json open_files(Bench& bench, const Arguments& arguments) {
  nlohmann::json result;
  for (const std::string& file : arguments.open) {
    nlohmann::json& entry = result[file];
    entry["first_time"] = bench.open(file, arguments.first ? Until::kFirstPicture : Until::kComplete);
    if (arguments.first) continue;
    entry["prepared_ms"] = bench.prepare(file);
    entry["again"] = bench.open(file);
    entry["memory"] = bench.memory();
    if (const std::string error = bench.last_error(); !error.empty()) throw Error(ErrorKind::kEnvironment, error);
  }
  return result;
}

int run(const Arguments& arguments) {
  namespace fs = std::filesystem;
  std::string temporary = (fs::temp_directory_path() / "fovea_bench_view_XXXXXX").string();
  if (arguments.folder.empty() && !::mkdtemp(temporary.data())) {
    throw Error(ErrorKind::kEnvironment, temporary + ": cannot create this folder");
  }
  const fs::path folder = arguments.folder.empty() ? fs::path(temporary) : fs::path(arguments.folder);
  struct Remove {
    fs::path folder;
    ~Remove() {
      std::error_code ignored;
      if (!folder.empty()) fs::remove_all(folder, ignored);
    }
  } const remove{arguments.folder.empty() ? folder : fs::path()};
  fs::create_directories(folder);
  const fs::path tiff = folder / ("tiled-" + std::to_string(arguments.side) + ".tif"), jpeg = folder / "photo-100mp.jpg";
  forget_user(folder);
  if (!arguments.open.empty()) {
    Bench bench(arguments);
    std::printf("%s\n", open_files(bench, arguments).dump(2).c_str());
    return 0;
  }
  if (!fs::exists(tiff)) write_bench_tiff(tiff, arguments.side);
  if (!fs::exists(jpeg)) write_bench_jpeg(jpeg, 11600, 8640);
  Bench bench(arguments);
  nlohmann::json result{{"machine", bench.machine()}, {"canvas", {arguments.width, arguments.height}}, {"image_side", arguments.side}};
  result["open"]["jpeg_100mp_first_time"] = bench.open(jpeg);
  result["open"]["jpeg_100mp_again"] = bench.open(jpeg);
  result["open"]["tiled_tiff"] = bench.open(tiff);
  result["flight"] = bench.fly();
  result["memory"] = bench.memory();
  if (arguments.json) std::printf("%s\n", result.dump(2).c_str());
  else print_table(result);
  if (const std::string error = bench.last_error(); !error.empty()) throw Error(ErrorKind::kEnvironment, error);
  if (bench.frames_over_budget() > 0) throw Error(ErrorKind::kEnvironment, "memory budgets were exceeded");
  return 0;
}

}  // namespace
}  // namespace fovea

int main(int argc, char** argv) {
  fovea::Arguments arguments;
  CLI::App app("Frame times of the viewer over a gigapixel image, off screen.", "fovea bench view");
  app.add_flag("--json", arguments.json, "for programs");
  app.add_option("--folder", arguments.folder, "for image files, which stay there; default: a temporary one");
  app.add_option("--side", arguments.side, "of the square image, pixels")->check(CLI::Range(1024, 262144))->capture_default_str();
  app.add_option("--frames", arguments.frames, "of the way, at most 60 a second")->check(CLI::Range(2, 100000))->capture_default_str();
  app.add_option("--width", arguments.width, "of the window")->check(CLI::Range(64, 16384))->capture_default_str();
  app.add_option("--height", arguments.height, "of the window")->check(CLI::Range(64, 16384))->capture_default_str();
  app.add_option("--open", arguments.open, "files of yours instead: time to the first picture, to all of it, and the next time")
      ->expected(1, -1);
  app.add_flag("--first", arguments.first, "of --open: the first picture alone, nothing is prepared");
  app.add_option("--trace", arguments.trace, "a CSV file with what each frame of the way took");
  app.add_option("--screenshots", arguments.screenshots, "a folder for eight pictures along the way (they cost frame time)");
  app.footer("Example:  fovea bench view --json\nExit code: 3 if a budget of memory was exceeded or something failed.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  try {
    return fovea::run(arguments);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "fovea bench view: %s\n", fovea::first_line(error.what()).c_str());
    return 3;
  }
}
