// An OpenGL 3.3 context without a display: EGL on a device, for benchmarks on machines without a screen.
#pragma once

#include <memory>
#include <string>

namespace fovea {

// libEGL is loaded when it is needed: nothing links it. Prefers a hardware device over software. Current on the constructing thread.
class EglContext {
 public:
  // Error{kEnvironment} "no OpenGL 3.3 through EGL: ...". Loads the functions of <glad/gl.h>.
  EglContext();
  ~EglContext();
  EglContext(const EglContext&) = delete;
  EglContext& operator=(const EglContext&) = delete;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fovea
