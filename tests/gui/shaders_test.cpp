// Every file in shaders/ compiles without a word from the compiler and links with a partner; a broken one gives one line that names it.
#include <glad/gl.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <vector>

#include "app/viewer/gl_objects.h"
#include "app/viewer/resources.h"
#include "app/viewer/window.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "tests/support/temporary_folder.h"

namespace fovea {
namespace {

namespace fs = std::filesystem;

class ShadersTest : public testing::Test {
 protected:
  static void SetUpTestSuite() { window = new Window({.width = 64, .height = 64, .visibility = Visibility::kHidden, .scale = 1}); }
  static void TearDownTestSuite() { delete window; }
  static std::vector<fs::path> files(const char* extension) {
    std::vector<fs::path> found;
    for (const auto& entry : fs::directory_iterator(shader_folder())) {
      if (entry.path().extension() == extension) found.push_back(entry.path());
    }
    return found;
  }
  static inline Window* window = nullptr;
};

TEST_F(ShadersTest, EveryFileIsAShaderOfOneVersion) {
  ASSERT_FALSE(files(".vert").empty());
  ASSERT_FALSE(files(".frag").empty());
  for (const auto& entry : fs::directory_iterator(shader_folder())) {
    EXPECT_TRUE(entry.path().extension() == ".vert" || entry.path().extension() == ".frag") << entry.path();
    EXPECT_TRUE(read_text_file(entry.path()).starts_with("#version 330 core\n")) << entry.path();
  }
}

TEST_F(ShadersTest, EveryShaderCompilesWithoutAWarning) {
  for (const auto& [extension, stage] : {std::pair{".vert", GL_VERTEX_SHADER}, {".frag", GL_FRAGMENT_SHADER}}) {
    for (const fs::path& file : files(extension)) {
      const std::string text = read_text_file(file);
      const char* source = text.c_str();
      const GLuint shader = glCreateShader(static_cast<GLenum>(stage));
      glShaderSource(shader, 1, &source, nullptr);
      glCompileShader(shader);
      GLint compiled = GL_FALSE;
      glGetShaderiv(shader, GL_COMPILE_STATUS, &compiled);
      char log[2000] = "";
      glGetShaderInfoLog(shader, sizeof log, nullptr, log);
      EXPECT_EQ(compiled, GL_TRUE) << file << ": " << log;
      EXPECT_STREQ(log, "") << file;
      glDeleteShader(shader);
    }
  }
}

TEST_F(ShadersTest, EveryShaderLinksWithAPartner) {
  std::set<fs::path> linked;
  for (const fs::path& vertex : files(".vert")) {
    for (const fs::path& fragment : files(".frag")) {
      try {
        const gl::Program program = gl::load_program(shader_folder(), vertex.stem(), fragment.stem());
        linked.insert({vertex, fragment});
      } catch (const Error&) {   // not every pair belongs together
      }
    }
  }
  for (const char* extension : {".vert", ".frag"}) {
    for (const fs::path& file : files(extension)) EXPECT_TRUE(linked.contains(file)) << file;
  }
  EXPECT_EQ(gl::take_error(), "");
}

TEST_F(ShadersTest, ABrokenShaderIsNamedInOneLine) {
  const test::TemporaryFolder folder;
  fs::copy(shader_folder(), folder / "shaders");
  std::ofstream(folder / "shaders" / "heat.frag") << "#version 330 core\nout vec4 colour;\nvoid main() { colour = nonsense; }\n";
  try {
    gl::load_program(folder / "shaders", "rect", "heat");
    FAIL() << "a broken shader was taken";
  } catch (const Error& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("heat.frag: "), std::string::npos) << text;
    EXPECT_EQ(text.find('\n'), std::string::npos) << text;
  }
  EXPECT_THROW(gl::load_program(folder / "shaders", "rect", "missing"), Error);
}

}  // namespace
}  // namespace fovea
