// The stream is zlib's, and the same however it was made.
#include "core/image/parallel_deflate.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <algorithm>

#include "core/base/error.h"

namespace fovea {
namespace {

using Bytes = std::vector<std::uint8_t>;

// Runs of a few values, as class maps have, with noise between.
Bytes sample(std::size_t size) {
  Bytes bytes(size);
  std::uint32_t state = 1;
  for (std::size_t i = 0; i < size; ++i) {
    if (i % 97 == 0 || i % 5000 < 300) state = state * 1664525u + 1013904223u;
    bytes[i] = static_cast<std::uint8_t>(state >> 29);
  }
  return bytes;
}

Bytes deflated(const Bytes& input, unsigned threads, std::size_t part) {
  Bytes stream;
  ParallelDeflate deflate(3, threads, [&](std::span<const std::uint8_t> bytes) { stream.insert(stream.end(), bytes.begin(), bytes.end()); });
  for (std::size_t i = 0; i < input.size(); i += part) deflate.append({input.data() + i, std::min(part, input.size() - i)});
  deflate.finish();
  return stream;
}

// By zlib, which also checks header and checksum. Nothing may follow the stream.
Bytes inflated(const Bytes& stream, std::size_t size) {
  Bytes output(size + 1);
  uLongf output_size = output.size();
  uLong stream_size = stream.size();
  EXPECT_EQ(uncompress2(output.data(), &output_size, stream.data(), &stream_size), Z_OK);
  EXPECT_EQ(stream_size, stream.size());
  output.resize(output_size);
  return output;
}

class ParallelDeflateSizes : public ::testing::TestWithParam<std::size_t> {};

TEST_P(ParallelDeflateSizes, ComeBackAndDoNotDependOnThreadsOrParts) {
  const Bytes input = sample(GetParam());
  const Bytes stream = deflated(input, 1, 1 << 16);
  EXPECT_EQ(inflated(stream, input.size()), input);
  EXPECT_EQ(deflated(input, 4, 1 << 16), stream);
  EXPECT_EQ(deflated(input, 3, 777'777), stream);
}

constexpr std::size_t kBlock = ParallelDeflate::kBlockBytes;
INSTANTIATE_TEST_SUITE_P(Sizes, ParallelDeflateSizes, ::testing::Values(0, 1, 1000, kBlock - 1, kBlock, kBlock + 1, 3 * kBlock, 9 * kBlock + 17));

TEST(ParallelDeflateRatio, IsThatOfOnePiece) {
  const Bytes input = sample(8 * kBlock);
  Bytes whole(compressBound(input.size()));
  uLongf size = whole.size();
  ASSERT_EQ(compress2(whole.data(), &size, input.data(), input.size(), 3), Z_OK);
  EXPECT_LT(deflated(input, 4, kBlock).size(), size + size / 100);
}

TEST(ParallelDeflateSink, MayThrow) {
  ParallelDeflate deflate(3, 4, [calls = 0](std::span<const std::uint8_t>) mutable {
    if (++calls > 2) throw Error(ErrorKind::kEnvironment, "full");
  });
  const Bytes input = sample(kBlock);
  EXPECT_THROW({ for (int i = 0; i < 20; ++i) deflate.append(input); }, Error);
}

}  // namespace
}  // namespace fovea
