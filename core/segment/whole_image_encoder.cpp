#include "core/segment/whole_image_encoder.h"

#include <algorithm>
#include <cmath>

#include "core/base/progress.h"
#include "core/segment/global_softmax.h"
#include "core/segment/read_ahead.h"

namespace fovea {
namespace {

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

TokenStreamOptions stream_options(const ImageInfo& info, const SegmentationModel& model, std::int64_t channels, const WholeImageBands& bands) {
  const std::int64_t patch = model.config().encoder.patch;
  return {.rows = divide_up(info.height, patch), .columns = divide_up(info.width, patch), .channels = channels,
          .dtype = bands.stream_dtype.value_or(model.dtype()), .compute_dtype = model.dtype(), .home = bands.stream_home,
          .compute = model.device()};
}

// Rows of tokens above and below a query's that it can see.
std::int64_t halo_of(const LayerAttention& attention) {
  return (attention.window[0] - 1) / 2 * *std::max_element(attention.dilation.begin(), attention.dilation.end());
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
  Block& block;
  std::int64_t halo = 0;
  Qkv globals;               // [1, G, heads, D]
  // Global tokens, then the rows [first_row, end_row) of tokens: projected before any of them was written back.
  Qkv rows;
  std::int64_t first_row = 0, end_row = 0;
};

WholeImageEncoder::WholeImageEncoder(ImageSource& source, SegmentationModel& model, const WholeImageBands& bands)
    : source_(source), model_(model), bands_(bands),
      residual_(stream_options(source.info(), model, model.config().encoder.width, bands)),
      fused_(stream_options(source.info(), model, model.config().decoder.value().width, bands)),
      globals_(model.encoder().global_tokens(1).contiguous()) {
  require(bands.encoder_rows >= 1 && bands.decoder_rows >= 1, "WholeImageBands: at least one row");
  require(whole_image_unsupported(model.config()) == nullptr, "WholeImageEncoder: the model is not supported");
}

Rect pixels_of_rows(const ImageInfo& image, std::int64_t patch, std::int64_t first_row, std::int64_t rows) {
  return {0, first_row * patch, image.width, std::min(rows * patch, image.height - first_row * patch)};
}

void WholeImageEncoder::tokenize(const std::stop_token& stop) {
  const std::int64_t height = residual_.rows(), patch = model_.config().encoder.patch;
  std::vector<Rect> windows;
  for (std::int64_t row = 0; row < height; row += bands_.encoder_rows) {
    windows.push_back(pixels_of_rows(source_.info(), patch, row, bands_.encoder_rows));
  }
  ReadAhead reader(source_, std::move(windows), model_.device());
  for (std::int64_t row = 0; row < height; row += bands_.encoder_rows) {
    throw_if_stopped(stop);
    const auto pixels = model_.preprocess(reader.next());
    residual_.write(row, model_.encoder().patch_tokens(pixels, row, {height, residual_.columns()}));
  }
  read_times_ = {.busy = reader.busy_seconds(), .wait = reader.wait_seconds()};
}

void WholeImageEncoder::run(const std::function<void(double)>& step, const std::stop_token& stop) {
  const auto& taps = model_.decoder()->config().layers;
  const std::int64_t layers = *std::max_element(taps.begin(), taps.end());
  for (std::int64_t layer = 0; layer < layers; ++layer) {
    sweep(layer, [&](double share) { step((static_cast<double>(layer) + share) / static_cast<double>(layers)); }, stop);
  }
}

// One layer for all tokens. A band's queries need keys and values from halo rows on both sides, all of them as they were before this
// layer: rows below are projected ahead of their own band, rows above are kept from theirs.
void WholeImageEncoder::sweep(std::int64_t layer, const std::function<void(double)>& step, const std::stop_token& stop) {
  const std::int64_t height = residual_.rows(), globals = globals_.size(1);
  Block& block = model_.encoder().block(layer);
  Layer state{.block = block, .halo = halo_of(block.attention()), .globals = {}, .rows = {}};
  state.globals = block.project_qkv(globals_, {.global_tokens = globals, .columns = residual_.columns()});
  state.rows = state.globals;
  GlobalSoftmax softmax(state.globals.query, 1 / std::sqrt(static_cast<double>(model_.config().encoder.head_dim())));
  if (globals > 0) softmax.add(state.globals.key, state.globals.value);
  for (std::int64_t begin = 0; begin < height; begin += bands_.encoder_rows) {
    throw_if_stopped(stop);
    const std::int64_t end = std::min(begin + bands_.encoder_rows, height);
    extend(state, std::max<std::int64_t>(0, begin - state.halo), std::min(height, end + state.halo));
    const std::int64_t offset = globals + (begin - state.first_row) * residual_.columns(), count = (end - begin) * residual_.columns();
    softmax.add(state.rows.key.narrow(1, offset, count), state.rows.value.narrow(1, offset, count));
    const auto tokens = block.finish(residual_.read(begin, end - begin), attend(state, begin, end));
    residual_.write(begin, tokens);
    take_features(layer, begin, tokens);
    step(static_cast<double>(end) / static_cast<double>(height));
  }
  globals_ = block.finish(globals_, softmax.result());
}

// Forgets rows before first_row and projects those up to end.
void WholeImageEncoder::extend(Layer& state, std::int64_t first_row, std::int64_t end) {
  const std::int64_t columns = residual_.columns(), globals = globals_.size(1);
  const TokenRows ahead{.first_row = state.end_row, .rows = end - state.end_row, .columns = columns};
  Qkv added;
  if (ahead.rows > 0) added = state.block.project_qkv(residual_.read(ahead.first_row, ahead.rows), ahead);
  const std::int64_t dropped = (first_row - state.first_row) * columns, kept = (state.end_row - first_row) * columns;
  const auto join = [&](torch::Tensor Qkv::*part) {
    std::vector<torch::Tensor> parts{state.globals.*part};
    if (kept > 0) parts.push_back((state.rows.*part).narrow(1, globals + dropped, kept));
    if (ahead.rows > 0) parts.push_back(added.*part);
    return torch::cat(parts, 1);
  };
  state.rows = {join(&Qkv::query), join(&Qkv::key), join(&Qkv::value)};
  state.first_row = first_row;
  state.end_row = end;
}

// The rows [begin, end) of the attention over all rows at hand: those of the halo lack neighbours, and are cut off.
torch::Tensor WholeImageEncoder::attend(const Layer& state, std::int64_t begin, std::int64_t end) {
  const std::int64_t columns = residual_.columns(), globals = globals_.size(1);
  const TokenRows tokens{.global_tokens = globals, .first_row = state.first_row, .rows = state.end_row - state.first_row, .columns = columns};
  return state.block.attend(state.rows, tokens).narrow(1, globals + (begin - state.first_row) * columns, (end - begin) * columns);
}

void WholeImageEncoder::take_features(std::int64_t layer, std::int64_t first_row, const torch::Tensor& tokens) {
  const auto& taps = model_.decoder()->config().layers;
  const auto tap = std::find(taps.begin(), taps.end(), layer + 1);
  if (tap == taps.end()) return;
  const auto features = model_.decoder()->fuse(static_cast<std::size_t>(tap - taps.begin()), model_.encoder().norm(tokens));
  const bool first = tap == taps.begin();
  fused_.write(first_row, first ? features : fused_.read(first_row, tokens.size(1) / residual_.columns()) + features);
}

}  // namespace fovea
