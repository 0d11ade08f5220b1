#include "app/viewer/explore/attend_command.h"

#include <algorithm>

#include "app/viewer/explore/region.h"
#include "app/viewer/explore/view.h"

namespace fovea::explore {
namespace {

std::string list(std::initializer_list<std::int64_t> numbers) {
  std::string text;
  for (const std::int64_t number : numbers) text += (text.empty() ? "" : ",") + std::to_string(number);
  return text;
}

std::string heads_name(const HeadSelection& heads) {
  switch (heads.fusion) {
    case Fusion::kMean: return "mean";
    case Fusion::kMax: return "max";
    case Fusion::kMin: return "min";
    case Fusion::kOne: break;
  }
  return std::to_string(heads.head);
}

// How far beyond the region, as the encoding did.
const char* halo_name(const Encoded& encoded) {
  Margin margin = encoded.request.margin;
  if (margin == Margin::kAuto) margin = encoded.model->region_caveat.empty() ? Margin::kFull : Margin::kShort;
  return margin == Margin::kNone ? "none" : margin == Margin::kShort ? "layer" : "model";
}

void add_tokens(std::vector<std::string>& command, const Encoded& encoded, const Selection& tokens) {
  const auto add = [&](const char* option, const std::string& value) { command.insert(command.end(), {option, value}); };
  if (tokens.global_token) return add("--global", std::to_string(*tokens.global_token));
  if (tokens.box) {
    Rect pixels = pixels_of(encoded, *tokens.box);
    // Tokens at the edge of the image are partly beyond it.
    pixels.width = std::min(pixels.width, encoded.computed.x + encoded.computed.width - pixels.x);
    pixels.height = std::min(pixels.height, encoded.computed.y + encoded.computed.height - pixels.y);
    if (tokens.box->rows == 1 && tokens.box->columns == 1) return add("--at", list({pixels.x, pixels.y}));
    return add("--box", list({pixels.x, pixels.y, pixels.width, pixels.height}));
  }
  std::string points;
  for (const BrushToken& token : tokens.brush) {
    const Rect pixels = pixels_of(encoded, {token.row, token.column, 1, 1});
    points += (points.empty() ? "" : ",") + list({pixels.x, pixels.y});
  }
  add("--points", points);
}

LayerCommand without_command(const std::string& layer, const char* why) {
  return {.layer = layer, .command = {}, .writes = {}, .note = why};
}

// What differs between the layer and what its command makes.
std::string note_of(const Encoded& encoded, const Question& question) {
  const bool from_kept = question.method.starts_with("rollout") && question.rounding == Rounding::kQuick && encoded.model->device == "cpu";
  if (!from_kept) return encoded.caveat;
  return (encoded.caveat.empty() ? "" : encoded.caveat + "; ") +
         "shown from attention kept in half precision: the command's values differ from the fourth digit on";
}

}  // namespace

LayerCommand attend_command(const std::string& layer, const Encoded& encoded, const Question& question) {
  if (question.method == "kept-mass") return without_command(layer, "the window compares with dense attention near the chosen place only");
  if (question.window) return without_command(layer, "the row under a window that the model was not trained with");
  const MethodChoice& choice = method_choice(question.method);
  const bool colours = question.method == "pca";
  std::vector<std::string> command{"fovea", "attend", encoded.request.image.string(), "--model", encoded.request.model,
                                   "--device", encoded.model->device, "--precision", encoded.model->precision, "--method", question.method};
  const auto add = [&](const char* option, const std::string& value) { command.insert(command.end(), {option, value}); };
  if (question.layer >= 0) add("--layer", std::to_string(question.layer));
  if (choice.by_head) add("--head", heads_name(question.heads));
  if (question.method.starts_with("rollout")) add("--share", nlohmann::json(question.attention_share).dump());
  if (choice.needs_tokens) add_tokens(command, encoded, question.tokens);
  if (!encoded.whole_image) {
    const Rect& asked = encoded.asked;
    add("--region", list({asked.x, asked.y, asked.width, asked.height}));
    add("--halo", halo_name(encoded));
    add("--region-globals", "region");
  }
  const std::string file = colours ? "map.png" : "map.tif";
  add(colours ? "-o" : "--raw", file);
  return {.layer = layer, .command = command, .writes = file, .note = note_of(encoded, question)};
}

void write_raw_map(const std::filesystem::path& file, const Encoded& encoded, const Reply& reply, const GeoReference& georeference) {
  const MethodChoice& choice = method_choice(reply.question.method);
  const bool token_map = choice.needs_tokens && reply.question.method != "similarity";   // else a value of every token that was asked about
  const TokenBox all = token_map ? TokenBox{0, 0, encoded.rows, encoded.columns} : reply.place;
  ImageF32 values(all.columns, all.rows, 1);
  for (std::int64_t y = 0; y < reply.place.rows; ++y) {
    std::copy_n(reply.plane.row(y), reply.place.columns, values.row(reply.place.row - all.row + y) + reply.place.column - all.column);
  }
  const Rect pixels = pixels_of(encoded, all);
  const GeoReference placed = scaled_georeference(georeference, static_cast<double>(pixels.x), static_cast<double>(pixels.y),
                                                  static_cast<double>(encoded.model->config.encoder.patch));
  write_float_tiff(file, values, placed, reply.question.method + " [" + reply.unit + "]");
}

}  // namespace fovea::explore
