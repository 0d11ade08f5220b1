// What whole-image inference of an image will need, decided before work. No torch.
#pragma once

#include <cstdint>
#include <string>

#include "core/base/host_memory.h"
#include "core/image/image_source.h"
#include "core/model/config.h"

namespace fovea {

// What there is, in bytes.
struct MemoryAvailable {
  std::int64_t host = 0;          // below 0 if the process is beyond a limit already
  std::int64_t device_free = 0;   // of the GPU that computes; 0 if the CPU does
  std::int64_t host_in_use = 0;   // by this process, where a limit counts that too: for the sentence that refuses
};

enum class MemoryHome { kHost, kDevice };

struct MemoryPlanRequest {
  MemoryAvailable available;
  std::int64_t element_bytes = 4;      // of the dtype that the model computes in: 4 or 2
  std::int64_t band_memory_bytes = 0;  // of one step, as far as one row of tokens allows; 0: as much as still gains speed
  std::int64_t piece_tokens = 1024;    // that go through the steps of a block together (core/model/token_pieces.h)
  std::int64_t label_bytes_a_pixel = 1;   // a class, and probabilities where they are asked for
};

struct MemoryPlan {
  std::int64_t token_rows = 0, encoder_rows = 0, decoder_rows = 0;   // token rows a step (whole_image_encoder.h)
  MemoryHome stream_home = MemoryHome::kHost;
  std::int64_t stream_element_bytes = 4;             // 2 where only half precision of the stream fits
  bool keep_pixels = false;                          // on the device, so that the decoder need not read them again
  // Bytes beyond what the process holds already.
  std::int64_t stream_bytes = 0, image_bytes = 0, band_bytes = 0, label_bytes = 0;
  std::int64_t host_bytes = 0, device_bytes = 0;
  std::string text() const;                          // one line for a person
};

// Of the device while a small image goes through the model as a piece, for each that goes with it (small_images.h).
std::int64_t small_image_bytes(const ImageInfo& image, const ModelConfig& model, std::int64_t element_bytes);

// Bytes of a step beyond which taller bands no longer gain speed.
std::int64_t enough_band_memory(MemoryHome bands_home);

// Prefers, in this order: stream and pixels on the device, the stream alone there, in the host's memory, in the host's memory in half
// precision; bands as high as the rest allows, up to where more no longer helps. Errors: Error{kInput} "needs 21.4 GB of host memory, but
// only 7.9 GB are available; ..." (no subject), of device memory where that is what does not suffice.
MemoryPlan plan_whole_image(const ImageInfo& image, const ModelConfig& model, const MemoryPlanRequest& request);

}  // namespace fovea
