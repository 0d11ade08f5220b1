// test_viewer_flows [FILTER]: plays all flows, or those whose "group/name" contains the filter.
#include <cstdio>

#include "core/base/error.h"
#include "tests/gui/stage.h"

int main(int argc, char** argv) {
  try {
    fovea::gui::Stage stage;
    return stage.play(argc > 1 ? argv[1] : "") ? 0 : 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
