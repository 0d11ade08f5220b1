// How many threads a kind of work takes of the machine.
#pragma once

#include <algorithm>
#include <thread>

namespace fovea {

// One of so many cores, at least one thread, up to most: the rest is for what runs beside it.
inline unsigned share_of_cores(unsigned one_of, unsigned most) {
  return std::clamp(std::thread::hardware_concurrency() / one_of, 1u, most);
}

}  // namespace fovea
