// What one thread hands to the next, at most so many at a time.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <utility>

#include "core/base/clock.h"

namespace fovea {

// Producers, one consumer. Each item has a weight (1, or its bytes); there is room while the weights do not exceed the capacity, and
// always for one item. Whoever waits is charged for it: a full queue means that the consumer is the slower of the two.
template <class T>
class BoundedQueue {
 public:
  explicit BoundedQueue(std::int64_t capacity) : capacity_(capacity) {}

  // Waits for room. False, and the item is dropped, once the queue is closed.
  bool push(T item, std::int64_t weight = 1) {
    std::unique_lock lock(mutex_);
    wait(lock, push_seconds_, [&] { return closed_ || items_.empty() || weight_ + weight <= capacity_; });
    if (closed_) return false;
    items_.emplace_back(std::move(item), weight);
    weight_ += weight;
    changed_.notify_all();
    return true;
  }

  // Waits for an item. None once the queue is closed and empty.
  std::optional<T> pop() {
    std::unique_lock lock(mutex_);
    wait(lock, pop_seconds_, [&] { return closed_ || !items_.empty(); });
    return take();
  }

  std::optional<T> try_pop() {
    const std::unique_lock lock(mutex_);
    return take();
  }

  // What is queued can still be taken.
  void close() {
    const std::unique_lock lock(mutex_);
    closed_ = true;
    changed_.notify_all();
  }

  double push_wait_seconds() const {
    const std::unique_lock lock(mutex_);
    return push_seconds_;
  }
  double pop_wait_seconds() const {
    const std::unique_lock lock(mutex_);
    return pop_seconds_;
  }

 private:
  template <class Condition>
  void wait(std::unique_lock<std::mutex>& lock, double& seconds, const Condition& condition) {
    const auto start = std::chrono::steady_clock::now();
    changed_.wait(lock, condition);
    seconds += seconds_since(start);
  }

  std::optional<T> take() {
    if (items_.empty()) return std::nullopt;
    std::optional<T> item(std::move(items_.front().first));
    weight_ -= items_.front().second;
    items_.pop_front();
    changed_.notify_all();
    return item;
  }

  const std::int64_t capacity_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::pair<T, std::int64_t>> items_;
  std::int64_t weight_ = 0;
  bool closed_ = false;
  double push_seconds_ = 0, pop_seconds_ = 0;
};

}  // namespace fovea
