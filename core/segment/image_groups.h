// Puts those images of a list together that can go through the model in one pass.
#pragma once

#include <deque>
#include <exception>
#include <vector>

#include "core/segment/image_opener.h"
#include "core/segment/small_images.h"

namespace fovea {

struct GroupedImage {
  OpenedImage image;
  std::int64_t place = 0;            // in the pass
};

struct ImageGroup {
  std::vector<GroupedImage> images;  // empty: there are no more
  SmallBatch batch{};                // of the pass; one that was finished by an earlier run, or cannot be used, is in no pass
};

class ImageGroups {
 public:
  // All must outlive the object. waiting_bytes: of pixels that may wait here for others of their size.
  ImageGroups(ImageOpener& opener, const SegmentationModel& model, const SegmentOptions& options, std::int64_t waiting_bytes);

  // The oldest image that waits, with those of its grid that come soon after it, up to a full pass; where they are fewer, the pass is the
  // next power of two. All of that follows from the list alone, because images that an earlier run finished are put into groups like the
  // others: so that a run that was interrupted and resumed gives the bytes of one that was not (small_images.h). An image that goes alone
  // is not overtaken. Errors: those of the opener, once everything before is handed out.
  ImageGroup next();

 private:
  struct Waiting {
    OpenedImage image;
    SmallBatch batch;              // of a full pass
    bool goes_alone = false;       // through the model
  };
  bool fetch();
  Waiting judged(OpenedImage image) const;

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
