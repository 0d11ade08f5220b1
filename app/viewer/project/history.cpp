#include "app/viewer/project/history.h"

#include "core/base/error.h"

namespace fovea {

nlohmann::json ProjectSections::save() const {
  nlohmann::json all = nlohmann::json::object();
  for (const auto& section : sections_) all[section.name] = section.save();
  return all;
}

nlohmann::json ProjectSections::save_for_undo() const {
  nlohmann::json all = nlohmann::json::object();
  for (const auto& section : sections_) {
    if (section.use == SectionUse::kFileAndUndo) all[section.name] = section.save();
  }
  return all;
}

void ProjectSections::load(const nlohmann::json& json) const {
  if (!json.is_object()) return;
  for (const auto& section : sections_) {
    if (const auto found = json.find(section.name); found != json.end()) section.load(*found);
  }
}

void History::touch(std::string title) {
  if (!touched_) pending_title_ = std::move(title);
  touched_ = true;
}

void History::settle(Hands hands) {
  if (!touched_ || hands == Hands::kBusy) return;
  touched_ = false;
  nlohmann::json now = sections_.save_for_undo();
  if (now == present_) return;
  undo_.push_back({pending_title_, std::move(present_), now});
  if (undo_.size() > kSteps) undo_.erase(undo_.begin());
  redo_.clear();
  present_ = std::move(now);
  modified_ = true;
  ++revision_;
}

void History::undo() {
  settle(Hands::kFree);
  if (undo_.empty()) return;
  redo_.push_back(std::move(undo_.back()));
  undo_.pop_back();
  sections_.load(redo_.back().before);
  present_ = sections_.save_for_undo();
  modified_ = true;
  ++revision_;
}

void History::redo() {
  settle(Hands::kFree);
  if (redo_.empty()) return;
  undo_.push_back(std::move(redo_.back()));
  redo_.pop_back();
  sections_.load(undo_.back().after);
  present_ = sections_.save_for_undo();
  modified_ = true;
  ++revision_;
}

void History::reset() {
  undo_.clear();
  redo_.clear();
  present_ = sections_.save_for_undo();
  touched_ = modified_ = false;
  ++revision_;
}

}  // namespace fovea
