// The threads that find out what is to be done with the next images, open and decode them, while the model works on those before.
#pragma once

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "core/segment/bounded_queue.h"
#include "core/segment/image_job.h"

namespace fovea {

// Bytes of pixels that are decoded before their turn: of one image (larger ones are decoded when the model asks for them), and of all that
// wait or are being decoded.
struct AheadLimits {
  std::int64_t image_bytes = 0, waiting_bytes = 0;
};

class ImageOpener {
 public:
  // options and model must outlive the object.
  ImageOpener(const BatchOptions& options, const ModelConfig& model, const AheadLimits& limits);
  ~ImageOpener();
  ImageOpener(const ImageOpener&) = delete;
  ImageOpener& operator=(const ImageOpener&) = delete;

  // Images in the order of the list; none after the last. Their pixels may still be arriving (streamed_image.h). Errors: Error{kUsage}
  // (scaling.h).
  std::optional<OpenedImage> next();

  double busy_seconds() const { return busy_seconds_; }   // of all threads together

 private:
  void open_next_images(const std::stop_token& stop);
  bool hand_over(std::size_t index, OpenedImage image);
  void give_up(std::size_t index);
  bool wait_for_turn(std::size_t index);
  OpenedImage open(std::size_t index) const;
  void prepare(OpenedImage& image) const;
  bool decodes_ahead(const ImageInfo& info) const;
  std::int64_t weight_of(const OpenedImage& image) const;

  const BatchOptions& options_;
  const ModelConfig& model_;
  const AheadLimits limits_;
  const std::int64_t least_weight_;        // of an image in the queue
  BoundedQueue<OpenedImage> queue_;
  std::atomic<std::size_t> next_index_ = 0;
  std::mutex mutex_;
  std::condition_variable turn_changed_;
  std::size_t turn_ = 0;                   // the image that is handed over next
  bool closed_ = false;
  std::exception_ptr failure_;             // of the whole run; set before the queue is closed
  std::atomic<double> busy_seconds_ = 0;
  std::vector<std::jthread> threads_;      // last: they use all the others
};

}  // namespace fovea
