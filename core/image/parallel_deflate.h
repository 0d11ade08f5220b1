// A zlib stream compressed on several threads.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <future>
#include <span>
#include <vector>

namespace fovea {

// RFC 1950, in blocks of a fixed size that are compressed by themselves, each with the end of the one before as its dictionary (as pigz
// does): half a percent larger than one piece, and the same bytes whatever the number of threads and however the input is cut.
class ParallelDeflate {
 public:
  // Receives the stream in order, on the thread that calls append() and finish(); its exceptions pass.
  using Sink = std::function<void(std::span<const std::uint8_t> part)>;

  // level: zlib's, 1 ... 9. threads: at most that many blocks are compressed, or wait, at once.
  ParallelDeflate(int level, unsigned threads, Sink sink);

  void append(std::span<const std::uint8_t> bytes);
  void finish();

  static constexpr std::size_t kBlockBytes = std::size_t{1} << 20;

 private:
  struct Compressed {
    std::vector<std::uint8_t> bytes;
    std::uint32_t adler = 1;
    std::size_t input_bytes = 0;
  };
  enum class Place { kMiddle, kLast };
  static Compressed compress(const std::vector<std::uint8_t>& input, const std::vector<std::uint8_t>& dictionary, int level, Place place);
  void start_block(Place place);
  void hand_on_oldest();

  const int level_;
  const std::size_t threads_;
  Sink sink_;
  std::vector<std::uint8_t> pending_, dictionary_;
  std::deque<std::future<Compressed>> blocks_;   // in order
  std::uint32_t adler_ = 1;                      // of everything handed on
};

// Threads that compress one file: half of the cores, up to eight; what else writes and computes wants some, too.
unsigned usual_compressors();

}  // namespace fovea
