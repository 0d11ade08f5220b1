// The entry of the shared library that engine_loader.cpp opens.
#include <c10/util/Exception.h>

#include "app/viewer/explore/torch_engine.h"

namespace {

// Torch's warnings are for programmers: a viewer has nobody at its terminal.
class SilentWarnings final : public c10::WarningHandler {
 public:
  void process(const c10::Warning&) override {}
};

}  // namespace

extern "C" __attribute__((visibility("default"))) fovea::explore::Engine* fovea_viewer_create_engine() {
  static SilentWarnings silent;
  c10::WarningUtils::set_warning_handler(&silent);
  return new fovea::explore::TorchEngine();
}
