// OpenGL 3.3 objects that free themselves. Main thread only, while a context is current.
#pragma once

#include <glad/gl.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>

#include "core/image/image.h"

namespace fovea::gl {

// Owns one GL name; Deleter::operator()(GLuint) frees it.
template <class Deleter>
class Name {
 public:
  Name() = default;
  explicit Name(GLuint id) : id_(id) {}
  ~Name() { reset(); }
  Name(Name&& other) noexcept : id_(std::exchange(other.id_, 0)) {}
  Name& operator=(Name&& other) noexcept {
    if (this != &other) reset(), id_ = std::exchange(other.id_, 0);
    return *this;
  }
  GLuint id() const { return id_; }
  explicit operator bool() const { return id_ != 0; }
  void reset() {
    if (id_) Deleter{}(id_);
    id_ = 0;
  }

 private:
  GLuint id_ = 0;
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

// Compiles and links NAME.vert and NAME.frag of a folder. Error{kEnvironment}: "shaders/tile.frag: 0:12: 'x' undeclared".
Program load_program(const std::filesystem::path& folder, const std::string& vertex_name, const std::string& fragment_name);

// Location of an active uniform; Error{kContract} if the program has none of that name.
GLint uniform(const Program& program, const char* name);

// The current framebuffer's lower left [height, width, 3], top row first.
ImageU8 read_pixels(int width, int height);

// Name of the oldest pending GL error, "" if there is none; clears all of them.
std::string take_error();

}  // namespace fovea::gl
