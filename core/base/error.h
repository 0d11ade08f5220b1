// The project's one exception type.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace fovea {

// What went wrong, as far as a caller must tell cases apart. app/cli turns it into the exit code.
enum class ErrorKind {
  kInput,        // one input (image, mask, ...) is unusable; others may be fine
  kModel,        // a model folder or a weight file is unusable
  kUsage,        // the caller asked for something that makes no sense
  kEnvironment,  // memory, disk, device, permissions
  kContract,     // a broken precondition inside the program: a bug
  kCancelled,    // a stop was requested
};

// message is one line, its subject first: "scene.tif: 17 bands, expected 1, 3 or 4".
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};

// Throws Error{kContract} if the condition does not hold. Always compiled in.
void require(bool condition, std::string_view message);

// First line of a foreign exception's text, for messages that must stay on one line.
std::string first_line(std::string_view text);

}  // namespace fovea
