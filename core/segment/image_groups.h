// Puts those images of a list together that can go through the model in one pass.
#pragma once

#include <deque>
#include <exception>
#include <vector>

#include "core/segment/image_opener.h"
#include "core/segment/small_images.h"

namespace fovea {

struct ImageGroup {
  std::vector<OpenedImage> images;   // empty: there are no more
  SmallBatch batch{};                // where images were put together; else .images is 1
};

class ImageGroups {
 public:
  // All must outlive the object. waiting_bytes: of pixels that may wait here for others of their size.
  ImageGroups(ImageOpener& opener, const SegmentationModel& model, const SegmentOptions& options, std::int64_t waiting_bytes);

  // The oldest image that waits, with those of its size that come soon after it: a group is full unless too many others lie between or the
  // list ends. An image that goes alone is not overtaken. Errors: those of the opener, once everything before is handed out.
  ImageGroup next();

 private:
  struct Waiting {
    OpenedImage image;
    SmallBatch batch;
    bool goes_alone = false;       // through the model
  };
  bool fetch();

  ImageOpener& opener_;
  const SegmentationModel& model_;
  const SegmentOptions& options_;
  const std::int64_t waiting_bytes_;
  const std::int64_t pass_bytes_;  // that a pass may take: found out once, so that like images always go in like groups
  std::deque<Waiting> waiting_;
  std::int64_t bytes_ = 0;         // of their pixels
  std::exception_ptr failure_;     // of the opener
};

}  // namespace fovea
