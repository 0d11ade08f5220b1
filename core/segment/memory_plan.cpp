#include "core/segment/memory_plan.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <limits>

namespace fovea {
namespace {

constexpr std::int64_t kMiB = std::int64_t{1} << 20;
// Band memory beyond which taller bands no longer gain speed: by then the halo is a small part of them and the products are large.
constexpr std::int64_t kEnoughForHostBands = 1024 * kMiB, kEnoughForDeviceBands = 8192 * kMiB;
constexpr std::int64_t kPixelBytesAhead = 12;   // RGB of the band at work, of two that wait and of one that is being read (read_ahead.h)
constexpr double kUsableShare = 0.9;   // of what is free: the rest is for allocators and the other programs' growth

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

std::int64_t number_in(const char* path) {
  std::ifstream file(path);
  std::int64_t value = 0;
  return file >> value ? value : -1;
}

std::int64_t largest_halo(const EncoderConfig& encoder) {
  std::int64_t halo = 0;
  for (const LayerAttention& layer : encoder.attention) {
    halo = std::max(halo, (layer.window[0] - 1) / 2 * *std::max_element(layer.dilation.begin(), layer.dilation.end()));
  }
  return halo;
}

// Live bytes of one step, counted from the tensors that exist at its widest point.
struct BandCost {
  double fixed = 0;      // whatever the height
  double per_row = 0;    // of tokens
};

BandCost encoder_cost(const EncoderConfig& encoder, std::int64_t columns, std::int64_t element_bytes) {
  const double row = static_cast<double>(columns * element_bytes), width = static_cast<double>(encoder.width);
  const double sequence = 7 * width;                                             // q, k, v before and after joining; attended
  // Packed projection, its normalised input, rotation in float32; or the residual and the two hidden layers of the MLP.
  const double step = std::max((4 + 16.0 / static_cast<double>(element_bytes)) * width, 4 * width + 2 * static_cast<double>(encoder.mlp_width));
  return {.fixed = row * sequence * static_cast<double>(2 * largest_halo(encoder)), .per_row = row * (sequence + step)};
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

std::int64_t rows_within(const BandCost& cost, double bytes, std::int64_t rows) {
  return std::clamp<std::int64_t>(static_cast<std::int64_t>((bytes - cost.fixed) / cost.per_row), 0, rows);
}

std::string gigabytes(std::int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f GB", static_cast<double>(bytes) / 1e9);
  return text;
}

[[noreturn]] void refuse(std::int64_t needed, std::int64_t available, const char* where) {
  throw Error(ErrorKind::kInput, "needs " + gigabytes(needed) + " of " + where + " memory, " + gigabytes(available) +
                                     " available; --context tiles needs less, --precision bfloat16 half");
}

struct Sizes {
  std::int64_t rows = 0, columns = 0, stream_elements = 0;
};

// Fills rows and totals for bands that live in band_memory; false if not even one row fits.
bool fit_bands(MemoryPlan& plan, const ModelConfig& model, const Sizes& sizes, std::int64_t element_bytes, std::int64_t band_memory) {
  const BandCost encoder = encoder_cost(model.encoder, sizes.columns, element_bytes);
  const BandCost decoder = decoder_cost(model, sizes.columns, element_bytes);
  plan.encoder_rows = rows_within(encoder, static_cast<double>(band_memory), sizes.rows);
  plan.decoder_rows = rows_within(decoder, static_cast<double>(band_memory), sizes.rows);
  const auto bytes = [](const BandCost& cost, std::int64_t rows) {
    return static_cast<std::int64_t>(cost.fixed + cost.per_row * static_cast<double>(std::max<std::int64_t>(1, rows)));
  };
  plan.band_bytes = std::max(bytes(encoder, plan.encoder_rows), bytes(decoder, plan.decoder_rows));
  return plan.encoder_rows >= 1 && plan.decoder_rows >= 1;
}

}  // namespace

std::int64_t available_host_memory() {
  std::int64_t available = std::numeric_limits<std::int64_t>::max();
  std::ifstream file("/proc/meminfo");
  for (std::string name, rest; file >> name; std::getline(file, rest)) {
    if (name != "MemAvailable:") continue;
    std::int64_t kilobytes = 0;
    if (file >> kilobytes) available = kilobytes * 1024;
  }
  const std::int64_t limit = number_in("/sys/fs/cgroup/memory.max"), used = number_in("/sys/fs/cgroup/memory.current");
  return limit >= 0 && used >= 0 ? std::min(available, std::max<std::int64_t>(0, limit - used)) : available;
}

std::int64_t resident_memory() {
  std::ifstream file("/proc/self/statm");
  std::int64_t total = 0, resident = 0;
  file >> total >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

std::string MemoryPlan::text() const {
  return "stream " + gigabytes(stream_bytes) + (stream_home == MemoryHome::kDevice ? " on the device" : " in host memory") +
         (stream_element_bytes == 2 ? " (16 bits)" : " (32 bits)") + ", bands of " + std::to_string(encoder_rows) + " and " +
         std::to_string(decoder_rows) + " token rows (" + gigabytes(band_bytes) + "), image " + gigabytes(image_bytes) + "; host " +
         gigabytes(host_bytes) + ", device " + gigabytes(device_bytes);
}

std::int64_t enough_band_memory(MemoryHome bands_home) {
  return bands_home == MemoryHome::kDevice ? kEnoughForDeviceBands : kEnoughForHostBands;
}

MemoryPlan plan_whole_image(const ImageInfo& image, const ModelConfig& model, const MemoryPlanRequest& request) {
  const std::int64_t patch = model.encoder.patch;
  Sizes sizes{.rows = divide_up(image.height, patch), .columns = divide_up(image.width, patch), .stream_elements = 0};
  sizes.stream_elements = sizes.rows * sizes.columns * (model.encoder.width + model.decoder->width);
  const bool on_device = request.available.device_free > 0;
  const auto host = static_cast<std::int64_t>(kUsableShare * static_cast<double>(request.available.host));
  const auto device = static_cast<std::int64_t>(kUsableShare * static_cast<double>(request.available.device_free));
  const MemoryHome bands_home = on_device ? MemoryHome::kDevice : MemoryHome::kHost;
  const std::int64_t enough = request.band_memory_bytes > 0 ? request.band_memory_bytes : enough_band_memory(bands_home);
  MemoryPlan plan;
  plan.image_bytes = image.windowed ? 0 : image.width * image.height * 3;
  std::int64_t shortest_need = std::numeric_limits<std::int64_t>::max();
  const auto attempt = [&](MemoryHome home, std::int64_t stream_element_bytes) {
    plan.stream_home = home;
    plan.stream_element_bytes = stream_element_bytes;
    plan.stream_bytes = sizes.stream_elements * stream_element_bytes;
    const std::int64_t stream_on_host = home == MemoryHome::kHost ? plan.stream_bytes : 0;
    const std::int64_t free_for_bands = on_device ? device - (plan.stream_bytes - stream_on_host) : host - stream_on_host - plan.image_bytes;
    const bool fits = fit_bands(plan, model, sizes, request.element_bytes, std::min(free_for_bands, enough));
    plan.label_bytes = plan.decoder_rows * patch * image.width * (kPixelBytesAhead + 3 * request.label_bytes_a_pixel);
    plan.host_bytes = stream_on_host + plan.image_bytes + plan.label_bytes + (on_device ? 0 : plan.band_bytes);
    plan.device_bytes = on_device ? plan.band_bytes + plan.stream_bytes - stream_on_host : 0;
    shortest_need = std::min(shortest_need, plan.host_bytes);
    return fits && plan.host_bytes <= host && plan.device_bytes <= device;
  };
  if (on_device && attempt(MemoryHome::kDevice, request.element_bytes)) return plan;
  if (attempt(MemoryHome::kHost, request.element_bytes)) return plan;
  if (request.element_bytes > 2 && attempt(MemoryHome::kHost, 2)) return plan;
  if (on_device && plan.device_bytes > device) refuse(plan.device_bytes, device, "device");
  refuse(shortest_need, host, "host");
}

}  // namespace fovea
