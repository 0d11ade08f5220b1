// attention_cuda_check: the CUDA back ends against a float64 oracle on awkward and on sampled cases, and their timings. Needs a GPU.
//
//   attention_cuda_check [--backend sm80|sm90] [--samples 300] [--seed 1] [--small] [--time [--only LINE]]
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>

#include "backends.h"
#include "case.h"

namespace fovea::check {
namespace {

using kernels::DataType;

// Queries so large that the largest score in a window exceeds the global keys' by some 100 nats, as in many a head of a trained model. A
// softmax that takes its shift from the first keys it meets is put to the test.
constexpr float kTrainedGain = 60.f;

struct Options {
  const char* backend = "sm80";
  int samples = 300;
  std::uint32_t seed = 1;
  bool small = false;                           // few, tiny cases: for compute-sanitizer
  bool time = false;
  int only = -1;                                // of the timed cases; all if negative
};

struct Sizes {
  std::int64_t height, width;
  int window_height, window_width, global_tokens, heads, dim;
  std::vector<std::int32_t> dilation;
};

Case make_case(const Sizes& sizes, DataType dtype) {
  Case c;
  c.shape.batch = 1;
  c.shape.grid_height = sizes.height, c.shape.grid_width = sizes.width;
  c.shape.window_height = sizes.window_height, c.shape.window_width = sizes.window_width;
  c.shape.global_tokens = sizes.global_tokens, c.shape.heads = sizes.heads, c.shape.head_dim = sizes.dim;
  c.dilation = sizes.dilation;
  c.dilation.resize(std::size_t(sizes.heads), sizes.dilation.empty() ? 1 : sizes.dilation.back());
  c.dtype = dtype;
  c.scale = c.standard_scale();
  return c;
}

// Shapes at which tiles, halos and shares end badly; each in every element type.
std::vector<Case> awkward_cases() {
  const std::vector<Sizes> sizes = {
      {1, 1, 1, 1, 0, 1, 64, {1}},      {1, 1, 17, 17, 64, 2, 64, {1}},   {1, 1000, 1, 65, 3, 2, 64, {1}},  {1000, 1, 65, 1, 3, 2, 32, {1}},
      {1, 37, 17, 17, 8, 2, 64, {2}},   {37, 1, 17, 17, 8, 2, 64, {2}},   {31, 29, 17, 17, 8, 3, 64, {1}},  {7, 7, 17, 17, 1, 1, 128, {1}},
      {8, 8, 3, 3, 0, 1, 64, {1}},      {9, 9, 3, 3, 2, 1, 64, {1}},      {15, 17, 5, 9, 0, 2, 32, {1}},    {16, 8, 17, 1, 5, 1, 64, {1}},
      {17, 16, 1, 17, 5, 1, 64, {1}},   {32, 32, 1, 1, 0, 2, 64, {1}},    {32, 32, 1, 1, 7, 2, 128, {3}},
      {20, 33, 101, 77, 4, 1, 64, {1}},
      {24, 24, 5, 5, 4, 2, 64, {50}},   {33, 40, 7, 5, 16, 4, 64, {1, 2, 3, 40}}, {41, 23, 33, 33, 8, 1, 64, {1}},
      {3, 5, 3, 3, 64, 1, 64, {1}},
      {64, 64, 17, 17, 8, 2, 64, {1}},  {64, 64, 17, 17, 64, 1, 32, {4}}, {2, 600, 3, 129, 1, 1, 64, {2}},
      {64, 64, 17, 17, 0, 1, 128, {2}},
  };
  std::vector<Case> cases;
  for (const Sizes& s : sizes)
    for (const DataType dtype : {DataType::kBFloat16, DataType::kFloat16, DataType::kFloat32}) {
      cases.push_back(make_case(s, dtype));
      cases.back().with_grad_lse = cases.size() % 2 == 0;
    }
  for (const float gain : {0.f, 6.f, 1e4f})      // equal scores; one key dominates; logits of 1e4 and more
    for (const DataType dtype : {DataType::kBFloat16, DataType::kFloat16, DataType::kFloat32}) {
      if (gain > 1e3f && dtype == DataType::kFloat16) continue;                // queries of that size leave float16
      cases.push_back(make_case({30, 33, 17, 17, 8, 2, 64, {1}}, dtype));
      cases.back().query_gain = gain;
    }
  const std::vector<Sizes> spread = {              // scores far above those of the keys that come first
      {30, 33, 17, 17, 0, 2, 64, {1}},  {40, 24, 9, 17, 33, 1, 64, {2}},  {26, 41, 17, 17, 8, 2, 128, {1}}, {41, 43, 33, 33, 8, 1, 64, {1}},
      {33, 17, 7, 5, 16, 2, 32, {1, 3}}, {24, 40, 17, 17, 64, 1, 128, {1}}, {20, 90, 3, 65, 1, 1, 64, {1}}};
  for (const Sizes& s : spread)
    for (const DataType dtype : {DataType::kBFloat16, DataType::kFloat16, DataType::kFloat32}) {
      cases.push_back(make_case(s, dtype));
      cases.back().query_gain = kTrainedGain;
    }
  for (const float scale : {0.f, -0.125f}) {
    cases.push_back(make_case({30, 33, 9, 17, 3, 2, 64, {1}}, DataType::kBFloat16));
    cases.back().scale = scale;
  }
  return cases;
}

class Sampler {
 public:
  explicit Sampler(std::uint32_t seed) : random_(seed) {}
  Case next() {
    const int side[] = {1, 2, 3, 5, 7, 8, 9, 13, 15, 16, 17, 23, 24, 25, 31, 33, 40, 47, 64};
    const int window[] = {1, 3, 5, 7, 9, 13, 15, 17, 17, 21, 33, 65};
    const int global[] = {0, 0, 1, 2, 7, 8, 8, 15, 16, 17, 33, 64};
    const int dilation[] = {1, 1, 1, 2, 3, 4, 7, 60};
    const DataType dtype[] = {DataType::kBFloat16, DataType::kBFloat16, DataType::kFloat16, DataType::kFloat32};
    Sizes sizes{pick(side), pick(side), pick(window), pick(window), pick(global), int(random_() % 4) + 1, 32 << random_() % 3, {}};
    if (random_() % 8 == 0) sizes.height = 1, sizes.width = 1 + random_() % 1500;
    for (int head = 0; head < sizes.heads; ++head) sizes.dilation.push_back(pick(dilation));
    Case c = make_case(sizes, pick(dtype));
    c.shape.batch = 1 + random_() % 3;
    const Order order[] = {Order::kTokens, Order::kPacked, Order::kHeads, Order::kPadded};
    c.order = pick(order);
    c.with_grad_lse = random_() % 2 == 0;
    const float gain[] = {1.f, 1.f, 1.f, 0.1f, 3.f, 15.f, kTrainedGain};
    c.query_gain = pick(gain);
    const float scale[] = {1.f, 1.f, 1.f, -1.f, 2.f};
    c.scale *= pick(scale);
    c.seed = std::uint32_t(random_() % 100000);
    return c;
  }

