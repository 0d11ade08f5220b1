#include "app/viewer/explore/explorer.h"

#include <algorithm>
#include <array>
#include <utility>

namespace fovea::explore {
namespace {

bool is_token_map(const std::string& method) { return method_choice(method).needs_tokens && method != "similarity"; }

}  // namespace

std::int64_t Explorer::depth() const { return encoded_ ? encoded_->model->config.encoder.depth : 0; }
std::int64_t Explorer::heads() const { return encoded_ ? encoded_->model->config.encoder.heads : 0; }

void Explorer::clear() {
  session_.clear();
  view.tokens = {};
  update();
}

void Explorer::pick(Selection tokens, std::string_view method) {
  view.tokens = std::move(tokens);
  view.method = !method.empty() ? method : method_choice(chosen_method_).needs_tokens ? chosen_method_ : "row";
}

void Explorer::choose_method(std::string_view method) {
  chosen_method_ = method;
  view.method = method;
}

void Explorer::step_layer(int step) { view.layer = std::clamp<std::int64_t>(view.layer + step, 0, std::max<std::int64_t>(0, depth() - 1)); }

void Explorer::step_head(int step) {
  const std::int64_t places = heads() + 1;   // 0 is the mean
  if (places < 2) return;
  const std::int64_t place = view.heads.fusion == Fusion::kOne ? view.heads.head + 1 : 0;
  const std::int64_t next = (place + step + places) % places;
  view.heads = next == 0 ? HeadSelection{} : HeadSelection{Fusion::kOne, next - 1};
}

void Explorer::next_global_token() {
  const std::int64_t globals = encoded_ ? encoded_->model->config.encoder.global_tokens : 0;
  if (globals == 0) return;
  const std::int64_t next = view.tokens.global_token ? (*view.tokens.global_token + 1) % globals : 0;
  pick({.global_token = next}, "row");
}

void Explorer::pin(std::size_t panel) {
  if (panel >= wall_size()) return;
  view.layer = static_cast<std::int64_t>(panel) / heads();
  view.heads = {Fusion::kOne, static_cast<std::int64_t>(panel) % heads()};
}

std::optional<TokenBox> Explorer::window() const {
  const bool one_layer = view.method == "row" || view.method == "column" || view.method == "norm-weighted";
  if (!encoded_ || !one_layer || !view.tokens.box) return std::nullopt;
  const std::int64_t head = view.heads.fusion == Fusion::kOne ? view.heads.head : -1;
  return window_of(encoded_->model->config, view.layer, head, *view.tokens.box, {0, 0, encoded_->rows, encoded_->columns});
}

Question Explorer::question(std::string_view method) const {
  const MethodChoice& choice = method_choice(method);
  Question question{.method = std::string(method), .layer = view.layer};
  if (choice.needs_tokens || method == "kept-mass") question.tokens = view.tokens;
  if (choice.by_head) question.heads = view.heads;
  if (method.starts_with("rollout")) question.attention_share = view.attention_share;
  if (method == "kept-mass") question.window = view.window;
  return question;
}

std::vector<Question> Explorer::wanted(Lane lane) const {
  if (!encoded_) return {};
  std::vector<Question> questions;
  const bool picked = !view.tokens.empty();
  switch (lane) {
    case Lane::kPick:
      if (picked || !method_choice(view.method).needs_tokens) questions.push_back(question(view.method));
      break;
    case Lane::kCompare:
      if (!view.windows || !view.tokens.box) break;
      for (const std::int64_t window : kComparedWindows) {
        questions.push_back(question("row"));
        questions.back().window = window;
      }
      break;
    case Lane::kMarks:
      if (view.outliers) questions.push_back({.method = "norms", .layer = view.layer});
      if (view.field_contours && picked) {
        questions.push_back(question("rollout"));
        questions.back().heads = {};
      }
      break;
    case Lane::kWall: {
      const std::string method = view.method == "column" ? "column" : "row";
      if (!view.wall || !picked) break;
      for (std::int64_t panel = 0; panel < depth() * heads(); ++panel) {
        questions.push_back({.method = method, .tokens = view.tokens, .layer = panel / heads(), .heads = {Fusion::kOne, panel % heads()}});
      }
      break;
    }
    case Lane::kPrepare:   // the mean of heads was prepared while encoding; others from the moment they are chosen
      if (view.heads != HeadSelection{}) questions.push_back({.method = "prepare", .heads = view.heads});
      break;
    case Lane::kSave: break;       // whoever saves asks
    case Lane::kStatistics:
      for (std::int64_t layer = 0; view.statistics && layer < depth(); ++layer) questions.push_back({.method = "entropy", .layer = layer});
      break;
  }
  return questions;
}

void Explorer::ask_what_changed() {
  for (std::size_t index = 0; index < kLanes; ++index) {
    const Lane lane = static_cast<Lane>(index);
    if (lane == Lane::kSave) continue;
    auto questions = wanted(lane);
    if (questions == asked_[index]) continue;
    // Statistics take a while and stay true: closing their panel keeps them.
    if (lane == Lane::kStatistics && questions.empty() && encoded_) continue;
    asked_[index] = questions;
    session_.ask(lane, std::move(questions));
  }
}

void Explorer::take_answers() {
  const auto first = [&](Lane lane) { return session_.lane(lane).replies; };
  if (asked_[static_cast<std::size_t>(Lane::kPick)].empty()) {
    latest_ = nullptr;
  } else if (const auto replies = first(Lane::kPick); !replies.empty()) {
    latest_ = replies.front();   // until then the last one stays
  }
  wall_ = first(Lane::kWall);
  windows_ = first(Lane::kCompare);
  statistics_ = first(Lane::kStatistics);
  field_ = norms_ = nullptr;
  for (const auto& reply : first(Lane::kMarks)) (reply->question.method == "norms" ? norms_ : field_) = reply;
}

bool Explorer::update() {
  auto encoded = session_.encoding().encoded;
  if (encoded != encoded_) {
    const bool other_model = !encoded_ || !encoded || encoded->model->config.name != encoded_->model->config.name;
    encoded_ = std::move(encoded);
    for (auto& questions : asked_) questions.clear();   // the session forgot them too
    latest_ = nullptr;
    view.tokens = {};
    hovered_.reset();
    if (encoded_ && other_model) view.layer = depth() - 1, view.heads = {};
    if (encoded_) view.layer = std::clamp<std::int64_t>(view.layer, 0, depth() - 1);
  }
  ask_what_changed();
  take_answers();
  const bool hovering = hovered_ && *hovered_ < wall_.size();
  const Display before = display_;
  show(hovering ? wall_[*hovered_] : latest_);
  return !(display_ == before);
}

void Explorer::show(std::shared_ptr<const Reply> reply) {
  const Display display{.reply = reply.get(), .mass_share = view.mass_share, .clip = view.clip_percentile, .mode = view.range_mode,
                        .low = view.fixed_low, .high = view.fixed_high};
  const auto keep = std::exchange(shown_, std::move(reply));   // until display_ no longer names it
  if (display == display_) return;
  display_ = display;
  if (!shown_ || shown_->plane.empty()) return;
  const auto values = shown_->plane.samples();
  range_ = view.range_mode == RangeMode::kFixed ? ValueRange{view.fixed_low, view.fixed_high} : clipped_range(values, view.clip_percentile);
  threshold_ = is_token_map(shown_->question.method) ? mass_threshold(values, view.mass_share) : 0;
}

}  // namespace fovea::explore
