// An image file that is read by windows, decoded by several threads.
#pragma once

#include <functional>
#include <memory>

#include "core/image/image_source.h"

namespace fovea {

using OpenSource = std::function<std::unique_ptr<ImageSource>()>;

// Half of the cores, up to eight: the model's threads and the writer want some, too.
unsigned usual_readers();

// What open gives, or an image that opens it once more for each further reader and lets each decode a part of every window. Files without
// windows, and those whose blocks are not known, are handed back as they are: nothing of them can be decoded apart. Errors: those of open.
std::unique_ptr<ImageSource> read_in_parallel(const OpenSource& open, unsigned readers);

}  // namespace fovea
