// What the leak check of the sanitizers' build needs of programs with windows; part of no other build.

// Libraries stay: what an OpenGL driver holds in its own variables looks lost once the driver is unloaded.
extern "C" int dlclose(void*) noexcept { return 0; }
