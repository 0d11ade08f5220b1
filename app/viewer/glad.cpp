// The one place where the OpenGL loader's code is compiled.
#define GLAD_GL_IMPLEMENTATION
#include <glad/gl.h>
