// The thread that finds out what is to be done with the next images, opens and decodes them, while the model works on those before.
#pragma once

#include <atomic>
#include <exception>
#include <optional>
#include <thread>

#include "core/segment/bounded_queue.h"
#include "core/segment/image_job.h"

namespace fovea {

class ImageOpener {
 public:
  // options and model must outlive the object.
  // waiting_bytes: of pixels that may wait for their turn. Images larger than that are decoded when the model asks for them.
  ImageOpener(const BatchOptions& options, const ModelConfig& model, std::int64_t waiting_bytes);
  ~ImageOpener();
  ImageOpener(const ImageOpener&) = delete;
  ImageOpener& operator=(const ImageOpener&) = delete;

  // Images in the order of the list; none after the last. Errors: Error{kUsage} (scaling.h).
  std::optional<OpenedImage> next();

  double busy_seconds() const { return busy_seconds_; }   // of the thread

 private:
  void open_all(const std::stop_token& stop);
  OpenedImage open(std::size_t index) const;
  void prepare(OpenedImage& image) const;
  bool decodes_ahead(const ImageInfo& info) const;
  std::int64_t weight_of(const OpenedImage& image) const;

  const BatchOptions& options_;
  const ModelConfig& model_;
  const std::int64_t waiting_bytes_, least_weight_;
  BoundedQueue<OpenedImage> queue_;
  std::exception_ptr failure_;             // of the whole run; set before the queue is closed
  std::atomic<double> busy_seconds_ = 0;
  std::jthread thread_;                    // last: it uses all the others
};

}  // namespace fovea
