#include "app/viewer/actions/action_table.h"

#include <imgui_internal.h>   // GetKeyChordName

#include <algorithm>

#include "core/base/error.h"

namespace fovea {

void ActionTable::add(Action action) {
  require(!action.id.empty() && !action.title.empty() && action.run, "an action needs an id, a title and something to do");
  require(!find(action.id), "two actions are called " + action.id);
  for (const Action& other : actions_) {
    require(action.shortcut == 0 || other.shortcut != action.shortcut,
            action.id + " and " + other.id + " have one shortcut: " + chord_name(action.shortcut));
  }
  actions_.push_back(std::move(action));
}

const Action* ActionTable::find(std::string_view id) const {
  const auto found = std::ranges::find(actions_, id, [](const Action& action) -> std::string_view { return action.id; });
  return found == actions_.end() ? nullptr : &*found;
}

bool ActionTable::run(std::string_view id) const {
  const Action* action = find(id);
  if (!action || !action->is_enabled()) return false;
  action->run();
  return true;
}

std::vector<std::string> ActionTable::groups() const {
  std::vector<std::string> result;
  for (const Action& action : actions_) {
    if (std::ranges::find(result, action.group) == result.end()) result.push_back(action.group);
  }
  return result;
}

void ActionTable::handle_shortcuts() const {
  // A number so that an action that adds actions does not disturb the walk.
  const std::size_t count = actions_.size();
  for (std::size_t i = 0; i < count; ++i) {
    const Action& action = actions_[i];
    if (action.shortcut == 0) continue;
    // While a dialog, a menu or the palette is open, Escape is theirs.
    if (action.shortcut == ImGuiKey_Escape && ImGui::IsPopupOpen("", ImGuiPopupFlags_AnyPopup)) continue;
    const ImGuiInputFlags repeat = action.repeats ? ImGuiInputFlags_Repeat : ImGuiInputFlags_None;
    if (ImGui::Shortcut(action.shortcut, ImGuiInputFlags_RouteGlobal | repeat) && !ImGui::GetIO().WantTextInput && action.is_enabled()) {
      action.run();
    }
  }
}

std::string chord_name(ImGuiKeyChord chord) {
  if (chord == 0) return {};
  std::string name = ImGui::GetKeyChordName(chord);
  // Signs are easier to find on a keyboard than their names.
  struct Sign { const char *word, *sign; };
  for (const Sign& s : {Sign{"Comma", ","},
                        {"Period", "."},
                        {"LeftBracket", "["},
                        {"RightBracket", "]"},
                        {"GraveAccent", "`"},
                        {"Slash", "/"},
                        {"Equal", "="},
                        {"Minus", "-"},
                        {"LeftArrow", "Left"},
                        {"RightArrow", "Right"},
                        {"UpArrow", "Up"},
                        {"DownArrow", "Down"}}) {
    if (const auto at = name.rfind(s.word); at != std::string::npos && at + std::string_view(s.word).size() == name.size()) {
      return name.substr(0, at) + s.sign;
    }
  }
  return name;
}

}  // namespace fovea