 private:
  template <class T, std::size_t kCount>
  T pick(const T (&choices)[kCount]) { return choices[random_() % kCount]; }
  std::mt19937 random_;
};

// Samples until the back end takes as many as asked for.
void draw(const Options& options, const Backend& backend, int capability, std::vector<Case>& cases) {
  constexpr int kMostDraws = 100;
  Sampler sampler(options.seed);
  for (int taken = 0, drawn = 0; taken < options.samples && drawn < kMostDraws * options.samples; ++drawn) {
    const Case c = sampler.next();
    if (refused(c, backend, capability)) continue;
    cases.push_back(c);
    ++taken;
  }
}

int check_all(const Options& options, const Backend& backend, int capability) {
  std::vector<Case> cases;
  if (options.small) {
    cases = {make_case({19, 21, 5, 7, 3, 2, 64, {1, 2}}, DataType::kBFloat16),
             make_case({1, 150, 1, 9, 9, 1, 32, {1}}, DataType::kFloat32),
             make_case({10, 9, 3, 3, 0, 1, 128, {1}}, DataType::kFloat16),
             make_case({26, 27, 19, 21, 20, 1, 64, {1}}, DataType::kBFloat16),
             make_case({18, 17, 5, 5, 8, 1, 128, {1}}, DataType::kBFloat16),
             make_case({40, 24, 17, 17, 8, 1, 32, {1}}, DataType::kFloat16),
             make_case({20, 19, 17, 9, 8, 1, 64, {1}}, DataType::kBFloat16),
             make_case({17, 26, 9, 17, 1, 1, 128, {1}}, DataType::kFloat16)};
    for (std::size_t i = cases.size() - 2; i < cases.size(); ++i) cases[i].query_gain = kTrainedGain;
  } else {
    cases = awkward_cases();
  }
  const std::size_t awkward = cases.size();
  if (!options.small) draw(options, backend, capability, cases);
  int passed = 0, skipped = 0, failed = 0;
  for (const Case& c : cases) {
    const std::string wrong = check_case(c, backend, capability);
    if (wrong.empty()) ++passed;
    else if (wrong.rfind("skipped", 0) == 0) ++skipped;
    else ++failed;
    if (!wrong.empty()) std::printf("%s seed %u: %s\n", describe(c).c_str(), c.seed, wrong.c_str()), std::fflush(stdout);
  }
  std::printf("%s: %d cases passed, %d failed, %d skipped (%d awkward; seed %u, %d sampled that it takes)\n", backend.name, passed, failed,
              skipped, int(awkward), options.seed, int(cases.size() - awkward));
  return failed;
}

void time_all(const Options& options, const Backend& backend, int capability) {
  const std::vector<Sizes> sizes = {
      {256, 256, 17, 17, 8, 12, 64, {1}}, {256, 256, 17, 17, 0, 12, 64, {1}}, {512, 512, 17, 17, 8, 12, 64, {1}},
      {256, 256, 17, 17, 8, 6, 128, {1}},
      {256, 256, 33, 33, 8, 12, 64, {1}}, {64, 64, 17, 17, 8, 12, 64, {1}},   {256, 256, 17, 17, 8, 12, 64, {2}},
      {256, 256, 17, 17, 8, 12, 64, {4}},
      {1024, 1024, 17, 17, 8, 12, 64, {1}}, {256, 256, 7, 7, 8, 12, 32, {1}}, {1, 65536, 1, 513, 8, 12, 64, {1}},
      {256, 256, 17, 17, 64, 12, 64, {1}}, {256, 256, 17, 17, 0, 6, 128, {1}}};
  std::vector<Case> cases;
  for (const Sizes& s : sizes) cases.push_back(make_case(s, DataType::kBFloat16));
  for (const DataType dtype : {DataType::kFloat16, DataType::kFloat32}) cases.push_back(make_case(sizes[0], dtype));
  cases.push_back(make_case(sizes[0], DataType::kBFloat16));
  cases.push_back(make_case(sizes[0], DataType::kFloat16));
  for (std::size_t i = cases.size() - 2; i < cases.size(); ++i) cases[i].query_gain = kTrainedGain;
  for (int i = 0; i < int(cases.size()); ++i)
    if (options.only < 0 || options.only == i) time_case(cases[std::size_t(i)], backend, capability);
}

int run(const Options& options) {
  const Backend* backend = find_backend(options.backend);
  if (!backend) return std::fprintf(stderr, "attention_cuda_check: --backend %s: no such back end\n", options.backend), 2;
  cudaDeviceProp device;
  if (cudaGetDeviceProperties(&device, 0) != cudaSuccess) return std::fprintf(stderr, "attention_cuda_check: no GPU: SKIPPED\n"), 3;
  const int capability = device.major * 10 + device.minor;
  std::printf("%s, compute capability %d\n", device.name, capability);
  if (options.time) return time_all(options, *backend, capability), 0;
  return check_all(options, *backend, capability) == 0 ? 0 : 1;
}

}  // namespace
}  // namespace fovea::check

int main(int argc, char** argv) {
  fovea::check::Options options;
  for (int i = 1; i < argc; ++i) {
    const auto is = [&](const char* name) { return std::strcmp(argv[i], name) == 0; };
    const char* value = i + 1 < argc ? argv[i + 1] : nullptr;
    if (is("--small")) options.small = true;
    else if (is("--time")) options.time = true;
    else if (is("--backend") && value) options.backend = value, ++i;
    else if (is("--only") && value) options.only = std::atoi(value), ++i;
    else if (is("--samples") && value) options.samples = std::atoi(value), ++i;
    else if (is("--seed") && value) options.seed = std::uint32_t(std::strtoul(value, nullptr, 10)), ++i;
    else {
      std::fprintf(stderr, "usage: attention_cuda_check [--backend NAME] [--samples N] [--seed S] [--small] [--time [--only LINE]]\n");
      return 2;
    }
  }
  return fovea::check::run(options);
}
