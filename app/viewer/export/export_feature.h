// Saving what the window shows: the view as it is, and all layers at full resolution.
#pragma once

#include "app/viewer/export/exporter.h"
#include "app/viewer/features.h"

namespace fovea {

class ExportFeature final : public Feature {
 public:
  explicit ExportFeature(Workspace& workspace);
  bool busy() const override { return workspace_.exports.running(); }

  // What the actions do once a file is chosen. .png, .jpg or .tif.
  void save_view(const std::filesystem::path& file);
  void save_overlay(const std::filesystem::path& file);

 private:
  Sidecar sidecar(const char* what) const;
  void ask(const char* title, const char* suffix, std::function<void(const std::filesystem::path&)> chosen);
  Workspace& workspace_;
};

std::unique_ptr<Feature> make_export_feature(Workspace& workspace);

// Where results of the open image are suggested to go: beside it, or in the working folder where that cannot be written to.
std::filesystem::path suggested_file(const Workspace& workspace, const std::string& suffix);

}  // namespace fovea
