// A model looked into: runs the encoder on an image and answers questions about its layers.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "core/attention/analysis/attention_layer.h"
#include "core/attention/analysis/attention_products.h"
#include "core/attention/analysis/global_pass.h"
#include "core/attention/analysis/kept_mass.h"
#include "core/attention/analysis/kept_rollouts.h"
#include "core/base/progress.h"
#include "core/base/torch.h"
#include "core/model/segmentation_model.h"

namespace fovea::analysis {

// When queries and keys of a layer are kept: when somebody asks for them, or while the encoder has them at hand anyway.
enum class Projections { kWhenAsked, kAtOnce };

// A part of an image, cut at patches, and what is known of the whole.
struct ProbeRegion {
  torch::Tensor rgb;                                // [3, H, W] uint8
  std::string name;                                 // for errors
  std::int64_t row = 0, column = 0;                 // of its first token in the whole image; matter with `globals` only
  std::shared_ptr<const GlobalStates> globals{};    // of the whole image; none: global tokens see the region alone
  Projections projections = Projections::kWhenAsked;
};

class AttentionProbe {
 public:
  // Runs the encoder on rgb [3, H, W] uint8 and keeps the input of every block; queries and keys of a layer are projected when first asked
  // for, and then kept. Errors: those of require_fits(); Error{kCancelled}: between layers, on the CPU between pieces of one in a scope of
  // StoppableTorchThreads (torch_threads.h).
  AttentionProbe(std::shared_ptr<SegmentationModel> model, const torch::Tensor& rgb, const std::string& name, Progress& progress,
                 std::stop_token stop);
  // With the whole image's global tokens: queries, keys and features of tokens at least halo_tokens() inside are those of the whole image.
  AttentionProbe(std::shared_ptr<SegmentationModel> model, const ProbeRegion& region, Progress& progress, const std::stop_token& stop);

  const SegmentationModel& model() const { return *model_; }
  std::array<std::int64_t, 2> grid() const { return {rows_, columns_}; }
  std::int64_t depth() const { return static_cast<std::int64_t>(inputs_.size()) - 1; }

  // 0-based. Error{kUsage} for a layer that does not exist.
  const AttentionLayer& layer(std::int64_t layer);
  LayerStack stack();
  // With what rollouts() keeps for these heads: rollouts are many times faster, and rounded otherwise.
  LayerStack stack_of_kept(const HeadChoice& heads);
  KeptRollouts& rollouts() { return rollouts_; }
  torch::Tensor values(std::int64_t layer);                 // [N, heads, D]
  torch::Tensor output_weight(std::int64_t layer) const;    // [C, heads * D]: the projection after attention, LayerScale included
  torch::Tensor features(std::int64_t layer) const;         // [N, C] after this block and the final LayerNorm
  torch::Tensor raw_features(std::int64_t layer) const;     // [N, C] after this block

  // Of a layer's rows in a rectangle; of the layer attended densely. The last answer is kept for questions about one head after another.
  const RowStatistics& statistics(std::int64_t layer, const GridRect& rect, const std::stop_token& stop);
  const KeptMass& kept_mass(std::int64_t layer, std::int64_t dilation);

  // What another attention pattern would do to this image: the same weights run with it.
  struct PatternEffect {
    torch::Tensor cosine;                  // [H, W] float32: of the last features, sparse against this model's own
    double mean_cosine = 0;
    torch::Tensor changed{};               // [H_pixels, W_pixels] bool: predicted class differs; undefined for a backbone
    double changed_share = 0;
  };
  // kept_globals: the first so many global tokens stay; all if not given. Error{kUsage} for more than there are.
  PatternEffect pattern_effect(const std::vector<LayerAttention>& attention, std::optional<std::int64_t> kept_globals = {});

 private:
  void check_exists(std::int64_t layer) const;
  Qkv project(std::int64_t layer) const;
  Qkv project(std::int64_t layer, const torch::Tensor& x) const;
  torch::Tensor next(std::int64_t layer, const torch::Tensor& x) const;
  void encode(Progress& progress, const std::stop_token& stop, Projections projections);
  TokenRows tokens() const;
  struct Workspace;   // of inference
  Workspace make_workspace() const;
  void keep(std::int64_t layer, const torch::Tensor& query, const torch::Tensor& key);

  std::shared_ptr<SegmentationModel> model_;
  torch::Tensor rgb_;                      // [1, 3, H, W] uint8, on the model's device
  std::int64_t rows_ = 0, columns_ = 0;
  std::int64_t first_row_ = 0, first_column_ = 0;
  std::shared_ptr<const GlobalStates> globals_;
  std::vector<torch::Tensor> inputs_;      // [depth + 1]: [1, N, C] before each block, and after the last
  std::vector<AttentionLayer> layers_;     // [depth]: empty until asked for
  KeptRollouts rollouts_;
  struct LastStatistics { std::int64_t layer = -1; RowStatistics statistics{}; } last_statistics_;
  struct LastKeptMass { std::int64_t layer = -1; KeptMass kept{}; } last_kept_mass_;
};

}  // namespace fovea::analysis
