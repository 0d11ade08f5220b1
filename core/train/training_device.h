// Where training and evaluation run, and in which arithmetic.
#pragma once

#include <string>

#include "core/base/torch.h"

namespace fovea {

// "auto": the first CUDA device if there is one, else the CPU; "cpu"; "cuda"; "cuda:1".
// Errors: Error{kUsage} for another text, Error{kEnvironment} "cuda:1: REASON" if it cannot be had.
torch::Device choose_device(const std::string& name);

// While it lives, CUDA's matrix products and convolutions run in bfloat16 on float32 weights (torch's autocast).
class BFloat16Autocast {
 public:
  BFloat16Autocast();
  ~BFloat16Autocast();
  BFloat16Autocast(const BFloat16Autocast&) = delete;
  BFloat16Autocast& operator=(const BFloat16Autocast&) = delete;

 private:
  torch::Dtype previous_dtype_;
  bool previous_enabled_;
};

}  // namespace fovea
