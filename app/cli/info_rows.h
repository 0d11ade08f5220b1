// The table that `fovea info` prints.
#pragma once

#include <cstdio>
#include <string>

namespace fovea::cli {

inline void print_row(const char* name, const std::string& value) { std::printf("%-14s %s\n", name, value.c_str()); }

}  // namespace fovea::cli
