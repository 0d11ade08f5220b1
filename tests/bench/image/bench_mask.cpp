// fovea_bench_mask [SIDE] [FORMAT] [FILE]: writes a generated mask of SIDE x SIDE pixels (default 32768) as tif, cog or png, and prints
// what the rows took, what the end took and what of it was processor time. Rows come in bands as the decoder gives them; making them costs
// nothing, they are the same few over and over.
#include <sys/resource.h>

#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

#include "core/image/writers.h"

namespace {

using namespace fovea;
using Clock = std::chrono::steady_clock;

constexpr std::int64_t kBandRows = 272;   // of no height that a tile divides

// Regions of some hundred pixels with uneven borders, five classes: compresses as masks of scenes do.
ImageU8 band_of_regions(std::int64_t width) {
  ImageU8 band(width, kBandRows, 1);
  for (std::int64_t y = 0; y < kBandRows; ++y) {
    for (std::int64_t x = 0; x < width; ++x) {
      const double u = static_cast<double>(x), v = static_cast<double>(y) * 2 * M_PI / kBandRows;
      const double wave = std::sin(u / 61 + 2 * std::sin(v)) + std::sin(u / 17 + 3 * v) + 0.4 * std::sin(u / 3 + 5 * v);
      band.row(y)[x] = static_cast<std::uint8_t>(std::min(4.0, std::floor((wave + 2.4) * 1.04)));
    }
  }
  return band;
}

double processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) { return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

void measure(std::int64_t side, MaskFormat format, const std::filesystem::path& path) {
  const ImageU8 band = band_of_regions(side);
  const double processor_before = processor_seconds();
  const auto start = Clock::now();
  const auto writer = create_mask_writer({.path = path, .format = format, .width = side, .height = side,
                                          .palette = {{200, 180, 140}, {90, 90, 90}, {220, 40, 40}, {30, 160, 60}, {30, 90, 220}},
                                          .class_names = {"land", "road", "building", "vegetation", "water"}});
  for (std::int64_t y = 0; y < side; y += kBandRows) {
    if (side - y >= kBandRows) {
      writer->append(band);
      continue;
    }
    ImageU8 last(side, side - y, 1);
    std::copy_n(band.row(0), last.samples().size(), last.samples().begin());
    writer->append(last);
  }
  const double rows = since(start);
  writer->finish();
  const double all = since(start);
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("%lld x %lld: rows %.2f s, end %.2f s, all %.2f s (processor %.2f s); %.1f MB, at most %.0f MB of memory\n",
              static_cast<long long>(side), static_cast<long long>(side), rows, all - rows, all, processor_seconds() - processor_before,
              static_cast<double>(std::filesystem::file_size(path)) / 1e6, static_cast<double>(usage.ru_maxrss) / 1e3);
}

}  // namespace

int main(int count, char** arguments) {
  const std::int64_t side = count > 1 ? std::atoll(arguments[1]) : 32768;
  const std::string format = count > 2 ? arguments[2] : "tif";
  const bool keep = count > 3;
  const std::filesystem::path path = keep ? arguments[3] : std::filesystem::temp_directory_path() / "fovea_bench_mask.out";
  if (side < 1 || (format != "tif" && format != "cog" && format != "png")) {
    std::fprintf(stderr, "fovea_bench_mask [SIDE] [tif|cog|png] [FILE]\n");
    return 2;
  }
  try {
    measure(side, format == "tif" ? MaskFormat::kTiff : format == "cog" ? MaskFormat::kCog : MaskFormat::kPng, path);
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 3;
  }
  if (!keep) std::filesystem::remove(path);
  return 0;
}
