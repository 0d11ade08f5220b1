// Integer arithmetic that the standard library does not name.
#pragma once

#include <cstdint>

namespace fovea {

// a / b rounded up; a >= 0, b > 0.
constexpr std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

}  // namespace fovea
