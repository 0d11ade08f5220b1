// What the leak check of the sanitizers' build must know of this program; part of no other build.
extern "C" {

// Thread-local storage of a library that was loaded while threads run is not to be followed: LeakSanitizer of GCC 12 crashes on it. So what
// only such storage refers to looks lost: tables of the dynamic linker and of the C library, the text of the latest dlerror(), and what OpenMP
// and GDAL keep for each thread.
const char* __lsan_default_options() { return "use_tls=0:print_suppressions=0"; }
const char* __lsan_default_suppressions() {
  return "leak:add_to_global_resize\n"
         "leak:_dl_resize_dtv\n"
         "leak:_dlerror_run\n"
         "leak:_dl_exception_create\n"
         "leak:__cxa_thread_atexit_impl\n"
         "leak:libgomp.so\n"
         "leak:libgdal.so\n";
}

}  // extern "C"
