// Class maps as COCO annotations with run-length encoded masks (Lin et al. 2014; the encoding is that of pycocotools).
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "core/image/writers.h"

namespace fovea {

struct CocoWriterOptions {
  std::filesystem::path path;
  std::string image_file_name;             // stored as file_name
  std::int64_t width = 0, height = 0;      // pixels; fewer than 2^32 in all, else Error{kInput}: readers count in 32 bits
  std::vector<std::string> class_names = {};
  int ignore_index = -1;                   // class that gets no annotation, -1: none
};

// One annotation a class that occurs, as in COCO-Stuff: category_id is the class index + 1. COCO runs down the columns while rows arrive,
// so the vertical runs are kept: 8 bytes each, at most 2^27 of them (1 GiB), else Error{kEnvironment}. A column has one more run than
// changes of class: masks of real images need some megabytes, noise needs 8 bytes a pixel.
// append() takes class indices as a mask writer does. Errors: Error{kEnvironment} "PATH: cannot write: ...".
std::unique_ptr<MaskWriter> create_coco_writer(const CocoWriterOptions& options);

}  // namespace fovea
