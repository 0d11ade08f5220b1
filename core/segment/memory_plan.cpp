#include "core/segment/memory_plan.h"

#include <algorithm>
#include <cstdio>
#include <limits>

#include "core/base/integers.h"
#include "core/segment/halo.h"

namespace fovea {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;
// Band memory beyond which taller bands no longer gain speed: by then the halo is a small part of them and the products are large.
constexpr std::int64_t kEnoughForHostBands = 1024 * kMiB, kEnoughForDeviceBands = 8192 * kMiB;
constexpr std::int64_t kEnoughForHostTokens = 256 * kMiB, kEnoughForDeviceTokens = 256 * kMiB;   // of pixels becoming tokens
constexpr std::int64_t kPixelBytesAhead = 12;   // RGB of the band at work, of two that wait and of one that is being read (read_ahead.h)
constexpr std::int64_t kWorkspaceBytes = 64 * kMiB;   // of libraries and their threads, from the first step on
constexpr double kUsableShare = 0.9;   // of what is free: the rest is for allocators and the other programs' growth

// Live bytes of one step, counted from the tensors that exist at its widest point.
struct BandCost {
  double fixed = 0;      // whatever the height
  double per_row = 0;    // of tokens
};

BandCost encoder_cost(const EncoderConfig& encoder, std::int64_t columns, std::int64_t element_bytes, std::int64_t piece) {
  const std::int64_t sequence = 4 * encoder.width * element_bytes + 4 * encoder.heads;   // query, key, value, attended; log-sum-exp
  const std::int64_t step = (3 * encoder.width + encoder.mlp_width) * element_bytes;     // of a piece: normalised, branch, copy; hidden
  const double row = static_cast<double>(columns * sequence);
  return {.fixed = row * static_cast<double>(2 * largest_halo(encoder)) + static_cast<double>(piece * step), .per_row = row};
}

// Pixels as bytes, in float32 while they are normalised, and in the model's dtype, whole and cut into patches; the tokens.
BandCost token_cost(const EncoderConfig& encoder, std::int64_t columns, std::int64_t element_bytes) {
  const std::int64_t pixels = encoder.patch * encoder.patch * (3 + 3 * 4 + 2 * 3 * element_bytes);
  return {.per_row = static_cast<double>(columns * (pixels + encoder.width * element_bytes))};
}

BandCost decoder_cost(const ModelConfig& model, std::int64_t columns, std::int64_t element_bytes) {
  const double patch = static_cast<double>(model.encoder.patch), stem = static_cast<double>(model.decoder->stem_width);
  const double classes = static_cast<double>(model.classes.size());
  // A pixel: half resolution (1/4 of a place, about 7 maps of stem channels live), 1/4 resolution (1/16, 2 * stem), normalised pixels,
  // logits before and after they are shuffled.
  const double pixel = (7 * stem / 4 + 6 * 2 * stem / 16 + 9 + 2 * classes) * static_cast<double>(element_bytes) + 4 * classes + 16;
  const double row = pixel * patch * patch * static_cast<double>(columns);
  return {.fixed = row * 2 * 8, .per_row = row};                                 // a halo of up to 8 token rows on each side
}

BandCost operator+(const BandCost& a, const BandCost& b) { return {.fixed = a.fixed + b.fixed, .per_row = a.per_row + b.per_row}; }

std::int64_t bytes_of(const BandCost& cost, std::int64_t rows) {
  return static_cast<std::int64_t>(cost.fixed + cost.per_row * static_cast<double>(rows));
}

// At least 1, also where there is no room for it: whoever asks compares the sum with what there is.
std::int64_t rows_within(const BandCost& cost, std::int64_t bytes, std::int64_t rows) {
  return std::clamp<std::int64_t>(static_cast<std::int64_t>((static_cast<double>(bytes) - cost.fixed) / cost.per_row), 1, rows);
}

std::string size_text(std::int64_t bytes) {
  char text[32];
  if (bytes < 1'000'000'000) std::snprintf(text, sizeof text, "%.0f MB", static_cast<double>(std::max<std::int64_t>(0, bytes)) / 1e6);
  else std::snprintf(text, sizeof text, "%.1f GB", static_cast<double>(bytes) / 1e9);
  return text;
}

struct Shortage {
  std::string what;                              // of which kind of memory, and what is beside it
  std::int64_t needed = 0, available = 0;
};

[[noreturn]] void refuse(const Shortage& shortage, std::int64_t element_bytes) {
  throw Error(ErrorKind::kInput, "needs " + size_text(shortage.needed) + " of " + shortage.what + ", but only " +
                                     size_text(shortage.available) + " are available; try --context tiles --tile 256, which needs least" +
                                     (element_bytes > 2 ? ", or --precision bfloat16, which halves it" : ""));
}

// What the steps of an image cost. pixels and labels: on the host, wherever the model computes.
struct ImageCost {
  std::int64_t rows = 0, stream_elements = 0;
  BandCost tokens, encoder, decoder, pixels, labels;
};

ImageCost cost_of(const ImageInfo& image, const ModelConfig& model, const MemoryPlanRequest& request) {
  const std::int64_t patch = model.encoder.patch, rows = divide_up(image.height, patch), columns = divide_up(image.width, patch);
  const double row_pixels = static_cast<double>(patch * image.width), ahead = row_pixels * static_cast<double>(kPixelBytesAhead);
  return {.rows = rows,
          .stream_elements = rows * columns * (model.encoder.width + model.decoder->width),
          .tokens = token_cost(model.encoder, columns, request.element_bytes),
          .encoder = encoder_cost(model.encoder, columns, request.element_bytes, std::min(rows * columns, request.piece_tokens)),
          .decoder = decoder_cost(model, columns, request.element_bytes),
          .pixels = {.per_row = ahead},
          .labels = {.per_row = ahead + row_pixels * static_cast<double>(3 * request.label_bytes_a_pixel)}};
}

// Free for the steps: where their tensors live, up to what is worth taking, and on the host, where pixels and labels are.
struct Room {
  MemoryHome bands_home = MemoryHome::kHost;
  std::int64_t bands = 0, enough = 0, enough_tokens = 0, host = 0;
};

// Bands as high as there is room for, at least one row.
void fit_bands(MemoryPlan& plan, const ImageCost& cost, const Room& room) {
  const std::int64_t wanted = std::min(room.bands, room.enough), wanted_tokens = std::min(wanted, room.enough_tokens);
  const bool beside = room.bands_home == MemoryHome::kHost;   // pixels and labels take the memory that the bands do not
  const BandCost token_host = beside ? cost.tokens + cost.pixels : cost.pixels;
  const BandCost decoder_host = beside ? cost.decoder + cost.labels : cost.labels;
  plan.token_rows = std::min(rows_within(cost.tokens, wanted_tokens, cost.rows), rows_within(token_host, room.host, cost.rows));
  plan.encoder_rows = rows_within(cost.encoder, wanted, cost.rows);
  plan.decoder_rows = std::min(rows_within(cost.decoder, wanted, cost.rows), rows_within(decoder_host, room.host, cost.rows));
  plan.band_bytes = std::max({bytes_of(cost.tokens, plan.token_rows), bytes_of(cost.encoder, plan.encoder_rows),
                              bytes_of(cost.decoder, plan.decoder_rows)});
  plan.label_bytes = bytes_of(cost.labels, plan.decoder_rows);
  plan.host_bytes += std::max({bytes_of(token_host, plan.token_rows), beside ? bytes_of(cost.encoder, plan.encoder_rows) : 0,
                               bytes_of(decoder_host, plan.decoder_rows)});
  plan.device_bytes += beside ? 0 : plan.band_bytes;
}

}  // namespace

std::string MemoryPlan::text() const {
  return "stream " + size_text(stream_bytes) + (stream_home == MemoryHome::kDevice ? " on the device" : " in host memory") +
         (keep_pixels ? " with the pixels" : "") +
         (stream_element_bytes == 2 ? " (16 bits)" : " (32 bits)") + ", bands of " + std::to_string(encoder_rows) + " and " +
         std::to_string(decoder_rows) + " token rows (" + size_text(band_bytes) + "), image " + size_text(image_bytes) + "; host " +
         size_text(host_bytes) + ", device " + size_text(device_bytes);
}

std::int64_t small_image_bytes(const ImageInfo& image, const ModelConfig& model, std::int64_t element_bytes) {
  const std::int64_t patch = model.encoder.patch, rows = divide_up(image.height, patch), columns = divide_up(image.width, patch);
  const auto taps = static_cast<std::int64_t>(model.decoder->layers.size());
  // Beside what a band holds: the stream, the features of all taps, their sum; hidden values of the MLP of all tokens at once.
  const std::int64_t token = ((4 + taps) * model.encoder.width + model.decoder->width + model.encoder.mlp_width) * element_bytes;
  const BandCost band = encoder_cost(model.encoder, columns, element_bytes, 0) + decoder_cost(model, columns, element_bytes);
  return static_cast<std::int64_t>(band.per_row * static_cast<double>(rows)) + rows * columns * token;
}

std::int64_t enough_band_memory(MemoryHome bands_home) {
  return bands_home == MemoryHome::kDevice ? kEnoughForDeviceBands : kEnoughForHostBands;
}

MemoryPlan plan_whole_image(const ImageInfo& image, const ModelConfig& model, const MemoryPlanRequest& request) {
  const bool on_device = request.available.device_free > 0;
  const auto host = static_cast<std::int64_t>(kUsableShare * static_cast<double>(request.available.host));
  const auto device = static_cast<std::int64_t>(kUsableShare * static_cast<double>(request.available.device_free));
  const MemoryHome bands_home = on_device ? MemoryHome::kDevice : MemoryHome::kHost;
  const ImageCost cost = cost_of(image, model, request);
  const std::int64_t enough = request.band_memory_bytes > 0 ? request.band_memory_bytes : enough_band_memory(bands_home);
  MemoryPlan plan;
  plan.image_bytes = image.windowed ? 0 : image.width * image.height * 3;
  std::int64_t least_host = std::numeric_limits<std::int64_t>::max();
  enum class Pixels { kReadAgain, kKept };
  const auto attempt = [&](MemoryHome home, std::int64_t stream_element_bytes, Pixels pixels = Pixels::kReadAgain) {
    plan.stream_home = home;
    plan.keep_pixels = pixels == Pixels::kKept;
    plan.stream_element_bytes = stream_element_bytes;
    plan.stream_bytes = cost.stream_elements * stream_element_bytes;
    plan.device_bytes = home == MemoryHome::kDevice ? plan.stream_bytes : 0;
    plan.host_bytes = kWorkspaceBytes + plan.image_bytes + plan.stream_bytes - plan.device_bytes;
    if (plan.keep_pixels) plan.device_bytes += image.width * image.height * 3;
    const std::int64_t host_left = host - plan.host_bytes;
    const std::int64_t band_room = on_device ? device - plan.device_bytes : host_left;
    fit_bands(plan, cost, {.bands_home = bands_home, .bands = band_room, .enough = enough,
                           .enough_tokens = on_device ? kEnoughForDeviceTokens : kEnoughForHostTokens, .host = host_left});
    least_host = std::min(least_host, plan.host_bytes);
    return plan.host_bytes <= host && plan.device_bytes <= device;
  };
  if (on_device && attempt(MemoryHome::kDevice, request.element_bytes, Pixels::kKept)) return plan;
  if (on_device && attempt(MemoryHome::kDevice, request.element_bytes)) return plan;
  if (attempt(MemoryHome::kHost, request.element_bytes)) return plan;
  if (request.element_bytes > 2 && attempt(MemoryHome::kHost, 2)) return plan;
  if (plan.device_bytes > device) refuse({"device memory", plan.device_bytes, device}, request.element_bytes);
  const std::int64_t used = request.available.host_in_use;
  refuse({"host memory" + (used > 0 ? " besides the " + size_text(used) + " in use" : ""), least_host, host}, request.element_bytes);
}

}  // namespace fovea
