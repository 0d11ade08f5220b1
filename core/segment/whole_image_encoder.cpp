#include "core/segment/whole_image_encoder.h"

#include <algorithm>
#include <cmath>

#include "core/base/integers.h"
#include "core/base/progress.h"
#include "core/segment/global_softmax.h"
#include "core/segment/halo.h"
#include "core/segment/read_ahead.h"

namespace fovea {
namespace {

// Calls body(first, count) for consecutive pieces of [begin, end).
template <class Body>
void for_pieces(std::int64_t begin, std::int64_t end, std::int64_t piece, const Body& body) {
  for (std::int64_t first = begin; first < end; first += piece) body(first, std::min(piece, end - first));
}

TokenStreamOptions stream_options(std::int64_t tokens, const SegmentationModel& model, std::int64_t channels,
                                  const WholeImageBands& bands) {
  return {.tokens = tokens, .channels = channels, .dtype = bands.stream_dtype.value_or(model.dtype()), .compute_dtype = model.dtype(),
          .home = bands.stream_home, .compute = model.device()};
}

}  // namespace

const char* whole_image_unsupported(const ModelConfig& config) {
  if (!config.decoder) return "the model has no decoder";
  if (config.encoder.positions != Positions::kRope) return "the model's positions are learned on a fixed grid";
  const auto& layers = config.encoder.attention;
  const bool dense = std::any_of(layers.begin(), layers.end(), [](const LayerAttention& layer) { return layer.dense; });
  return dense ? "the model has layers in which every token attends to every other" : nullptr;
}

// What a sweep of one layer carries from band to band.
struct WholeImageEncoder::Layer {
  std::int64_t index = 0;
  Block& block;
  std::int64_t halo = 0;
  GlobalSoftmax softmax;
  // Rows of tokens in packed_, behind the global tokens: projected before any of them was written back.
  std::int64_t first_row = 0, end_row = 0;
};

WholeImageEncoder::WholeImageEncoder(ImageSource& source, SegmentationModel& model, const WholeImageBands& bands)
    : source_(source), model_(model), bands_(bands),
      rows_(divide_up(source.info().height, model.config().encoder.patch)),
      columns_(divide_up(source.info().width, model.config().encoder.patch)),
      residual_(stream_options(rows_ * columns_, model, model.config().encoder.width, bands)),
      fused_(stream_options(rows_ * columns_, model, model.config().decoder.value().width, bands)),
      globals_(model.encoder().global_tokens(1).contiguous()) {
  require(bands.encoder_rows >= 1 && bands.decoder_rows >= 1, "WholeImageBands: at least one row");
  require(whole_image_unsupported(model.config()) == nullptr, "WholeImageEncoder: the model is not supported");
}

Rect pixels_of_rows(const ImageInfo& image, std::int64_t patch, std::int64_t first_row, std::int64_t rows) {
  return {0, first_row * patch, image.width, std::min(rows * patch, image.height - first_row * patch)};
}

torch::Tensor WholeImageEncoder::fused(std::int64_t first_row, std::int64_t rows) const {
  return fused_.read(first_row * columns_, rows * columns_).unsqueeze(0);
}

void WholeImageEncoder::tokenize(const std::stop_token& stop) {
  const std::int64_t patch = model_.config().encoder.patch;
  const std::int64_t rows = bands_.token_rows > 0 ? bands_.token_rows : bands_.encoder_rows;
  std::vector<Rect> windows;
  for_pieces(0, rows_, rows, [&](std::int64_t first, std::int64_t count) {
    windows.push_back(pixels_of_rows(source_.info(), patch, first, count));
  });
  const ImageInfo& image = source_.info();
  const auto place = torch::TensorOptions(torch::kUInt8).device(model_.device());
  if (bands_.keep_pixels) pixels_ = torch::empty({1, image.height, image.width, 3}, place).permute({0, 3, 1, 2});
  ReadAhead reader(source_, std::move(windows), model_.device());
  for_pieces(0, rows_, rows, [&](std::int64_t first, std::int64_t count) {
    throw_if_stopped(stop);
    const auto rgb = reader.next();
    if (bands_.keep_pixels) pixels_.narrow(2, first * patch, rgb.size(2)).copy_(rgb);
    const auto pixels = model_.preprocess(rgb);
    residual_.write(first * columns_, model_.encoder().patch_tokens(pixels, first, {rows_, columns_}).squeeze(0));
  });
  read_times_ = {.busy = reader.busy_seconds(), .wait = reader.wait_seconds()};
}

void WholeImageEncoder::run(const std::function<void(double)>& step, const std::stop_token& stop) {
  const EncoderConfig& config = model_.config().encoder;
  const auto options = torch::TensorOptions(model_.dtype()).device(model_.device());
  const std::int64_t capacity = std::min(rows_, bands_.encoder_rows + 2 * largest_halo(config)) * columns_;
  packed_ = torch::empty({globals_.size(1) + capacity, 3, config.heads, config.head_dim()}, options);
  pieces_ = TokenPieces(config, rows_ * columns_, options);
  rotary_ = rotary_tables({.grid = {rows_, columns_}, .head_dim = config.head_dim(), .base = config.rope_base, .dtype = model_.dtype(),
                           .device = model_.device()});
  const auto& taps = model_.decoder()->config().layers;
  const std::int64_t layers = *std::max_element(taps.begin(), taps.end());
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    sweep(layer, [&](double share) { step((static_cast<double>(layer) + share) / static_cast<double>(layers)); }, stop);
  }
  packed_ = torch::Tensor();
  pieces_ = {};
}

