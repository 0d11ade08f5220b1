#include "app/viewer/gl_context.h"

#include <string_view>

namespace fovea::gl {
namespace {

// Of OpenGL 4.5 and KHR_robustness, with the same values in ARB_robustness; not in the header for 3.3.
constexpr GLenum kResetNotificationStrategy = 0x8256, kLoseContextOnReset = 0x8252;

std::uint32_t number = 0;
bool lost = false;

bool has_extension(std::string_view wanted) {
  GLint count = 0;
  glGetIntegerv(GL_NUM_EXTENSIONS, &count);
  for (GLint i = 0; i < count; ++i) {
    const auto* name = reinterpret_cast<const char*>(glGetStringi(GL_EXTENSIONS, static_cast<GLuint>(i)));
    if (name && name == wanted) return true;
  }
  return false;
}

// Loaders give an address for any name: what the driver lists decides.
ResetStatus find_reset_status(GLADloadfunc load) {
  GLint major = 0, minor = 0;
  glGetIntegerv(GL_MAJOR_VERSION, &major);
  glGetIntegerv(GL_MINOR_VERSION, &minor);
  const char* name = 10 * major + minor >= 45            ? "glGetGraphicsResetStatus"
                     : has_extension("GL_KHR_robustness") ? "glGetGraphicsResetStatus"
                     : has_extension("GL_ARB_robustness") ? "glGetGraphicsResetStatusARB"
                                                          : nullptr;
  if (!name) return nullptr;
  GLint strategy = 0;
  glGetIntegerv(kResetNotificationStrategy, &strategy);
  if (strategy != static_cast<GLint>(kLoseContextOnReset)) return nullptr;   // the context was had without: it would never tell
  return reinterpret_cast<ResetStatus>(load(name));
}

}  // namespace

ResetStatus reset_status = nullptr;

bool start_context(GLADloadfunc load) {
  ++number;
  lost = false;
  reset_status = nullptr;
  if (!gladLoadGL(load)) return false;
  reset_status = find_reset_status(load);
  return true;
}

void forget_context() {
  ++number;
  reset_status = nullptr;
}

bool context_lost() {
  lost = lost || (reset_status && reset_status() != GL_NO_ERROR);
  return lost;
}

std::uint32_t context_number() { return number; }

}  // namespace fovea::gl
