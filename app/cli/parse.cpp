#include "app/cli/parse.h"

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <memory>
#include <sstream>

#include "app/cli/commands.h"

namespace fovea::cli {
namespace {

// Options and help of one command each; the returned function makes the request once the arguments are read.
using MakeCommand = std::function<decltype(Request::command)()>;

const char* const kDevices = "auto, cpu, cuda or cuda:INDEX";

void add_model_choice(CLI::App& command, ModelChoice& choice) {
  static const CLI::Validator device([](std::string& text) {
    const bool known = text == "auto" || text == "cpu" || text == "cuda" ||
                       (text.starts_with("cuda:") && text.size() > 5 && text.find_first_not_of("0123456789", 5) == std::string::npos);
    return known ? std::string() : "'" + text + "', expected " + kDevices;
  }, "");
  command.add_option("-m,--model", choice.model, "name of a model, or its folder")->capture_default_str();
  command.add_option("--device", choice.device, kDevices)->check(device)->capture_default_str();
  command
      .add_option("--precision", choice.precision,
                  "auto (bfloat16 where it is multiplied as it is: CUDA, CPUs with AVX512-BF16), float32 or bfloat16")
      ->check(CLI::IsMember({"auto", "float32", "bfloat16"}, CLI::ignore_case))
      ->capture_default_str();
}

#ifdef FOVEA_HAS_IMAGES
std::array<int, 2> shard_of(const std::string& text) {
  std::array<int, 2> shard{0, 0};
  int read = 0;
  const bool two =
      std::sscanf(text.c_str(), "%5d/%5d%n", &shard[0], &shard[1], &read) == 2 && static_cast<std::size_t>(read) == text.size();
  if (!two || shard[0] < 1 || shard[0] > shard[1]) throw CLI::ValidationError("--shard", "'" + text + "', expected i/n with 1 <= i <= n");
  return shard;
}

// "X,Y": exactly so many numbers.
template <class Number, std::size_t kCount>
void add_numbers(CLI::App& command, const std::string& name, std::optional<std::array<Number, kCount>>& target, const std::string& help) {
  const auto store = [&target](const std::vector<Number>& numbers) { std::copy_n(numbers.begin(), kCount, target.emplace().begin()); };
  command.add_option_function<std::vector<Number>>(name, store, help)->delimiter(',')->expected(static_cast<int>(kCount));
}

void add_points(CLI::App& command, const std::string& name, std::vector<std::array<std::int64_t, 2>>& target, const std::string& help) {
  const auto store = [&target, name](const std::vector<std::int64_t>& numbers) {
    if (numbers.size() % 2 != 0) throw CLI::ValidationError(name, "X,Y,X,Y,...: a point is two numbers");
    for (std::size_t i = 0; i < numbers.size(); i += 2) target.push_back({numbers[i], numbers[i + 1]});
  };
  command.add_option_function<std::vector<std::int64_t>>(name, store, help)->delimiter(',');
}

void check_scale(const std::string& text) {
  char* end = nullptr;
  const double factor = std::strtod(text.c_str(), &end);
  if (text == "none" || text == "auto" || (!text.empty() && *end == '\0' && std::isfinite(factor) && factor > 0)) return;
  throw CLI::ValidationError("--scale", "'" + text + "', expected none, auto or a factor above 0");
}

void add_segment_sizes(CLI::App& command, const std::shared_ptr<SegmentRequest>& request) {
  add_numbers(command, "--window", request->window, "X,Y,WIDTH,HEIGHT in pixels: this part of every image, as an image of its own");
  const auto take_scale = [request](const std::string& text) {
    check_scale(text);
    request->scale = text;
  };
  command.add_option_function<std::string>("--scale", take_scale,
                                           "what the model sees: none, pixel for pixel; auto, resampled to the nearest pixel size that\n"
                                           "it was trained on; or a factor. Results have the size of the image [none]");
  command.add_option("--pixel-size", request->pixel_size, "metres, with --scale auto: of images without georeference")
      ->check(CLI::PositiveNumber);
}

void add_segment_outputs(CLI::App& command, const std::shared_ptr<SegmentRequest>& request) {
  command.add_option("-f,--format", request->formats,
                     "png, tif, cog (masks), geojson, coco, probs (a band a class); several with commas;\n"
                     "default: png up to 2^28 pixels, tif above")
      ->delimiter(',')
      ->check(CLI::IsMember({"png", "tif", "cog", "geojson", "coco", "probs"}, CLI::ignore_case));
  command.add_flag("--overlay", request->overlay, "also write NAME_overlay.jpg: the image under its class colours");
  command.add_option("--polygon-coordinates", request->polygon_coordinates,
                     "of geojson: image, its own reference system, else pixels; epsg4326, longitude and latitude; pixels")
      ->check(CLI::IsMember({"image", "epsg4326", "pixels"}, CLI::ignore_case))
      ->capture_default_str();
  command.add_option("--simplify", request->simplify, "pixels that polygon borders may move by; 0: along the pixels' edges")
      ->check(CLI::Range(0.0, 1000.0))
      ->capture_default_str();
}

MakeCommand add_segment(CLI::App& command) {
  const auto request = std::make_shared<SegmentRequest>();
  command.add_option("INPUT", request->inputs, "images, folders (with their subfolders) or quoted globs")->required();
  command.add_option("-o,--output", request->output, "folder for masks and summary.json; created if missing")->required();
  add_model_choice(command, request->model);
  command.add_option("--context", request->context, "what a label may depend on: the whole image, exactly; tiles, overlapping and blended; "
                                                    "auto: image where the model allows it")
      ->check(CLI::IsMember({"auto", "image", "tiles"}, CLI::ignore_case))->capture_default_str();
  command.add_option("--max-memory", request->max_memory,
                     "of this process in host memory with --context image, as 8G; default: what there is")
      ->transform(CLI::AsSizeValue(false))->type_name("SIZE");
  command.add_option("--tile", request->tile, "with --context tiles: side of a tile in pixels")
      ->check(CLI::Range(64, 65536))->capture_default_str();
  command.add_option("--overlap", request->overlap, "with --context tiles: of neighbours in pixels; at most a quarter of a tile is used")
      ->check(CLI::Range(0, 16384))->capture_default_str();
  add_segment_sizes(command, request);
  add_segment_outputs(command, request);
  command.add_option("--on-error", request->on_error, "an unusable image: skip it or stop")
      ->check(CLI::IsMember({"skip", "stop"}, CLI::ignore_case))->capture_default_str();
  command.add_option("--max-failures", request->max_failures, "stop after this many unusable images")->check(CLI::PositiveNumber);
  command.add_flag("--resume", request->resume,
                   "keep what an earlier run with the same model and options finished; its files are verified");
  command.add_option_function<std::string>("--shard", [request](const std::string& text) { request->shard = shard_of(text); },
                                           "i/n: the i-th of n disjoint parts of the inputs, for n processes with the same output folder");
  command.add_option("--events", request->events, "append what happens to this file, one JSON object a line");
  command.footer("Example:  fovea segment photos/ extra.tif -o masks --overlay\n"
                 "Exit code: 0 all done, 1 some inputs failed (the rest are done), 2 usage, 3 environment or model.");
  return [request] { return *request; };
}

void add_attend_question(CLI::App& command, AttendQuestion& question) {
  add_numbers(command, "--at", question.at, "X,Y: the token at this pixel");
  add_numbers(command, "--box", question.box, "X,Y,WIDTH,HEIGHT: all tokens of a box of pixels");
  add_points(command, "--brush", question.brush, "X,Y,X,Y,...: the tokens that a stroke through these pixels touches");
  add_points(command, "--points", question.points, "X,Y,X,Y,...: the tokens at these pixels and no others");
  command.add_option("--disc", question.disc, "radius in pixels: all tokens around --at, or of the brush")
      ->check(CLI::PositiveNumber);
  command.add_option("--global", question.global, "a global token, from 0 (the class token, where there is one)")
      ->check(CLI::NonNegativeNumber);
  command
      .add_option("--method", question.method,
                  "of chosen tokens: row, column, rollout, rollout-from, field, norm-weighted, similarity; of all: entropy, distance,\n"
                  "global-mass, kept-mass, variation, divergence, pattern, changed, pca, norms (docs/attention-analysis.md)")
      ->capture_default_str();
  command.add_option("--layer", question.layer, "from 0; default: the last")->check(CLI::NonNegativeNumber);
  command.add_option("--head", question.head, "a number from 0, mean, max or min")->capture_default_str();
  command.add_option("--share", question.share, "of attention against the residual stream, in rollouts")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command.add_option("--paths", question.paths, "of rollouts: all, or local ones, which pass through no global token")
      ->check(CLI::IsMember({"all", "local"}))
      ->capture_default_str();
  command.add_option("--window", question.window, "tokens, odd: the pattern to compare with")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command.add_option("--dilation", question.dilation, "of that pattern")->check(CLI::PositiveNumber)->capture_default_str();
  command.add_option("--globals", question.globals, "global tokens kept by that pattern; default: all")->check(CLI::NonNegativeNumber);
  command.add_option("--dense-layers", question.dense_layers, "L,L,...: layers that stay dense in it (methods pattern, changed)")
      ->delimiter(',');
  command.add_option("-o,--output", question.output, "picture to write, .png or .jpg");
  command.add_option("--raw", question.raw, "float32 GeoTIFF of the values");
  command.add_option("--json", question.json, "numbers, and all that is needed to repeat them");
}

MakeCommand add_attend(CLI::App& command) {
  const auto request = std::make_shared<AttendRequest>();
  command.add_option("IMAGE", request->image, "an image of any size")->required();
  add_attend_question(command, request->question);
  request->model.precision = "float32";   // before the help takes it down
  add_model_choice(command, request->model);
  add_numbers(command, "--region", request->region,
              "X,Y,WIDTH,HEIGHT in pixels: compute this part (and its halo); default: the whole image");
  command
      .add_option("--region-globals", request->region_globals,
                  "what the region's global tokens saw: image (exact, a pass over all of it) or region (quick, approximate)")
      ->check(CLI::IsMember({"image", "region"}))
      ->capture_default_str();
  command
      .add_option("--halo", request->halo,
                  "what is computed around the region: as much as the method needs to be exact, the reach of all layers (model), of the\n"
                  "widest layer (layer), or none; layer is what the viewer does for models with global tokens")
      ->check(CLI::IsMember({"method", "model", "layer", "none"}))
      ->capture_default_str();
  command.add_option("--batch", request->batch, "file of questions, a JSON object a line with the keys at, box, method, output, ...")
      ->check(CLI::ExistingFile);
  command.add_option("--colours", request->colours, "viridis, magma or cividis")
      ->check(CLI::IsMember({"viridis", "magma", "cividis"}))
      ->capture_default_str();
  command
      .add_option("--colour-scale", request->colour_scale, "linear, or log: for values spread over orders of magnitude, as rollouts are")
      ->check(CLI::IsMember({"linear", "log"}))
      ->capture_default_str();
  command.add_option("--clip", request->clip, "percentile of the values that gets the last colour")
      ->check(CLI::Range(50.0, 100.0))
      ->capture_default_str();
  add_numbers(command, "--range", request->range, "LOW,HIGH: values of the first and last colour, instead of --clip");
  command.add_option("--opacity", request->opacity, "of the colours over the image, 0 ... 1")
      ->check(CLI::Range(0.0, 1.0))
      ->capture_default_str();
  command.add_option("--size", request->size, "pixels: the longer side of the picture")
      ->check(CLI::Range(64, 16384))
      ->capture_default_str();
  command.add_option("--pixel-size", request->pixel_size, "metres, of images without georeference: for distances")
      ->check(CLI::PositiveNumber);
  command.add_flag("--all-heads", request->all_heads, "the wall: every layer and head");
  command.add_flag("--raw-pixels", request->raw_pixels, "--raw at the resolution of the image, not of the tokens");
  command.footer("Example:  fovea attend scene.tif --at 1200,800 --method rollout -o looks.png --raw looks.tif --json looks.json\n"
                 "Exit code: 0 all done, 1 image unusable or some questions of --batch failed, 2 usage, 3 environment or model.");
  return [request] { return *request; };
}
#endif

MakeCommand add_eval(CLI::App& command) {
  const auto request = std::make_shared<EvalRequest>();
  command.add_option("--images", request->images, "folder of X.jpg|png|tif with X_mask.png, or a packed .safetensors")->required();
  request->model.precision = "float32";
  add_model_choice(command, request->model);
  command.add_option("--only", request->only, "names (X) of the images to take; default: all")->delimiter(',');
  const auto take_region = [request](const std::vector<double>& sides) { std::copy_n(sides.begin(), 4, request->region.begin()); };
  command.add_option_function<std::vector<double>>("--region", take_region, "LEFT,TOP,RIGHT,BOTTOM as fractions: this part of each image")
      ->delimiter(',')
      ->expected(4)
      ->check(CLI::Range(0.0, 1.0));
  command.add_option("--tile", request->tile, "side of a tile in pixels")->check(CLI::Range(64, 65536))->capture_default_str();
  command.add_option("--margin", request->margin, "pixels at a tile's border that do not count")
      ->check(CLI::Range(0, 16384))->capture_default_str();
  command.add_option("--max-tiles", request->max_tiles, "evaluate this many tiles only; 0: all")->check(CLI::NonNegativeNumber);
  command.footer("Prints per-class IoU, mIoU and pixel accuracy as JSON.\n"
                 "Example:  fovea eval --model aerial --images data/validation --only scene7 --region 0.67,0,1,1");
  return [request] { return *request; };
}

MakeCommand add_train(CLI::App& command) {
  const auto request = std::make_shared<TrainRequest>();
  command.add_option("CONFIG", request->config, "recipe, a JSON file (docs/training.md)")->required();
  command.add_flag("--restart", request->restart, "begin anew even if the recipe's output folder has a checkpoint to go on from");
  command.footer("Stopped with Ctrl-C it writes a checkpoint; the same command goes on from there.\n"
                 "Example:  fovea train roofs.json");
  return [request] { return *request; };
}

MakeCommand add_import(CLI::App& command) {
  const auto request = std::make_shared<ImportRequest>();
  command.add_option("SOURCE", request->source,
                     "a .safetensors or .onnx file, or a folder with model.safetensors (transformers Dinov2Model, timm)")
      ->required();
  command.add_option("-o,--output", request->output, "model folder to write")->required();
  command.add_option("--name", request->name, "of the model; default: the folder's name");
  command.add_option("--licence", request->licence, "of the weights, recorded in config.json")->capture_default_str();
  command.add_option("--heads", request->heads, "default: from config.json beside the weights, else 64 channels a head")
      ->check(CLI::PositiveNumber);
  command.add_option("--patch", request->patch, "resample the patch embedding to this many pixels")->check(CLI::PositiveNumber);
  command.add_option("--global-tokens", request->global_tokens, "at least as many as the source has")->check(CLI::Range(0, 64));
  command.add_option("--window", request->window, "odd: attention within this many tokens a side; default: dense")
      ->check(CLI::PositiveNumber);
  // Not bound to the optional itself: CLI11 2.1 gives an optional flag that was not there the value 0.
  const auto base = std::make_shared<double>(0.0);
  const auto* rope = command.add_flag("--rope{100}", *base,
                                       "--rope or --rope=BASE: tell places by 2-D rotary embedding instead of learned positions")
                         ->check(CLI::Range(1.0, 1e9));
  command.add_option("--seed", request->seed, "of the noise that further global tokens start from")->capture_default_str();
  command.footer("Example:  fovea import dinov2-small/ -o models/backbone --patch 8 --window 17 --rope");
  return [request, base, rope] {
    if (rope->count() > 0) request->rope = *base;
    return *request;
  };
}

MakeCommand add_info(CLI::App& command) {
  const auto request = std::make_shared<InfoRequest>();
  command.add_option("SUBJECT", request->subject, "an image, a model's name or folder; without it: this program and machine");
  command.footer("Example:  fovea info scene.tif");
  return [request] { return *request; };
}

void add_bench_attention(CLI::App& command, BenchRequest::Attention& attention) {
  command.add_option("--backend", attention.backend, "attention: force one back end (fovea info lists them)");
  command.add_option("--only", attention.only, "attention: cases whose names contain this");
  command.add_option("--seconds", attention.seconds, "attention: spent on each measurement")
      ->check(CLI::Range(0.01, 600.0))->capture_default_str();
}

void add_bench_segment(CLI::App& command, BenchRequest::Segment& segment) {
  command.add_option("--sizes", segment.sizes, "segment: megapixels of squares, or WIDTHxHEIGHT")->delimiter(',')->capture_default_str();
  command.add_option("--sources", segment.sources, "segment: memory (no file takes part), tiff, jpeg")
      ->delimiter(',')->check(CLI::IsMember({"memory", "tiff", "jpeg"}))->capture_default_str();
  command.add_option("--contexts", segment.contexts, "segment: image, tiles")
      ->delimiter(',')->check(CLI::IsMember({"image", "tiles"}))->capture_default_str();
  command.add_option("--images", segment.images, "segment: so many like files, as a folder")->check(CLI::Range(1, 1'000'000));
  command.add_option("--small", segment.small, "segment: small files through the model alone, together, or as usual on the device (auto)")
      ->check(CLI::IsMember({"auto", "alone", "together"}))->capture_default_str();
  command.add_option("--repeats", segment.repeats, "segment: the fastest of so many runs")
      ->check(CLI::Range(1, 100))->capture_default_str();
  command.add_option("--profile", segment.profile, "segment: list so many of the steps that take longest, by one more run from memory")
      ->check(CLI::Range(0, 1000));
  command.add_option("--max-memory", segment.max_memory, "segment: as of fovea segment")
      ->transform(CLI::AsSizeValue(false))->type_name("SIZE");
  command.add_option("--band-memory", segment.band_memory, "segment: of one step at most; default: what is fast")
      ->transform(CLI::AsSizeValue(false))->type_name("SIZE");
  command.add_option("--folder", segment.folder, "segment: for image files, which stay there; default: a temporary one");
}

MakeCommand add_bench(CLI::App& command) {
  const auto request = std::make_shared<BenchRequest>();
  command.add_option("WHAT", request->subject,
                     "attention: the operator against its floor and torch; segment: images of several sizes, by stage; "
                     "view: the viewer off screen (fovea bench view -h)")
      ->required()->check(CLI::IsMember({"attention", "segment"}));
  add_model_choice(command, request->model);
  add_bench_attention(command, request->attention);
  add_bench_segment(command, request->segment);
  command.add_flag("--json", request->json, "for programs");
  command.footer("Example:  fovea bench attention --device cpu --json\n"
                 "Example:  fovea bench segment --sizes 1,16 --sources memory,tiff --device cuda\n"
                 "Exit code: 3 if a result was wrong or a measurement failed.");
  return [request] { return *request; };
}

void add_common(CLI::App& command, CommonOptions& common) {
  command.add_option("--threads", common.threads, "CPU threads; default: one a core")->check(CLI::Range(1, 4096));
  command.add_flag_callback("-v,--verbose", [&common] { common.verbosity = Verbosity::kVerbose; }, "say more");
  command.add_flag_callback("-q,--quiet", [&common] { common.verbosity = Verbosity::kQuiet; }, "say nothing but errors");
}

// "fovea segment: --output is required (fovea segment -h helps)": one line, subject first.
std::string usage_message(const CLI::App& program, const CLI::ParseError& error) {
  std::string subject = "fovea";
  for (const CLI::App* command : program.get_subcommands()) subject += " " + command->get_name();
  std::string what = error.what();
  for (char& character : what) {
    if (character == '\n') character = ' ';
  }
  return subject + ": " + what + " (" + subject + " -h helps)\n";
}

bool has_command(const CLI::App& program, std::string_view word) {
  return !program.get_subcommands([&](const CLI::App* command) { return command->get_name() == word; }).empty();
}

std::string unknown_command_message(const CLI::App& program, const std::string& word) {
  std::string names;
  for (const CLI::App* command : program.get_subcommands([](const CLI::App*) { return true; })) {
    names += (names.empty() ? "" : ", ") + command->get_name();
  }
  return "fovea: '" + word + "' is not a command; there are " + names + " (fovea -h helps)\n";
}

}  // namespace

ParseResult parse_command_line(int argument_count, const char* const* arguments) {
  CLI::App program("Segments images of any size with a vision transformer.", "fovea");
  program.set_version_flag("--version", "fovea " FOVEA_VERSION);
  program.require_subcommand(0, 1);
  program.footer("Example:  fovea segment photos/ -o masks --overlay\nfovea COMMAND -h tells more about a command.");
  CommonOptions common;
  std::map<const CLI::App*, MakeCommand> makers;
  const auto add = [&](const char* name, const char* description, MakeCommand (*options)(CLI::App&)) {
    CLI::App* command = program.add_subcommand(name, description);
    makers[command] = options(*command);
    add_common(*command, common);
  };
#ifdef FOVEA_HAS_IMAGES
  add("segment", "label every pixel of images, folders, globs", add_segment);
  add("attend", "show what the model attends to", add_attend);
#endif
  add("eval", "measure a model on labelled images", add_eval);
  add("train", "train a model on images and masks of your own", add_train);
  add("import", "turn a foreign vision transformer into a model folder", add_import);
  add("bench", "measure the speed of this machine", add_bench);
  add("info", "tell about an image, a model, or this program and machine", add_info);

  ParseResult result;
  const std::string_view first = argument_count > 1 ? arguments[1] : "-";
  if (!first.starts_with('-') && !has_command(program, first)) {
    result.standard_error = unknown_command_message(program, std::string(first));
    result.exit_code = kExitUsage;
    return result;
  }
  try {
    program.parse(argument_count, arguments);
    if (program.get_subcommands().empty()) throw CLI::RequiredError("a command");
    result.request = Request{common, makers.at(program.get_subcommands().front())()};
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() != static_cast<int>(CLI::ExitCodes::Success)) {
      result.standard_error = usage_message(program, error);
      result.exit_code = kExitUsage;
    } else {
      std::ostringstream output;
      program.exit(error, output, output);   // help or version
      result.standard_output = output.str();
    }
  }
  return result;
}

}  // namespace fovea::cli
