// All pixels of a file that can be read by windows, decoded by several threads.
#pragma once

#include <functional>
#include <memory>

#include "core/image/image_source.h"

namespace fovea {

using OpenSource = std::function<std::unique_ptr<ImageSource>()>;

// Half of the cores, up to four: the model's threads and the writer want some, too.
unsigned usual_readers();

// RGB of the whole of source. open: the same image once more, for every thread but the calling one, because a source has one reader at a
// time. Errors: those of source and open.
ImageU8 read_whole(ImageSource& source, const OpenSource& open, unsigned readers);

}  // namespace fovea
