#include "app/cli/onnx_source.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <system_error>
#include <vector>

#include "core/base/error.h"
#include "core/base/files.h"

namespace fovea::cli {
namespace {

namespace fs = std::filesystem;

// build/PRESET/fovea lies two folders below the root.
fs::path source_root() {
  std::error_code code;
  return fs::read_symlink("/proc/self/exe", code).parent_path().parent_path().parent_path();
}

fs::path make_temporary_folder() {
  std::error_code code;
  std::string name = (fs::temp_directory_path(code) / "fovea-import-XXXXXX").string();
  if (code || !mkdtemp(name.data())) {
    throw Error(ErrorKind::kEnvironment, name + ": cannot make a temporary folder: " + std::strerror(errno));
  }
  return name;
}

std::string last_line(std::string text) {
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text.substr(text.rfind('\n') + 1);   // npos + 1 is 0
}

// Waits for it. Its standard output is dropped, its standard error goes to a file. Returns the exit status, or errno as a system_error.
int run(const std::vector<std::string>& command, const fs::path& standard_error) {
  std::vector<char*> arguments;
  for (const std::string& word : command) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
  posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, standard_error.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  pid_t child = 0;
  const int failure = posix_spawn(&child, arguments[0], &actions, nullptr, arguments.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (failure != 0) throw std::system_error(failure, std::generic_category());
  int status = 0;
  while (waitpid(child, &status, 0) < 0) {
    if (errno != EINTR) throw std::system_error(errno, std::generic_category());
  }
  return status;
}

}  // namespace

OnnxBackbone::OnnxBackbone(const fs::path& onnx_file) {
  const fs::path python = source_root() / ".deps/onnx/bin/python", script = source_root() / "scripts/import_onnx.py";
  std::error_code code;
  const auto refuse = [&](ErrorKind kind, const std::string& what) { throw Error(kind, onnx_file.string() + ": " + what); };
  if (!fs::exists(onnx_file, code)) refuse(ErrorKind::kModel, "no such file");
  if (!fs::exists(script, code)) {
    refuse(ErrorKind::kEnvironment, "is read by scripts/import_onnx.py of the source tree, which is not there");
  }
  if (!fs::exists(python, code)) {
    refuse(ErrorKind::kEnvironment, "reading ONNX needs Python's onnx: run scripts/setup.sh onnx in " + source_root().string());
  }
  folder_ = make_temporary_folder();
  try {
    const fs::path messages = folder_ / "messages";
    if (run({python, script, onnx_file, "-o", safetensors()}, messages) != 0) {
      throw Error(ErrorKind::kModel, last_line(read_text_file(messages)));
    }
  } catch (const std::system_error& error) {
    fs::remove_all(folder_, code);
    throw Error(ErrorKind::kEnvironment, python.string() + ": cannot be started: " + error.code().message());
  } catch (...) {
    fs::remove_all(folder_, code);
    throw;
  }
}

OnnxBackbone::~OnnxBackbone() {
  std::error_code code;
  std::filesystem::remove_all(folder_, code);
}

}  // namespace fovea::cli
