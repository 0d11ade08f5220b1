// Answers that a person keeps as layers of their own, to compare them with others: side by side, under the curtain, in another project.
#pragma once

#include <filesystem>
#include <map>
#include <vector>

#include "app/viewer/background_job.h"
#include "app/viewer/explore/question.h"
#include "app/viewer/export/exporter.h"
#include "app/viewer/layers/heat_layer.h"
#include "app/viewer/workspace.h"

namespace fovea::explore {

// What a kept layer shows, as it lies on the disk.
struct KeptMap {
  std::string name;                        // "row, layer 11, mean of heads, token 14, 20"
  RectD rect_level0;
  std::int64_t columns = 0, rows = 0;
  std::vector<float> values;               // [rows, columns]; empty where colours are the answer
  std::vector<std::uint8_t> colours;       // [rows, columns, 3]
  LayerCommand command;                    // makes it again
};
void save_kept_map(const std::filesystem::path& file, const KeptMap& map);   // Error{kEnvironment}
KeptMap load_kept_map(const std::filesystem::path& file);                    // Error{kInput} "FILE: ..."

class KeptMaps {
 public:
  KeptMaps(Workspace& workspace, std::filesystem::path folder);
  // The answer that is shown, looking as its layer does.
  void keep(const Reply& reply, const Encoded& encoded, const Layer& look);
  void every_frame();
  void clear() { maps_.clear(); }          // another image
  std::optional<LayerCommand> command(const Layer& layer) const;

 private:
  struct Entry { std::string file; LayerCommand command; };
  void add_layer(const std::string& file, const KeptMap& map);
  void add_project_section();
  void load(const nlohmann::json& saved);

  Workspace& workspace_;
  const std::filesystem::path folder_;
  std::map<std::string, Entry> maps_;      // by layer
  std::vector<std::pair<std::filesystem::path, std::shared_ptr<const KeptMap>>> unsaved_;
  BackgroundJob job_;                      // writes them
};

}  // namespace fovea::explore
