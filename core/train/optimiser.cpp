#include "core/train/optimiser.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <string_view>

#include "core/base/error.h"

namespace fovea {
namespace {

constexpr std::string_view kEncoder = "encoder.", kBlocks = "encoder.blocks.", kFinalNorm = "encoder.norm.";
constexpr double kNormFloor = 1e-6;   // keeps the clipping factor finite where all gradients are zero

// Layers above a parameter of the encoder: 0 for the final norm, 1 for the last block, depth + 1 for what comes before the blocks.
std::int64_t layers_above(std::string_view name, std::int64_t depth) {
  if (name.starts_with(kFinalNorm)) return 0;
  if (!name.starts_with(kBlocks)) return depth + 1;
  std::int64_t block = 0;
  const auto digits = name.substr(kBlocks.size());
  std::from_chars(digits.data(), digits.data() + digits.size(), block);
  return depth - block;
}

bool decays(std::string_view name, const torch::Tensor& parameter) {
  return parameter.dim() >= 2 && name != "encoder.global_tokens" && name != "encoder.positions";
}

}  // namespace

std::vector<ParameterGroup> group_parameters(const SegmentationModel& model, const OptimiserConfig& config) {
  std::map<std::pair<double, double>, ParameterGroup> groups;
  for (const auto& item : model.named_parameters()) {
    const std::string& name = item.key();
    double rate = config.rate;
    if (name.starts_with(kEncoder)) {
      const auto above = layers_above(name, model.config().encoder.depth);
      rate = config.backbone_rate * std::pow(config.layer_decay, static_cast<double>(above));
    }
    const double decay = decays(name, item.value()) ? config.weight_decay : 0;
    auto& group = groups[{rate, decay}];
    group.peak_rate = rate;
    group.weight_decay = decay;
    group.parameters.emplace_back(name, item.value());
  }
  std::vector<ParameterGroup> result;
  for (auto& [ignored, group] : groups) result.push_back(std::move(group));
  return result;
}

Optimiser::Optimiser(const SegmentationModel& model, const OptimiserConfig& config)
    : groups_(group_parameters(model, config)), clip_norm_(config.clip_norm) {
  std::vector<torch::optim::OptimizerParamGroup> groups;
  for (const auto& group : groups_) {
    std::vector<torch::Tensor> parameters;
    for (const auto& [ignored, parameter] : group.parameters) parameters.push_back(parameter);
    auto options = torch::optim::AdamWOptions(group.peak_rate).betas({config.betas[0], config.betas[1]}).weight_decay(group.weight_decay);
    groups.emplace_back(std::move(parameters), std::make_unique<torch::optim::AdamWOptions>(options));
  }
  adamw_ = std::make_unique<torch::optim::AdamW>(groups);
}

torch::Tensor Optimiser::step(double rate_factor) {
  std::vector<torch::Tensor> gradients;
  for (std::size_t i = 0; i < groups_.size(); ++i) {
    adamw_->param_groups()[i].options().set_lr(groups_[i].peak_rate * rate_factor);
    for (const auto& [ignored, parameter] : groups_[i].parameters) if (parameter.grad().defined()) gradients.push_back(parameter.grad());
  }
  require(!gradients.empty(), "Optimiser::step: no parameter has a gradient");
  torch::Tensor norm;
  {
    torch::NoGradGuard no_grad;
    norm = torch::stack(at::_foreach_norm(gradients)).norm();
    if (clip_norm_ > 0) at::_foreach_mul_(gradients, (clip_norm_ / (norm + kNormFloor)).clamp_max(1));
  }
  adamw_->step();
  adamw_->zero_grad();
  return norm;
}

NamedTensors Optimiser::state() const {
  NamedTensors state;
  for (const auto& group : groups_) {
    for (const auto& [name, parameter] : group.parameters) {
      const auto found = adamw_->state().find(parameter.unsafeGetTensorImpl());
      const bool seen = found != adamw_->state().end();
      const auto* moments = seen ? static_cast<const torch::optim::AdamWParamState*>(found->second.get()) : nullptr;
      state["first_moment." + name] = moments ? moments->exp_avg() : torch::zeros_like(parameter);
      state["second_moment." + name] = moments ? moments->exp_avg_sq() : torch::zeros_like(parameter);
    }
  }
  return state;
}

void Optimiser::restore(const NamedTensors& state, std::int64_t steps) {
  for (const auto& group : groups_) {
    for (const auto& [name, parameter] : group.parameters) {
      auto moments = std::make_unique<torch::optim::AdamWParamState>();
      moments->step(steps);
      moments->exp_avg(state.at("first_moment." + name).to(parameter.device(), parameter.scalar_type(), false, true));
      moments->exp_avg_sq(state.at("second_moment." + name).to(parameter.device(), parameter.scalar_type(), false, true));
      adamw_->state()[parameter.unsafeGetTensorImpl()] = std::move(moments);
    }
  }
}

WeightAverage::WeightAverage(const SegmentationModel& model, double decay) : decay_(decay) {
  torch::NoGradGuard no_grad;
  for (const auto& item : model.named_parameters()) {
    names_.push_back(item.key());
    weights_.push_back(item.value());
    average_.push_back(item.value().detach().clone());
  }
}

void WeightAverage::update(std::int64_t step) {
  torch::NoGradGuard no_grad;
  const double rising = static_cast<double>(1 + step) / static_cast<double>(10 + step);
  at::_foreach_lerp_(average_, weights_, 1 - std::min(decay_, rising));
}

void WeightAverage::swap() {
  torch::NoGradGuard no_grad;
  for (std::size_t i = 0; i < weights_.size(); ++i) {
    const auto weight = weights_[i].clone();
    weights_[i].copy_(average_[i]);
    average_[i].copy_(weight);
  }
}

NamedTensors WeightAverage::state() const {
  NamedTensors state;
  for (std::size_t i = 0; i < names_.size(); ++i) state["average." + names_[i]] = average_[i];
  return state;
}

void WeightAverage::restore(const NamedTensors& state) {
  torch::NoGradGuard no_grad;
  for (std::size_t i = 0; i < names_.size(); ++i) average_[i].copy_(state.at("average." + names_[i]));
}

}  // namespace fovea
