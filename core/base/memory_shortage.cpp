#include "core/base/memory_shortage.h"

#include <c10/util/Exception.h>

#include <cstdio>
#include <cstdlib>
#include <new>
#include <string_view>

#include "core/base/device_error.h"

namespace fovea {
namespace {

// What stands between two texts; empty if they do not occur.
std::string between(std::string_view text, std::string_view before, std::string_view after) {
  const std::size_t at = text.find(before);
  if (at == text.npos) return {};
  const std::size_t begin = at + before.size(), end = text.find(after, begin);
  return end == text.npos ? std::string() : std::string(text.substr(begin, end - begin));
}

// Of the sentences in which torch's allocator tells what it knows.
std::string device_figures(std::string_view text) {
  const std::string needed = between(text, "Tried to allocate ", ". "), total = between(text, "total capacity of ", " of which ");
  // A limit that this process was given says more than what the whole card has left.
  const std::string allowed = between(text, "memory in use. ", " allowed"), free = between(text, " of which ", " is free");
  if (needed.empty()) return {};
  if (!allowed.empty()) return ": needs " + needed + " more, but this process is limited to " + allowed;
  return ": needs " + needed + " more" + (free.empty() ? "" : ", but only " + free + " of " + total + " are free");
}

std::string host_figures(std::string_view text) {
  const std::string bytes = between(text, "you tried to allocate ", " bytes");
  if (bytes.empty()) return {};
  char figures[64];
  std::snprintf(figures, sizeof figures, ": needs %.2f GiB more", std::strtod(bytes.c_str(), nullptr) / 1073741824.0);
  return figures;
}

}  // namespace

std::optional<MemoryShortage> memory_shortage() {
  try {
    throw;
  } catch (const std::bad_alloc&) {
    return MemoryShortage{"not enough memory"};
  } catch (const DeviceError& error) {
    return error.cause() == DeviceError::Cause::kMemory ? std::optional(MemoryShortage{kDeviceShortage, true}) : std::nullopt;
  } catch (const c10::OutOfMemoryError& error) {
    return MemoryShortage{kDeviceShortage + device_figures(error.what_without_backtrace()), true};
  } catch (const c10::Error& error) {
    // The allocators of the host, pinned or not, and the libraries of a device throw the general class.
    const std::string_view text = error.what_without_backtrace();
    if (text.find("can't allocate memory") != text.npos) return MemoryShortage{"not enough memory" + host_figures(text)};
    const bool on_device = text.find("out of memory") != text.npos || text.find("_STATUS_ALLOC_FAILED") != text.npos;
    return on_device ? std::optional(MemoryShortage{kDeviceShortage, true}) : std::nullopt;
  } catch (...) {
    return std::nullopt;
  }
}

}  // namespace fovea
