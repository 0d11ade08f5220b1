// What a command line asks for, checked as far as that goes without loading anything. No torch.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace fovea::cli {

enum class Verbosity { kQuiet, kNormal, kVerbose };

// Which model, and what runs it.
struct ModelChoice {
  std::string model = "aerial";      // a name on the search path or a folder
  std::string device = "auto";       // auto, cpu, cuda, cuda:INDEX
  std::string precision = "auto";    // auto, float32, bfloat16
};

struct SegmentRequest {
  std::vector<std::string> inputs;
  std::string output;                         // folder
  ModelChoice model;
  std::string context = "auto";               // auto, image, tiles
  std::int64_t tile = 1024, overlap = 256;    // pixels
  std::uint64_t max_memory = 0;               // bytes; 0: what the machine has
  std::vector<std::string> formats;           // png, tif, cog, geojson, coco, probs; empty: a mask by size
  std::string polygon_coordinates = "image";  // image, epsg4326, pixels
  double simplify = 1;                        // pixels
  std::optional<std::array<std::int64_t, 4>> window;   // x, y, width, height in pixels
  std::string scale = "none";                 // none, auto, a factor
  std::optional<double> pixel_size;           // metres, of images without georeference
  bool overlay = false;
  std::string on_error = "skip";              // skip, stop
  std::int64_t max_failures = 0;              // 0: no limit
  bool resume = false;
  std::array<int, 2> shard{1, 1};             // index, count
  std::string events;                         // file; empty: none
};

// What `fovea attend` is asked about one image; a line of a batch file says the same.
struct AttendQuestion {
  std::optional<std::array<std::int64_t, 2>> at;     // x, y in pixels
  std::optional<std::array<std::int64_t, 4>> box;    // x, y, width, height in pixels
  std::vector<std::array<std::int64_t, 2>> brush;    // x, y in pixels: the corners of a stroke
  std::optional<double> disc;                        // radius in pixels around at, or of the brush
  std::optional<std::int64_t> global;
  std::vector<std::array<std::int64_t, 2>> points;   // x, y in pixels: the tokens there, all alike
  std::string method = "row";
  std::int64_t layer = -1;                           // 0-based; -1: the last
  std::string head = "mean";
  double share = 0.5;                                // of attention, in rollouts
  std::string paths = "all";                         // of rollouts: all, local (through no global token)
  std::int64_t window = 17, dilation = 1;            // of the pattern to compare with
  std::optional<std::int64_t> globals;
  std::vector<std::int64_t> dense_layers;
  std::string output, raw, json;                     // files; empty: none
  std::int64_t line = 0;                             // of the batch file
};

struct AttendRequest {
  std::string image;
  ModelChoice model;
  AttendQuestion question;
  std::string batch;                                 // file of questions, one JSON object a line
  std::optional<std::array<std::int64_t, 4>> region; // x, y, width, height in pixels
  std::string region_globals = "image";              // what the region's global tokens saw: image, region
  std::string halo = "method";                       // of the region: method, model, layer, none
  std::string colours = "viridis";
  std::string colour_scale = "linear";               // linear, log
  double clip = 99.5;                                // percentile
  std::optional<std::array<double, 2>> range;        // fixed normalisation
  double opacity = 0.6;                              // of the colours over the image
  std::int64_t size = 1600;                          // pixels: the picture's longer side
  std::optional<double> pixel_size;                  // metres, of images without georeference
  bool all_heads = false;
  bool raw_pixels = false;                           // raw at the image's resolution instead of the tokens'
};

struct TrainRequest {
  std::string config;                         // file
  bool restart = false;                       // instead of going on from the last checkpoint
};

struct EvalRequest {
  std::string images;                         // folder of images and masks, or a packed .safetensors
  ModelChoice model;
  std::vector<std::string> only;              // names
  std::array<double, 4> region{0, 0, 1, 1};   // left, top, right, bottom as fractions
  std::int64_t tile = 1024, margin = 128;     // pixels
  std::int64_t max_tiles = 0;
};

struct ImportRequest {
  std::string source, output;
  std::string name, licence = "unknown";
  std::optional<std::int64_t> heads, patch, global_tokens, window;
  std::optional<double> rope;                 // base of the 2-D rotary embedding; none: learned positions stay
  std::uint64_t seed = 0;
};

struct InfoRequest {
  std::string subject;                        // an image, a model; empty: the program itself
};

struct BenchRequest {
  std::string subject;                        // attention, segment
  ModelChoice model;                          // attention: the device only
  bool json = false;
  struct Attention {
    std::string backend, only;                // empty: the operator's choice, all cases
    double seconds = 2;                       // a measurement
  } attention;
  struct Segment {
    std::vector<std::string> sizes{"1", "16", "100"};   // megapixels of a square, or WIDTHxHEIGHT
    std::vector<std::string> sources{"memory"};         // memory, tiff, jpeg
    std::vector<std::string> contexts{"image", "tiles"};
    int repeats = 1, profile = 0, images = 1;
    std::string small = "auto";                         // auto, alone, together
    std::uint64_t max_memory = 0, band_memory = 0;      // bytes; 0: what there is
    std::string folder;                                 // of files; empty: the system's for temporary files
  } segment;
};

// What every command has.
struct CommonOptions {
  int threads = 0;                            // 0: one a core
  Verbosity verbosity = Verbosity::kNormal;
};

struct Request {
  CommonOptions common;
  std::variant<SegmentRequest, AttendRequest, TrainRequest, EvalRequest, ImportRequest, InfoRequest, BenchRequest> command;
};

}  // namespace fovea::cli
