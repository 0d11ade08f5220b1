// AdamW with a learning rate and a weight decay by kind of parameter, and the running average of the weights.
#pragma once

#include <torch/optim/adamw.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/base/torch.h"
#include "core/model/segmentation_model.h"
#include "core/train/training_config.h"

namespace fovea {

using NamedTensors = std::map<std::string, torch::Tensor>;

struct ParameterGroup {
  double peak_rate = 0, weight_decay = 0;
  std::vector<std::pair<std::string, torch::Tensor>> parameters;
};

// The encoder's layers get backbone_rate * layer_decay^(layers above them) (Clark et al. 2020), the final norm counting as the top and
// patch embedding, tokens and positions as the bottom; the decoder gets `rate`. Matrices and kernels decay; vectors (norms, biases,
// LayerScale), global tokens and positions do not.
std::vector<ParameterGroup> group_parameters(const SegmentationModel& model, const OptimiserConfig& config);

// AdamW (Loshchilov and Hutter 2019; torch's) with clipping of the norm over all gradients. Nothing here waits for the device.
class Optimiser {
 public:
  Optimiser(const SegmentationModel& model, const OptimiserConfig& config);

  // One step at rate_factor times the peak rates; then forgets the gradients. Returns their norm before clipping: a scalar on the device.
  torch::Tensor step(double rate_factor);

  // "first_moment.NAME", "second_moment.NAME"; zeros for a parameter that never had a gradient.
  NamedTensors state() const;
  // steps: how many steps the state has seen. state must hold what state() names (the caller checks names and shapes).
  void restore(const NamedTensors& state, std::int64_t steps);

 private:
  std::vector<ParameterGroup> groups_;
  double clip_norm_;
  std::unique_ptr<torch::optim::AdamW> adamw_;
};

// Exponential moving average of the weights (Polyak and Juditsky 1992): what is validated and saved. Its decay rises as
// (1 + step) / (10 + step) until it reaches the one asked for, so that the random start is forgotten quickly.
class WeightAverage {
 public:
  // decay 0: the average is always the current weights.
  WeightAverage(const SegmentationModel& model, double decay);

  void update(std::int64_t step);   // after step `step` (0-based)
  void swap();                      // exchanges the average and the model's weights

  NamedTensors state() const;       // "average.NAME"
  void restore(const NamedTensors& state);

 private:
  double decay_;
  std::vector<std::string> names_;
  std::vector<torch::Tensor> weights_, average_;
};

// The model labels with the averaged weights while this lives.
class UseAverage {
 public:
  explicit UseAverage(WeightAverage& average) : average_(average) { average_.swap(); }
  ~UseAverage() { average_.swap(); }
  UseAverage(const UseAverage&) = delete;
  UseAverage& operator=(const UseAverage&) = delete;

 private:
  WeightAverage& average_;
};

}  // namespace fovea
