// What the project file keeps, and undo over it.
//
// workspace.sections.add({.name = "attention", .save = [this] { return settings_as_json(); },
//                           .load = [this](const auto& json) { apply(json); }});
// ... settings_.layer = 5; workspace.history.touch("Choose layer");     // after any change that undo should know
#pragma once

#include <functional>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

namespace fovea {

enum class SectionUse { kFileAndUndo, kFileOnly };     // kFileOnly: where one looks, which nobody expects undo to change

struct ProjectSection {
  std::string name;                                    // key in the project file
  SectionUse use = SectionUse::kFileAndUndo;
  std::function<nlohmann::json()> save;
  // Must take what save() made and must survive anything else (a person's edit): ignore what is not understood.
  std::function<void(const nlohmann::json&)> load;
};

class ProjectSections {
 public:
  void add(ProjectSection section) { sections_.push_back(std::move(section)); }
  nlohmann::json save() const;
  nlohmann::json save_for_undo() const;
  // In the order in which they were added. Sections that json lacks are left alone.
  void load(const nlohmann::json& json) const;

 private:
  std::vector<ProjectSection> sections_;
};

// Undo by snapshots of all sections: a section that can be saved can be undone.
class History {
 public:
  static constexpr std::size_t kSteps = 200;
  explicit History(const ProjectSections& sections) : sections_(sections) {}

  // Something changed. The step ends with the frame in which no widget is held any more, so that a drag is one step.
  void touch(std::string title);
  // Once a frame; busy: a widget is being dragged or typed into.
  enum class Hands { kFree, kBusy };
  void settle(Hands hands);
  void undo();
  void redo();
  bool can_undo() const { return !undo_.empty() || touched_; }
  bool can_redo() const { return !redo_.empty(); }
  std::string undo_title() const { return touched_ ? pending_title_ : undo_.empty() ? std::string() : undo_.back().title; }
  std::string redo_title() const { return redo_.empty() ? std::string() : redo_.back().title; }
  // Takes the present state as the beginning (another project was opened).
  void reset();
  // Changes since reset() or mark_saved().
  bool modified() const { return modified_ || touched_; }
  void mark_saved() { modified_ = false; }
  std::size_t revision() const { return revision_; }   // grows with every step, undo and redo

 private:
  struct Step {
    std::string title;
    nlohmann::json before, after;
  };
  const ProjectSections& sections_;
  std::vector<Step> undo_, redo_;
  nlohmann::json present_;
  std::string pending_title_;
  bool touched_ = false, modified_ = false;
  std::size_t revision_ = 0;
};

}  // namespace fovea
