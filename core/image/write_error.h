// Why a file could not be written, in the words of the system.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace fovea {

// Throws Error{kEnvironment} "TARGET: cannot write: REASON".
[[noreturn]] void fail_write(const std::filesystem::path& target, std::string_view reason);

// Codec libraries swallow errno ("write error at scanline 0"). Asks the file system again by appending to the half-written file `path`:
// its answer ("No space left on device"), or `otherwise` in one line if it has no objection. The file is spoilt by this.
std::string write_failure_reason(const std::filesystem::path& path, std::string_view otherwise);

}  // namespace fovea
