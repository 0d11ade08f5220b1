// Which OpenGL context is the current one, and whether the driver has taken it away. Main thread only.
//
// A context is lost when the driver resets the GPU, a GPU goes or a remote session ends. Every object in it is gone then, and calls do
// nothing. KHR_robustness, section 2.6 of ARB_robustness.
#pragma once

#include <glad/gl.h>

#include <cstdint>

namespace fovea::gl {

// glGetGraphicsResetStatus of the current context; nullptr where the driver does not tell. Tests put their own in its place.
using ResetStatus = GLenum (*)();
extern ResetStatus reset_status;

// A context was made current: loads the functions of <glad/gl.h>. False: it is no OpenGL 3.3.
bool start_context(GLADloadfunc load);
// The context is gone or about to go: names of objects in it are no names any more (gl::Name).
void forget_context();
// Asks the driver. True from the first time that it says so until the next start_context().
bool context_lost();

// Differs from context to context.
std::uint32_t context_number();

}  // namespace fovea::gl
