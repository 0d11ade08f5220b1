#include "core/train/train.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <system_error>
#include <utility>

#include "core/base/clock.h"
#include "core/base/error.h"
#include "core/base/files.h"
#include "core/base/model_folder.h"
#include "core/base/torch.h"
#include "core/train/augmentation.h"
#include "core/train/checkpoint.h"
#include "core/train/loss.h"
#include "core/train/optimiser.h"
#include "core/train/schedule.h"
#include "core/train/training_device.h"
#include "core/train/training_log.h"

namespace fovea {
namespace {

using nlohmann::json;
using Clock = std::chrono::steady_clock;

// Streams of random numbers beside those of the crops, which are numbered from 0.
constexpr std::uint64_t kTorchStream = ~std::uint64_t{0};
constexpr std::uint64_t kStartStep = ~std::uint64_t{0};
constexpr std::int64_t kStepsBetweenReadings = 10;   // of losses from a GPU: each reading waits for it
constexpr double kBytesPerGib = 1073741824.0;

void seed_torch(std::uint64_t seed, std::uint64_t step) {
  torch::manual_seed(RandomStream(seed, step, kTorchStream).bits());
}

std::shared_ptr<SegmentationModel> start_model(const TrainingConfig& config) {
  const ModelConfig target = model_to_train(config);
  seed_torch(config.seed, kStartStep);
  if (config.initial_model.empty()) return std::make_shared<SegmentationModel>(target);
  const auto initial = load_model(find_model(config.initial_model));
  return config.model.is_null() ? initial : start_from(target, *initial);
}

// Mean over the last steps in the log; their number is that of a reading.
double last_loss(const std::vector<json>& events) {
  double sum = 0;
  std::int64_t count = 0;
  for (auto event = events.rbegin(); event != events.rend() && count < kStepsBetweenReadings; ++event) {
    if ((*event)["event"] != "step") continue;
    sum += event->value("loss", 0.0);
    ++count;
  }
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

[[noreturn]] void refuse_step(std::int64_t step, float loss, float grad_norm) {
  throw Error(ErrorKind::kEnvironment, "step " + std::to_string(step) + ": the loss is " + std::to_string(loss) +
                                           " and the gradients' norm " + std::to_string(grad_norm) + ", not finite: lower the learning " +
                                           "rates or lengthen the warm-up; the last checkpoint is kept");
}

// A step whose loss and gradient norm are still on the device.
struct PendingStep {
  std::int64_t steps_done;
  double rate_factor;
  torch::Tensor loss, grad_norm;
};

class Run {
 public:
  Run(const TrainingConfig& config, TrainingStart start, Progress& progress, const std::stop_token& stop);
  TrainingResult train();

 private:
  void prepare_cuda();
  void read_data();
  void resume();
  void take_step();
  void read_pending();
  void validate();
  void save();
  [[noreturn]] void stop_here();
  std::optional<PixelSizes> trained_pixel_sizes() const;
  void save_trained_model();
  bool due(std::int64_t every) const { return every > 0 && steps_done_ % every == 0; }
  double seconds() const { return seconds_before_ + seconds_since(begin_); }
  NamedTensors state() const;
  std::filesystem::path checkpoint_path() const { return config_.output / "checkpoint.safetensors"; }
  std::filesystem::path model_path() const { return config_.output / "model"; }
  template <typename Work> auto in_precision(Work&& work);

  TrainingConfig config_;
  Progress& progress_;
  std::stop_token stop_;
  torch::Device device_;
  std::shared_ptr<SegmentationModel> model_;
  Optimiser optimiser_;
  WeightAverage average_;
  LabelRange labels_;
  std::optional<TrainingSet> train_, validation_;
  torch::Tensor class_weights_;
  std::int64_t steps_done_ = 0;
  double seconds_before_ = 0;
  Clock::time_point begin_ = Clock::now(), last_reading_ = begin_;
  std::optional<TrainingLog> log_;
  std::vector<PendingStep> pending_;
  std::optional<Evaluation> evaluation_;
};

std::shared_ptr<SegmentationModel> on_device(std::shared_ptr<SegmentationModel> model, torch::Device device) {
  model->to(device);
  return model;
}

Run::Run(const TrainingConfig& config, TrainingStart start, Progress& progress, const std::stop_token& stop)
    : config_(config), progress_(progress), stop_(stop), device_(choose_device(config.device)),
      model_(on_device(start_model(config), device_)),
      optimiser_(*model_, config.optimiser), average_(*model_, config.optimiser.ema_decay),
      labels_{static_cast<std::int64_t>(model_->config().classes.size()), model_->config().ignore_index} {
  model_->encoder().set_stochastic_depth(config.optimiser.stochastic_depth);
  if (device_.is_cuda()) prepare_cuda();
  read_data();
  std::error_code code;
  std::filesystem::create_directories(config_.output, code);
  if (code) throw Error(ErrorKind::kEnvironment, config_.output.string() + ": cannot create: " + code.message());
  if (start == TrainingStart::kBeginning) std::filesystem::remove(checkpoint_path(), code);
  if (std::filesystem::exists(checkpoint_path())) resume();
  log_.emplace(config_.output / "log.jsonl", steps_done_);
  begin_ = last_reading_ = Clock::now();
}

void Run::prepare_cuda() {
  at::globalContext().setFloat32MatmulPrecision("high");   // TF32 where autocast leaves float32
  at::globalContext().setBenchmarkCuDNN(true);             // every step has the same shapes
}

void Run::read_data() {
  train_.emplace(config_.train, labels_, progress_, stop_);
  validation_.emplace(config_.validation, labels_, progress_, stop_);
  const auto& pixels = train_->class_pixels();
  if (std::accumulate(pixels.begin(), pixels.end(), std::int64_t{0}) == 0) {
    throw Error(ErrorKind::kInput, config_.train.front().path.string() + ": no labelled pixel in the regions to train on");
  }
  class_weights_ = class_weights(config_.loss, pixels);
  if (class_weights_.defined()) class_weights_ = class_weights_.to(device_);
  const double limit = config_.device_data_gib * kBytesPerGib;
  if (static_cast<double>(train_->size_bytes() + validation_->size_bytes()) > limit) return;
  train_->move(device_);
  validation_->move(device_);
}

NamedTensors Run::state() const {
  NamedTensors state = optimiser_.state();
  state.merge(average_.state());
  for (const auto& item : model_->named_parameters()) state["weights." + item.key()] = item.value().detach();
  return state;
}

void Run::resume() {
  const Checkpoint checkpoint = load_checkpoint(checkpoint_path(), state(), comparable_recipe(config_));
  torch::NoGradGuard no_grad;
  for (auto& item : model_->named_parameters()) item.value().copy_(checkpoint.tensors.at("weights." + item.key()));
  optimiser_.restore(checkpoint.tensors, checkpoint.info.steps_done);
  average_.restore(checkpoint.tensors);
  steps_done_ = checkpoint.info.steps_done;
  seconds_before_ = checkpoint.info.seconds;
}

template <typename Work>
auto Run::in_precision(Work&& work) {
  if (!device_.is_cuda() || config_.precision != "bfloat16") return work();
  const BFloat16Autocast autocast;
  return work();
}

void Run::take_step() {
  const auto step = static_cast<std::uint64_t>(steps_done_);
  std::vector<CropPlan> plans;
  for (std::int64_t i = 0; i < config_.batch; ++i) {
    RandomStream random(config_.seed, step, static_cast<std::uint64_t>(i));
    const auto image = train_->pick(random.uniform());
    plans.push_back(plan_crop(random, image, train_->images()[image].region, config_.crop, config_.augmentation));
  }
  const Batch batch = cut_batch(*train_, plans, {.crop = config_.crop, .ignore_index = labels_.ignore_index, .device = device_});

  model_->train();
  seed_torch(config_.seed, step);   // of stochastic depth
  const auto logits = in_precision([&] { return model_->forward(batch.images); });
  const auto loss = segmentation_loss({logits, batch.masks, class_weights_, labels_.ignore_index}, config_.loss);
  loss.backward();
  const double factor = schedule_factor(steps_done_, {.steps = config_.steps, .warmup_steps = config_.optimiser.warmup_steps,
                                                      .final_rate = config_.optimiser.final_rate});
  const auto grad_norm = optimiser_.step(factor);
  average_.update(steps_done_);
  ++steps_done_;
  pending_.push_back({steps_done_, factor, loss.detach(), grad_norm});
}

void Run::read_pending() {
  if (pending_.empty()) return;
  std::vector<torch::Tensor> scalars;
  for (const auto& step : pending_) for (const auto& value : {step.loss, step.grad_norm}) scalars.push_back(value.to(torch::kFloat32));
  const auto values = torch::stack(scalars).to(torch::kCPU);
  const double interval = seconds_since(last_reading_);
  const double images_per_s = static_cast<double>(config_.batch) * static_cast<double>(pending_.size()) / std::max(interval, 1e-9);
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    const auto& step = pending_[i];
    const float loss = values.data_ptr<float>()[2 * i], norm = values.data_ptr<float>()[2 * i + 1];
    if (!std::isfinite(loss) || !std::isfinite(norm)) refuse_step(step.steps_done, loss, norm);
    log_->append({{"event", "step"}, {"step", step.steps_done}, {"loss", loss}, {"rate_factor", step.rate_factor}, {"grad_norm", norm},
                  {"images_per_s", images_per_s}, {"seconds", seconds()}});
  }
  pending_.clear();
  last_reading_ = Clock::now();
}

void Run::validate() {
  if (validation_->empty()) return;
  const UseAverage averaged(average_);
  EvaluationTiling tiling;
  tiling.max_tiles = config_.validation_tiles;
  try {
    evaluation_ = in_precision([&] { return evaluate(*model_, *validation_, tiling, progress_, stop_); });
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kCancelled) throw;
    return;                       // whoever called looks at stop_ next, and saves the steps first
  }
  json event = to_json(*evaluation_);
  event.erase("confusion");
  event.update({{"event", "validation"}, {"step", steps_done_}, {"evaluation_seconds", evaluation_->seconds}, {"seconds", seconds()}});
  log_->append(event);
  last_reading_ = Clock::now();   // the pause is not the training's
}

void Run::save() {
  read_pending();                 // refuses to save what is not finite
  save_checkpoint(checkpoint_path(), state(), {steps_done_, seconds(), comparable_recipe(config_)});
  write_file_atomically(config_.output / "curves.svg", plot_training(log_->events(), model_->config().name));
  last_reading_ = Clock::now();
}

// What --scale auto goes by: as the recipe says, else what the images say and how much crops were magnified, beside what a model that is
// trained further knows.
std::optional<PixelSizes> Run::trained_pixel_sizes() const {
  const auto& known = model_->config().preprocessing.ground_sampling_distance_m;
  std::optional<PixelSizes> seen = train_->pixel_sizes();
  if (!seen || config_.model.contains("/preprocessing/ground_sampling_distance_m"_json_pointer)) return known;
  seen = PixelSizes{seen->smallest / config_.augmentation.scale[1], seen->largest / config_.augmentation.scale[0]};
  return known ? PixelSizes{std::min(known->smallest, seen->smallest), std::max(known->largest, seen->largest)} : seen;
}

void Run::save_trained_model() {
  ModelConfig config = model_->config();
  config.preprocessing.ground_sampling_distance_m = trained_pixel_sizes();
  json recipe = to_json(config_);
  recipe.erase("model");          // the rest of this config says it
  config.training = {{"recipe", std::move(recipe)}, {"seconds", seconds()}};
  if (evaluation_) {
    config.scores["validation"] = to_json(*evaluation_);
    config.scores["validation"]["weights"] = "the averaged weights in " + std::string(device_.is_cuda() ? config_.precision : "float32");
  }
  SegmentationModel trained(config, Initialisation::kNone);
  torch::NoGradGuard no_grad;
  const UseAverage averaged(average_);
  const auto source = model_->named_parameters();
  for (auto& item : trained.named_parameters()) item.value().copy_(source[item.key()]);
  save_model(trained, model_path(), torch::kFloat16);
}

void Run::stop_here() {
  save();
  throw Error(ErrorKind::kCancelled, "stopped after step " + std::to_string(steps_done_) + ": the same command goes on from " +
                                         checkpoint_path().string());
}

TrainingResult Run::train() {
  const std::int64_t reading = device_.is_cuda() ? kStepsBetweenReadings : 1;
  progress_.report("training", steps_done_, config_.steps);
  while (steps_done_ < config_.steps) {
    if (stop_.stop_requested()) stop_here();
    take_step();
    if (due(reading)) read_pending();
    progress_.report("training", steps_done_, config_.steps);
    if (steps_done_ == config_.steps) break;
    if (due(config_.checkpoint_every)) save();
    if (due(config_.validation_every)) {
      read_pending();
      validate();
    }
  }
  save();
  validate();
  if (stop_.stop_requested()) stop_here();   // a model is saved with its scores, or not yet
  save_trained_model();
  write_file_atomically(config_.output / "curves.svg", plot_training(log_->events(), model_->config().name));
  return {steps_done_, last_loss(log_->events()), seconds(), std::move(evaluation_), model_path()};
}

}  // namespace

TrainingResult run_training(const TrainingConfig& config, TrainingStart start, Progress& progress, const std::stop_token& stop) {
  return Run(config, start, progress, stop).train();
}

json to_json(const TrainingResult& result) {
  json value{{"steps", result.steps}, {"last_loss", result.last_loss}, {"seconds", result.seconds}, {"model", result.model.string()}};
  if (result.validation) value["validation"] = to_json(*result.validation);
  return value;
}

}  // namespace fovea
