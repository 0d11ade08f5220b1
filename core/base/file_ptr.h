// A C library's file that closes itself.
#pragma once

#include <cstdio>
#include <memory>

namespace fovea {

struct FileCloser {
  void operator()(std::FILE* file) const { std::fclose(file); }
};
using FilePtr = std::unique_ptr<std::FILE, FileCloser>;

}  // namespace fovea
