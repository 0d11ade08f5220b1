#include "core/segment/read_ahead.h"

#include <algorithm>
#include <chrono>

#include "core/base/clock.h"

namespace fovea {
namespace {

bool has_data(ImageSource& source, const Rect& window) {
  if (!may_lack_data(source.info())) return true;
  const ImageU8 valid = source.read_valid(window);
  return std::any_of(valid.samples().begin(), valid.samples().end(), [](std::uint8_t value) { return value != 0; });
}

}  // namespace

ReadAhead::ReadAhead(ImageSource& source, std::vector<Rect> windows, torch::Device compute, EmptyWindows empty)
    : source_(source), windows_(std::move(windows)), compute_(compute), empty_(empty), queue_(kAhead),
      thread_([this](const std::stop_token& stop) { read_all(stop); }) {}

ReadAhead::~ReadAhead() {
  thread_.request_stop();
  queue_.close();
}

torch::Tensor ReadAhead::next() {
  std::optional<torch::Tensor> window = queue_.pop();
  if (!window) {
    if (failure_) std::rethrow_exception(failure_);
    throw Error(ErrorKind::kContract, "ReadAhead::next: there are no more windows");
  }
  if (!window->defined()) return *window;
  return window->to(compute_, /*non_blocking=*/true).permute({0, 3, 1, 2});
}

void ReadAhead::read_all(const std::stop_token& stop) {
  try {
    for (const Rect& window : windows_) {
      if (stop.stop_requested()) break;
      const auto start = std::chrono::steady_clock::now();
      torch::Tensor pixels = read(window);
      busy_seconds_ = busy_seconds_ + seconds_since(start);
      if (!queue_.push(std::move(pixels))) break;
    }
  } catch (...) {
    failure_ = std::current_exception();
  }
  queue_.close();
}

// [1, height, width, 3]
torch::Tensor ReadAhead::read(const Rect& window) {
  if (empty_ == EmptyWindows::kSkip && !has_data(source_, window)) return {};
  const auto place = torch::TensorOptions(torch::kUInt8).pinned_memory(!compute_.is_cpu());
  torch::Tensor pixels = torch::empty({1, window.height, window.width, 3}, place);
  source_.read_rgb_into(window, pixels.mutable_data_ptr<std::uint8_t>());
  return pixels;
}

}  // namespace fovea