// One layer for all tokens. A band's queries need keys and values from halo rows on both sides, all of them as they were before this
// layer: rows below are projected ahead of their own band, rows above are kept from theirs.
void WholeImageEncoder::sweep(std::int64_t layer, const std::function<void(double)>& step, const std::stop_token& stop) {
  const std::int64_t globals = globals_.size(1);
  Block& block = model_.encoder().block(layer);
  block.prepare();
  const Qkv of_globals = block.project_qkv(globals_, {.global_tokens = globals, .columns = columns_});
  const auto first_places = packed_.narrow(0, 0, globals);
  first_places.select(1, 0).copy_(of_globals.query.squeeze(0));
  first_places.select(1, 1).copy_(of_globals.key.squeeze(0));
  first_places.select(1, 2).copy_(of_globals.value.squeeze(0));
  Layer state{.index = layer, .block = block, .halo = halo_of(block.attention()),
              .softmax = {of_globals.query, 1 / std::sqrt(static_cast<double>(model_.config().encoder.head_dim()))}};
  if (globals > 0) state.softmax.add(of_globals.key, of_globals.value);
  for (std::int64_t begin = 0; begin < rows_; begin += bands_.encoder_rows) {
    throw_if_stopped(stop);
    const std::int64_t end = std::min(begin + bands_.encoder_rows, rows_);
    forget_before(state, std::max<std::int64_t>(0, begin - state.halo));
    project_up_to(state, std::min(rows_, end + state.halo));
    finish(state, begin, end);
    step(static_cast<double>(end) / static_cast<double>(rows_));
  }
  globals_ = block.finish(globals_, state.softmax.result());
}

// Moves the rows that are still needed to the front, in steps that do not overlap themselves.
void WholeImageEncoder::forget_before(Layer& state, std::int64_t first_row) {
  const std::int64_t dropped = first_row - state.first_row, kept = state.end_row - first_row;
  const auto rows = [&](std::int64_t first, std::int64_t count) {
    return packed_.narrow(0, globals_.size(1) + first * columns_, count * columns_);
  };
  if (dropped > 0) {
    for_pieces(0, kept, dropped, [&](std::int64_t first, std::int64_t count) { rows(first, count).copy_(rows(first + dropped, count)); });
  }
  state.first_row = first_row;
}

void WholeImageEncoder::project_up_to(Layer& state, std::int64_t end_row) {
  const std::int64_t begin = state.end_row * columns_, end = end_row * columns_;
  const auto place_of = [&](std::int64_t first, std::int64_t count) {
    return packed_.narrow(0, globals_.size(1) + first - state.first_row * columns_, count);
  };
  pieces_.run(begin, end, [&](std::int64_t first, std::int64_t count, const BlockScratch& scratch) {
    state.block.project_into(residual_.read(first, count), {.first = first, .tables = rotary_}, scratch, place_of(first, count));
  });
  if (end > begin) {
    const auto packed = place_of(begin, end - begin);
    state.softmax.add(packed.select(1, 1).unsqueeze(0), packed.select(1, 2).unsqueeze(0));
  }
  state.end_row = std::max(state.end_row, end_row);
}

// Attention over all rows at hand, of which those of the halo lack neighbours and are passed over; then the rest of the block.
void WholeImageEncoder::finish(const Layer& state, std::int64_t begin_row, std::int64_t end_row) {
  const std::int64_t globals = globals_.size(1), rows = state.end_row - state.first_row;
  const auto sequence = packed_.narrow(0, 0, globals + rows * columns_).unsqueeze(0);
  const Qkv qkv{sequence.select(2, 0), sequence.select(2, 1), sequence.select(2, 2)};
  const auto attended = state.block.attend(qkv, {.global_tokens = globals, .first_row = state.first_row, .rows = rows, .columns = columns_})
                            .squeeze(0).flatten(1);
  pieces_.run(begin_row * columns_, end_row * columns_, [&](std::int64_t first, std::int64_t count, const BlockScratch& scratch) {
    const auto tokens = residual_.read(first, count);
    state.block.finish_in_place(tokens, attended.narrow(0, globals + first - state.first_row * columns_, count), scratch);
    residual_.write(first, tokens);
    take_features(state.index, first, tokens);
  });
}

void WholeImageEncoder::take_features(std::int64_t layer, std::int64_t first, const torch::Tensor& tokens) {
  const auto& taps = model_.decoder()->config().layers;
  const auto tap = std::find(taps.begin(), taps.end(), layer + 1);
  if (tap == taps.end()) return;
  const auto features = model_.decoder()->fuse(static_cast<std::size_t>(tap - taps.begin()), model_.encoder().norm(tokens));
  fused_.write(first, tap == taps.begin() ? features : fused_.read(first, tokens.size(0)) + features);
}

}  // namespace fovea
