// Windows of an image, read by a thread of their own while the model works on those before.
#pragma once

#include <atomic>
#include <exception>
#include <thread>
#include <vector>

#include "core/base/torch.h"
#include "core/image/image_source.h"
#include "core/segment/bounded_queue.h"

namespace fovea {

enum class EmptyWindows {
  kRead,
  kSkip,   // a window without a single pixel of data is handed out as an undefined tensor
};

class ReadAhead {
 public:
  // Reads the windows in this order, at most kAhead before they are asked for. compute: where they will be needed; for a GPU they are
  // read into pinned memory, so that the copy overlaps. source must outlive the object and allow calls from another thread.
  ReadAhead(ImageSource& source, std::vector<Rect> windows, torch::Device compute, EmptyWindows empty = EmptyWindows::kRead);
  ~ReadAhead();
  ReadAhead(const ReadAhead&) = delete;
  ReadAhead& operator=(const ReadAhead&) = delete;

  // The next window's pixels, [1, 3, height, width] uint8 on the compute device. Throws what the source threw for it.
  torch::Tensor next();

  double busy_seconds() const { return busy_seconds_; }              // of the reading thread
  double wait_seconds() const { return queue_.pop_wait_seconds(); }  // of next()

  static constexpr std::int64_t kAhead = 2;

 private:
  void read_all(const std::stop_token& stop);
  torch::Tensor read(const Rect& window);

  ImageSource& source_;
  const std::vector<Rect> windows_;
  const torch::Device compute_;
  const EmptyWindows empty_;
  BoundedQueue<torch::Tensor> queue_;
  std::exception_ptr failure_;             // set before the queue is closed
  std::atomic<double> busy_seconds_ = 0;
  std::jthread thread_;                    // last: it uses all the others
};

}  // namespace fovea
