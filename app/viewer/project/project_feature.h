// Projects in the window: open, save, what was not saved kept against crashes, the question before the window closes.
#pragma once

#include "app/viewer/background_job.h"
#include "app/viewer/features.h"
#include "app/viewer/project/project_file.h"

namespace fovea {

class ProjectFeature final : public Feature {
 public:
  // folder: of what is kept against crashes.
  ProjectFeature(Workspace& workspace, std::filesystem::path folder);
  ~ProjectFeature() override;

  // Errors are told in the messages.
  bool open(const std::filesystem::path& path);
  bool save(const std::filesystem::path& path);
  const std::filesystem::path& path() const { return path_; }   // empty: the image has no project yet

 private:
  void add_actions();
  void ask_where();
  ProjectFile now() const;
  bool take(const ProjectFile& project, const std::filesystem::path& project_path, const std::filesystem::path& source);
  void restore(const std::filesystem::path& file);
  bool every_frame();
  void autosave();
  void keep_for_next_start();
  void show_question();
  void show_recovery();
  void show_title();

  Workspace& workspace_;
  const std::filesystem::path folder_;
  std::filesystem::path path_, abandoned_;
  std::string abandoned_name_;             // the image's
  bool opening_ = false;                   // the image changes because a project is opened
  bool asking_ = false, close_anyway_ = false;
  bool failed_ = false;                    // the session ends as by a crash
  double changed_at_s_ = -1;
  std::size_t seen_revision_ = 0;
  std::string title_;
  BackgroundJob job_;                      // writes
};

std::unique_ptr<Feature> make_project_feature(Workspace& workspace);

}  // namespace fovea
