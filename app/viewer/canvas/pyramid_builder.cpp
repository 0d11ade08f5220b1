#include "app/viewer/canvas/pyramid_builder.h"

#include <utility>

namespace fovea {
namespace {

// For the status line, at most once a hundredth.
class Report final : public Progress {
 public:
  Report(std::atomic<float>& share, const std::function<void()>& on_change) : share_(share), on_change_(on_change) {}
  void report(std::string_view, std::int64_t done, std::int64_t total) override {
    const float share = total > 0 ? static_cast<float>(done) / static_cast<float>(total) : 0;
    if (share - share_ < 0.01f) return;
    share_ = share;
    if (on_change_) on_change_();
  }

 private:
  std::atomic<float>& share_;
  const std::function<void()>& on_change_;
};

}  // namespace

PyramidBuilder::PyramidBuilder(std::shared_ptr<PyramidImage> image, std::function<void()> on_change)
    : image_(std::move(image)), on_change_(std::move(on_change)) {
  if (image_->info().bits == 8) white_level_ = 255;
  if (image_->needs_build()) progress_ = 0;
  if (progress_ < 0 && white_level_ != 0) return;   // nothing to do
  thread_ = std::jthread([this](const std::stop_token& stop) { work(stop); });
}

std::string PyramidBuilder::take_error() {
  const std::lock_guard lock(mutex_);
  return std::exchange(error_, {});
}

void PyramidBuilder::work(const std::stop_token& stop) {
  try {
    if (white_level_ == 0) white_level_ = image_->white_level();
    if (on_change_) on_change_();
    if (progress_ >= 0) {
      Report report(progress_, on_change_);
      image_->build(report, stop);
    }
  } catch (const Error& error) {
    const std::lock_guard lock(mutex_);
    if (error.kind() == ErrorKind::kEnvironment) error_ = first_line(error.what()) + "; coarse views of this image stay blurred or slow";
    else if (error.kind() != ErrorKind::kCancelled) error_ = first_line(error.what());
  } catch (const std::exception& error) {
    const std::lock_guard lock(mutex_);
    error_ = first_line(error.what());
  }
  progress_ = -1;
  if (on_change_) on_change_();
}

}  // namespace fovea
