#include <dlfcn.h>

#include <cstdlib>
#include <filesystem>

#include "app/viewer/explore/engine.h"

namespace fovea::explore {
namespace {

// Global: torch's CUDA libraries, loaded later, resolve against the same torch. Deep: the program's own libraries (GDAL's) bring a plain
// libblas, whose sgemm would be taken instead of torch's own and is thirty times slower. AddressSanitizer refuses it;
// programs that are built with it link torch before GDAL.
#if defined(__SANITIZE_ADDRESS__)
constexpr int kMode = RTLD_NOW | RTLD_GLOBAL;
#else
constexpr int kMode = RTLD_NOW | RTLD_GLOBAL | RTLD_DEEPBIND;
#endif

}  // namespace

std::unique_ptr<Engine> load_engine() {
  // OpenMP reads it when torch brings it in. Its threads would spin between torch's loops: half of all CPU time on two cores, taken from
  // the window's thread.
  setenv("OMP_WAIT_POLICY", "passive", 0);
  std::error_code code;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", code);
  for (const char* folder : {".", "../lib/fovea"}) {   // the build tree, an installation
    const auto path = program.parent_path() / folder / kEngineLibrary;
    if (!std::filesystem::exists(path, code)) continue;
    void* library = dlopen(path.c_str(), kMode);
    if (library == nullptr)
      throw Error(ErrorKind::kEnvironment, std::string(kEngineLibrary) + ": cannot be loaded: " + first_line(dlerror()));
    auto* create = reinterpret_cast<CreateEngine*>(dlsym(library, kEngineFunction));
    if (create == nullptr) throw Error(ErrorKind::kEnvironment, path.string() + ": is not of this program: build or install it again");
    return std::unique_ptr<Engine>(create());
  }
  throw Error(ErrorKind::kEnvironment, std::string(kEngineLibrary) + ": is missing beside the program: build or install it again");
}

}  // namespace fovea::explore
