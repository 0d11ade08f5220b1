// Turns what a person explores (view.h) into questions to a session, and the answers into what the window draws. No user interface: panels
// and tools change `view` and call update() once a frame.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/viewer/explore/session.h"
#include "app/viewer/explore/token_plane.h"
#include "app/viewer/explore/view.h"

namespace fovea::explore {

// Windows that are compared; 0 is dense.
inline constexpr std::array<std::int64_t, 5> kComparedWindows{5, 9, 17, 33, 0};

class Explorer {
 public:
  explicit Explorer(Session& session) : session_(session) {}

  View view;

  // Once a frame: asks what the view needs and is not asked yet, takes answers. Returns whether what is shown has changed.
  bool update();
  void clear();                      // the image was closed or changed
  const std::shared_ptr<const Encoded>& encoded() const { return encoded_; }
  bool encoding() const { return session_.encoding().running; }
  std::int64_t depth() const;
  std::int64_t heads() const;        // of a layer

  // method: of this pick alone (a modifier key); empty: the chosen one, or the row if that is not about tokens.
  void pick(Selection tokens, std::string_view method = {});
  void choose_method(std::string_view method);
  void step_layer(int step);         // stays inside
  void step_head(int step);          // mean, 0, 1, ... last, and round
  void next_global_token();          // its row; the first one after other tokens

  // The answer to show: the panel of the wall under the mouse, else the latest answer to the view; nullptr: none yet.
  const std::shared_ptr<const Reply>& shown() const { return shown_; }
  bool waiting() const { return session_.lane(Lane::kPick).busy(); }
  std::string error() const { return session_.lane(Lane::kPick).error; }
  Trouble trouble() const { return session_.lane(Lane::kPick).trouble; }
  ValueRange range() const { return range_; }          // of what is shown
  float threshold() const { return threshold_; }       // of what is shown; 0 or less: everything

  // Of the wall: layer * heads() + head.
  void hover(std::optional<std::size_t> panel) { hovered_ = panel; }
  std::optional<std::size_t> hovered() const { return hovered_; }
  void pin(std::size_t panel);
  const std::vector<std::shared_ptr<const Reply>>& wall() const { return wall_; }
  std::size_t wall_size() const { return static_cast<std::size_t>(depth() * heads()); }

  const std::vector<std::shared_ptr<const Reply>>& windows() const { return windows_; }          // of kComparedWindows, the first ones
  const std::vector<std::shared_ptr<const Reply>>& statistics() const { return statistics_; }    // by layer, the first ones
  const std::shared_ptr<const Reply>& field() const { return field_; }                           // rollout of the tokens
  const std::shared_ptr<const Reply>& norms() const { return norms_; }                           // of the layer

  std::optional<TokenBox> window() const;   // from which the chosen tokens take values; none where that has no meaning

 private:
  Question question(std::string_view method) const;
  std::vector<Question> wanted(Lane lane) const;
  void ask_what_changed();
  void take_answers();
  void show(std::shared_ptr<const Reply> reply);

  Session& session_;
  std::string chosen_method_ = "row";
  std::shared_ptr<const Encoded> encoded_;
  std::array<std::vector<Question>, kLanes> asked_;
  std::shared_ptr<const Reply> latest_, shown_, field_, norms_;
  std::vector<std::shared_ptr<const Reply>> wall_, windows_, statistics_;
  std::optional<std::size_t> hovered_;
  // What range_ and threshold_ were made for.
  struct Display {
    const Reply* reply = nullptr;
    double mass_share = 1, clip = 0;
    RangeMode mode = RangeMode::kPerMap;
    double low = 0, high = 0;
    bool operator==(const Display&) const = default;
  } display_;
  ValueRange range_;
  float threshold_ = 0;
};

}  // namespace fovea::explore
