#include "app/viewer/egl_context.h"

#include <dlfcn.h>

#include <cstdint>
#include <cstring>
#include <vector>

#include "app/viewer/gl_context.h"
#include "core/base/error.h"

namespace fovea {
namespace {

// The little of EGL 1.5, EXT_device_enumeration and EXT_platform_device that is used here (Khronos registry), so that no EGL header is
// needed.
using Handle = void*;
using Attribute = std::intptr_t;
using Function = void (*)();
constexpr int kExtensions = 0x3055, kPlatformDevice = 0x313F, kPlatformSurfaceless = 0x31DD, kOpenGlApi = 0x30A2, kOpenGlBit = 0x0008,
              kNone = 0x3038;
constexpr int kSurfaceType = 0x3033, kPbufferBit = 0x0001, kRenderableType = 0x3040, kWidth = 0x3057, kHeight = 0x3056;
constexpr int kMajor = 0x3098, kMinor = 0x30FB, kProfileMask = 0x30FD, kCoreProfile = 0x0001;
constexpr int kRobustAccess = 0x31B2, kResetNotification = 0x31BD, kLoseContextOnReset = 0x31BF;

Function (*get_address)(const char*) = nullptr;

template <class F>
F load(void* library, const char* name) {
  void* found = dlsym(library, name);
  if (!found && get_address) found = reinterpret_cast<void*>(get_address(name));
  return reinterpret_cast<F>(found);
}

GLADapiproc load_gl(const char* name) { return reinterpret_cast<GLADapiproc>(get_address(name)); }

}  // namespace

struct EglContext::State {
  void* library = nullptr;
  Handle display = nullptr, context = nullptr, surface = nullptr;

  void open_library() {
    library = dlopen("libEGL.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) throw Error(ErrorKind::kEnvironment, "no OpenGL 3.3 through EGL: libEGL.so.1 is missing");
    get_address = load<Function (*)(const char*)>(library, "eglGetProcAddress");
    if (!get_address) throw Error(ErrorKind::kEnvironment, "no OpenGL 3.3 through EGL: libEGL.so.1 is broken");
  }

  // Hardware first: Mesa calls its software device so in its extensions.
  std::vector<Handle> devices() const {
    const auto query = load<unsigned (*)(int, Handle*, int*)>(library, "eglQueryDevicesEXT");
    const auto text = load<const char* (*)(Handle, int)>(library, "eglQueryDeviceStringEXT");
    Handle found[32];
    int count = 0;
    if (!query || !query(32, found, &count)) return {};
    std::vector<Handle> hardware, software;
    for (int i = 0; i < count; ++i) {
      const char* extensions = text ? text(found[i], kExtensions) : nullptr;
      (extensions && std::strstr(extensions, "software") ? software : hardware).push_back(found[i]);
    }
    hardware.insert(hardware.end(), software.begin(), software.end());
    return hardware;
  }

  bool start(Handle candidate) {
    if (!candidate) return false;
    const auto initialise = load<unsigned (*)(Handle, int*, int*)>(library, "eglInitialize");
    const auto bind_api = load<unsigned (*)(unsigned)>(library, "eglBindAPI");
    const auto choose = load<unsigned (*)(Handle, const int*, Handle*, int, int*)>(library, "eglChooseConfig");
    const auto create = load<Handle (*)(Handle, Handle, Handle, const int*)>(library, "eglCreateContext");
    const auto pbuffer = load<Handle (*)(Handle, Handle, const int*)>(library, "eglCreatePbufferSurface");
    const auto make_current = load<unsigned (*)(Handle, Handle, Handle, Handle)>(library, "eglMakeCurrent");
    if (!initialise || !initialise(candidate, nullptr, nullptr)) return false;
    display = candidate;
    const int wanted[] = {kSurfaceType, kPbufferBit, kRenderableType, kOpenGlBit, kNone};
    Handle config = nullptr;
    int count = 0;
    if (!bind_api(kOpenGlApi) || !choose(display, wanted, &config, 1, &count) || count == 0) return false;
    // As Window asks for it: a reset is told where that can be had.
    const int robust[] = {kMajor, 3, kMinor, 3, kProfileMask, kCoreProfile, kRobustAccess, 1, kResetNotification, kLoseContextOnReset,
                          kNone};
    const int plain[] = {kMajor, 3, kMinor, 3, kProfileMask, kCoreProfile, kNone};
    context = create(display, config, nullptr, robust);
    if (!context) context = create(display, config, nullptr, plain);
    const int size[] = {kWidth, 16, kHeight, 16, kNone};
    if (context) surface = pbuffer(display, config, size);
    return context && make_current(display, surface, surface, context) && gl::start_context(load_gl);
  }

  void stop() {
    if (!display) return;
    load<unsigned (*)(Handle, Handle, Handle, Handle)>(library, "eglMakeCurrent")(display, nullptr, nullptr, nullptr);
    if (context) load<unsigned (*)(Handle, Handle)>(library, "eglDestroyContext")(display, context);
    if (surface) load<unsigned (*)(Handle, Handle)>(library, "eglDestroySurface")(display, surface);
    load<unsigned (*)(Handle)>(library, "eglTerminate")(display);
    display = context = surface = nullptr;
  }
};

EglContext::EglContext() : state_(std::make_unique<State>()) {
  state_->open_library();
  const auto platform_display = load<Handle (*)(int, void*, const Attribute*)>(state_->library, "eglGetPlatformDisplay");
  if (platform_display) {
    for (Handle device : state_->devices()) {
      if (state_->start(platform_display(kPlatformDevice, device, nullptr))) return;
      state_->stop();
    }
    if (state_->start(platform_display(kPlatformSurfaceless, nullptr, nullptr))) return;
    state_->stop();
  }
  throw Error(ErrorKind::kEnvironment, "no OpenGL 3.3 through EGL: no device gives a context");
}

// The library stays: drivers do not like to be unloaded.
EglContext::~EglContext() { state_->stop(); }

}  // namespace fovea
