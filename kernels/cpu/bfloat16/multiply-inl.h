// C [32 x 32] (+)= A [32 x 32 s] B [32 s x 32]: bfloat16 in, float32 out. Numbers that follow each other along the summed dimension form
// pairs of 32 bits, in the two layouts that VDPBF16PS and TDPBF16PS read.
#pragma once

#include <cstddef>

#include "kernels/cpu/bfloat16/target.h"

namespace fovea::kernels::cpu::bfloat16 {

constexpr std::size_t kSide = 32;            // of C
constexpr std::size_t kPairs = 16;           // of 32 numbers; also columns of an operand tile
constexpr std::size_t kOperandTile = 1024;   // bytes: 16 rows of 16 pairs

// Plain rows, row_bytes apart: 64 bytes of each row a step.
struct LeftOperand {
  const void* rows;
  std::size_t row_bytes;
};

// Tiles of 16 pairs x 16 columns, each in one piece: step_bytes from one step to the next, and two tiles a step, column_bytes apart.
struct RightOperand {
  const void* tiles;
  std::size_t step_bytes, column_bytes;
};

struct Result {
  float* numbers;   // [32][row_bytes / 4]
  std::size_t row_bytes;
};

enum class Start : bool { kZero, kResult };   // kResult: adds to what is there

// What LDTILECFG reads: eight registers of 16 rows of 64 bytes. Static, because the intrinsic tells the compiler of its first bytes only.
struct alignas(64) TileConfiguration {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
inline constexpr TileConfiguration kConfiguration{};

FOVEA_BEGIN_AVX512_BF16

// AMX: four accumulators, four operands, all eight tile registers.
class TileProducts {
 public:
  TileProducts() { _tile_loadconfig(&kConfiguration); }
  ~TileProducts() { _tile_release(); }
  TileProducts(const TileProducts&) = delete;
  TileProducts& operator=(const TileProducts&) = delete;

  void multiply(const LeftOperand& left, const RightOperand& right, std::size_t steps, const Result& result, Start start) const {
    char* upper = reinterpret_cast<char*>(result.numbers);
    char* lower = upper + kPairs * result.row_bytes;
    if (start == Start::kResult) {
      // The intrinsics do not tell the compiler that they read memory.
      __asm__ volatile("" ::: "memory");
      _tile_loadd(0, upper, result.row_bytes);
      _tile_loadd(1, upper + 64, result.row_bytes);
      _tile_loadd(2, lower, result.row_bytes);
      _tile_loadd(3, lower + 64, result.row_bytes);
    } else {
      _tile_zero(0);
      _tile_zero(1);
      _tile_zero(2);
      _tile_zero(3);
    }
    accumulate(left, right, steps);
    store(result);
  }

  // multiply() from zero in two halves: what is done between them, without another product, overlaps with the matrix unit's work. Storing
  // right away would fill the scheduler with stores that wait, and nothing else would run.
  void begin(const LeftOperand& left, const RightOperand& right, std::size_t steps) const {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    accumulate(left, right, steps);
  }
  void end(const LeftOperand&, const RightOperand&, std::size_t, const Result& result) const { store(result); }

 private:
  void accumulate(const LeftOperand& left, const RightOperand& right, std::size_t steps) const {
    const char* rows = static_cast<const char*>(left.rows);
    const char* tiles = static_cast<const char*>(right.tiles);
    __asm__ volatile("" ::: "memory");
    for (std::size_t step = 0; step < steps; ++step, rows += 64, tiles += right.step_bytes) {
      _tile_loadd(6, tiles, 64);
      _tile_loadd(4, rows, left.row_bytes);
      _tile_dpbf16ps(0, 4, 6);
      _tile_loadd(7, tiles + right.column_bytes, 64);
      _tile_dpbf16ps(1, 4, 7);
      _tile_loadd(5, rows + kPairs * left.row_bytes, left.row_bytes);
      _tile_dpbf16ps(2, 5, 6);
      _tile_dpbf16ps(3, 5, 7);
    }
  }

  void store(const Result& result) const {
    char* upper = reinterpret_cast<char*>(result.numbers);
    char* lower = upper + kPairs * result.row_bytes;
    _tile_stored(0, upper, result.row_bytes);
    _tile_stored(1, upper + 64, result.row_bytes);
    _tile_stored(2, lower, result.row_bytes);
    _tile_stored(3, lower + 64, result.row_bytes);
  }
};

// AVX512-BF16: eight rows of two vectors in registers.
class DotProducts {
 public:
  void begin(const LeftOperand&, const RightOperand&, std::size_t) const {}
  void end(const LeftOperand& left, const RightOperand& right, std::size_t steps, const Result& result) const {
    multiply(left, right, steps, result, Start::kZero);
  }

  void multiply(const LeftOperand& left, const RightOperand& right, std::size_t steps, const Result& result, Start start) const {
    constexpr std::size_t kRows = 8;
    for (std::size_t first = 0; first < kSide; first += kRows) {
      float* numbers = result.numbers + first * result.row_bytes / sizeof(float);
      __m512 sums[kRows][2];
#pragma GCC unroll 8
      for (std::size_t r = 0; r < kRows; ++r) {
        const float* row = numbers + r * result.row_bytes / sizeof(float);
        sums[r][0] = start == Start::kResult ? _mm512_load_ps(row) : _mm512_setzero_ps();
        sums[r][1] = start == Start::kResult ? _mm512_load_ps(row + kPairs) : _mm512_setzero_ps();
      }
      const char* rows = static_cast<const char*>(left.rows) + first * left.row_bytes;
      const char* tiles = static_cast<const char*>(right.tiles);
      for (std::size_t step = 0; step < steps; ++step, tiles += right.step_bytes) {
        for (std::size_t pair = 0; pair < kPairs; ++pair, rows += 4) {
          const auto column0 = reinterpret_cast<__m512bh>(_mm512_load_si512(tiles + pair * 64));
          const auto column1 = reinterpret_cast<__m512bh>(_mm512_load_si512(tiles + right.column_bytes + pair * 64));
#pragma GCC unroll 8
          for (std::size_t r = 0; r < kRows; ++r) {
            int bits;
            std::memcpy(&bits, rows + r * left.row_bytes, sizeof bits);
            const auto broadcast = reinterpret_cast<__m512bh>(_mm512_set1_epi32(bits));
            sums[r][0] = _mm512_dpbf16_ps(sums[r][0], broadcast, column0);
            sums[r][1] = _mm512_dpbf16_ps(sums[r][1], broadcast, column1);
          }
        }
      }
#pragma GCC unroll 8
      for (std::size_t r = 0; r < kRows; ++r) {
        float* row = numbers + r * result.row_bytes / sizeof(float);
        _mm512_store_ps(row, sums[r][0]);
        _mm512_store_ps(row + kPairs, sums[r][1]);
      }
    }
  }
};

FOVEA_END_AVX512_BF16

}  // namespace fovea::kernels::cpu::bfloat16
