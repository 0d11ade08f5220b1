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
  std::string context = "tiles";              // tiles
  std::int64_t tile = 1024, overlap = 256;    // pixels
  std::vector<std::string> formats;           // png, tif; empty: by size
  bool overlay = false;
  std::string on_error = "skip";              // skip, stop
  std::string events;                         // file; empty: none
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
  bool rope = false;
};

struct InfoRequest {
  std::string subject;                        // an image, a model; empty: the program itself
};

// What every command has.
struct CommonOptions {
  int threads = 0;                            // 0: one a core
  Verbosity verbosity = Verbosity::kNormal;
};

struct Request {
  CommonOptions common;
  std::variant<SegmentRequest, TrainRequest, EvalRequest, ImportRequest, InfoRequest> command;
};

}  // namespace fovea::cli
