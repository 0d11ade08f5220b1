// OpenGL 3.3 objects that free themselves. Main thread only, while a context is current.
//
// When the context is lost, whatever is held of it is no object any more: tests as false, is not deleted, and is made again where it is
// used.
#pragma once

#include <glad/gl.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include "app/viewer/gl_context.h"
#include "core/image/image.h"

namespace fovea::gl {

// Owns one GL name of the context in which it was made; Deleter::operator()(GLuint) frees it.
template <class Deleter>
class Name {
 public:
  Name() = default;
  explicit Name(GLuint id) : id_(id), context_(context_number()) {}
  ~Name() { reset(); }
  Name(Name&& other) noexcept : id_(std::exchange(other.id_, 0)), context_(other.context_) {}
  Name& operator=(Name&& other) noexcept {
    if (this != &other) reset(), id_ = std::exchange(other.id_, 0), context_ = other.context_;
    return *this;
  }
  // 0 once its context is gone: a later context may have given the same name to something else.
  GLuint id() const { return context_ == context_number() ? id_ : 0; }
  explicit operator bool() const { return id() != 0; }
  void reset() {
    if (id()) Deleter{}(id_);
    id_ = 0;
  }

 private:
  GLuint id_ = 0;
  std::uint32_t context_ = 0;
};

struct DeleteTexture { void operator()(GLuint id) const { glDeleteTextures(1, &id); } };
struct DeleteBuffer { void operator()(GLuint id) const { glDeleteBuffers(1, &id); } };
struct DeleteVertexArray { void operator()(GLuint id) const { glDeleteVertexArrays(1, &id); } };
struct DeleteFramebuffer { void operator()(GLuint id) const { glDeleteFramebuffers(1, &id); } };
struct DeleteProgram { void operator()(GLuint id) const { glDeleteProgram(id); } };

using Texture = Name<DeleteTexture>;
using Buffer = Name<DeleteBuffer>;
using VertexArray = Name<DeleteVertexArray>;
using Framebuffer = Name<DeleteFramebuffer>;
using Program = Name<DeleteProgram>;

Texture create_texture();
Buffer create_buffer();
VertexArray create_vertex_array();
Framebuffer create_framebuffer();

// Both filters of the bound 2-D texture, clamped to its edge.
void set_sampling(GLint filter);

// Compiles and links NAME.vert and NAME.frag of a folder. Error{kEnvironment}: "shaders/tile.frag: 0:12: 'x' undeclared". In a context
// that is lost nothing compiles: no program then, and no error.
Program load_program(const std::filesystem::path& folder, const std::string& vertex_name, const std::string& fragment_name);

// Location of an active uniform; Error{kContract} if the program has none of that name. -1, which OpenGL ignores, in a lost context.
GLint uniform(const Program& program, const char* name);

// The current framebuffer's lower left [height, width, 3], top row first.
ImageU8 read_pixels(int width, int height);

// Name of the oldest pending GL error, "" if there is none; clears all of them.
std::string take_error();

}  // namespace fovea::gl
