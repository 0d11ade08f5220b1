#include "app/viewer/gl_objects.h"

#include <algorithm>
#include <vector>

#include "core/base/error.h"
#include "core/base/files.h"

namespace fovea::gl {
namespace {

constexpr GLenum kContextLost = 0x0507;   // OpenGL 4.5, KHR_robustness
constexpr int kMostErrors = 32;           // pending at a time: a lost context may never run out of them

template <class Owner, class Generate>
Owner generate(Generate generate_names) {
  GLuint id = 0;
  generate_names(1, &id);
  return Owner(id);
}

struct DeleteShader { void operator()(GLuint id) const { glDeleteShader(id); } };
using Shader = Name<DeleteShader>;

template <class GetParameter, class GetLog>
std::string info_log(GLuint id, GetParameter get_parameter, GetLog get_log) {
  GLint length = 0;
  get_parameter(id, GL_INFO_LOG_LENGTH, &length);
  std::string log(static_cast<std::size_t>(length > 0 ? length : 0), '\0');
  if (length > 0) get_log(id, length, nullptr, log.data());
  return first_line(log);
}

Shader compile(const std::filesystem::path& file, GLenum stage) {
  const std::string text = read_text_file(file);
  Shader shader(glCreateShader(stage));
  const char* source = text.c_str();
  glShaderSource(shader.id(), 1, &source, nullptr);
  glCompileShader(shader.id());
  GLint compiled = GL_FALSE;
  glGetShaderiv(shader.id(), GL_COMPILE_STATUS, &compiled);
  if (!compiled && !context_lost()) {
    throw Error(ErrorKind::kEnvironment, file.string() + ": " + info_log(shader.id(), glGetShaderiv, glGetShaderInfoLog));
  }
  return shader;
}

}  // namespace

Texture create_texture() { return generate<Texture>(glGenTextures); }
Buffer create_buffer() { return generate<Buffer>(glGenBuffers); }
VertexArray create_vertex_array() { return generate<VertexArray>(glGenVertexArrays); }
Framebuffer create_framebuffer() { return generate<Framebuffer>(glGenFramebuffers); }

void set_sampling(GLint filter) {
  glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MIN_FILTER, filter);
  glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_MAG_FILTER, filter);
  glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_WRAP_S, GL_CLAMP_TO_EDGE);
  glTexParameteri(GL_TEXTURE_2D, GL_TEXTURE_WRAP_T, GL_CLAMP_TO_EDGE);
}

Program load_program(const std::filesystem::path& folder, const std::string& vertex_name, const std::string& fragment_name) {
  const Shader vertex = compile(folder / (vertex_name + ".vert"), GL_VERTEX_SHADER);
  const Shader fragment = compile(folder / (fragment_name + ".frag"), GL_FRAGMENT_SHADER);
  Program program(glCreateProgram());
  glAttachShader(program.id(), vertex.id());
  glAttachShader(program.id(), fragment.id());
  glLinkProgram(program.id());
  GLint linked = GL_FALSE;
  glGetProgramiv(program.id(), GL_LINK_STATUS, &linked);
  if (!linked && context_lost()) return {};
  if (!linked) {
    throw Error(ErrorKind::kEnvironment, (folder / vertex_name).string() + " and " + fragment_name + ": " +
                                             info_log(program.id(), glGetProgramiv, glGetProgramInfoLog));
  }
  return program;
}

GLint uniform(const Program& program, const char* name) {
  const GLint location = glGetUniformLocation(program.id(), name);
  require(location >= 0 || context_lost(), std::string("the shader program has no uniform ") + name);
  return location;
}

ImageU8 read_pixels(int width, int height) {
  const std::size_t stride = static_cast<std::size_t>(width) * 3;
  std::vector<std::uint8_t> upside_down(stride * static_cast<std::size_t>(height));
  glPixelStorei(GL_PACK_ALIGNMENT, 1);
  glReadPixels(0, 0, width, height, GL_RGB, GL_UNSIGNED_BYTE, upside_down.data());
  ImageU8 image(width, height, 3);
  for (int y = 0; y < height; ++y) {
    std::copy_n(upside_down.data() + stride * static_cast<std::size_t>(height - 1 - y), stride, image.row(y));
  }
  return image;
}

std::string take_error() {
  std::string first;
  int left = kMostErrors;
  for (GLenum code = glGetError(); code != GL_NO_ERROR && left-- > 0; code = glGetError()) {
    if (!first.empty()) continue;
    switch (code) {
      case GL_INVALID_ENUM: first = "GL_INVALID_ENUM"; break;
      case GL_INVALID_VALUE: first = "GL_INVALID_VALUE"; break;
      case GL_INVALID_OPERATION: first = "GL_INVALID_OPERATION"; break;
      case GL_INVALID_FRAMEBUFFER_OPERATION: first = "GL_INVALID_FRAMEBUFFER_OPERATION"; break;
      case kContextLost: first = "GL_CONTEXT_LOST"; break;
      case GL_OUT_OF_MEMORY: first = "GL_OUT_OF_MEMORY"; break;
      default: first = "GL error " + std::to_string(code);
    }
  }
  return first;
}

}  // namespace fovea::gl
