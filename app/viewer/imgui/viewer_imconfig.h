// Dear ImGui's compile-time configuration (IMGUI_USER_CONFIG).
#pragma once

#include <cstdio>
#include <cstdlib>

#define IMGUI_DISABLE_OBSOLETE_FUNCTIONS

// The default is assert(), which a release build leaves out; a broken call must never pass in silence.
#define IM_ASSERT(expression)                                                                         \
  do {                                                                                                \
    if (!(expression)) {                                                                              \
      std::fprintf(stderr, "%s:%d: Dear ImGui: %s does not hold\n", __FILE__, __LINE__, #expression); \
      std::abort();                                                                                   \
    }                                                                                                 \
  } while (false)

#ifdef FOVEA_VIEWER_TESTED
#define IMGUI_TEST_ENGINE_ENABLE_COROUTINE_STDTHREAD_IMPL 1
#define IMGUI_TEST_ENGINE_ENABLE_STD_FUNCTION 1
#define IMGUI_TEST_ENGINE_ENABLE_IMPLOT 1
#define IMGUI_TEST_ENGINE_ENABLE_CAPTURE 1
#include "imgui_te_imconfig.h"
#endif
