#include "app/viewer/features.h"

#include "app/viewer/explore/explore_feature.h"
#include "app/viewer/export/export_feature.h"
#include "app/viewer/folder/folder_feature.h"
#include "app/viewer/project/project_feature.h"
#include "app/viewer/segment/mask_feature.h"
#include "app/viewer/segment/segment_feature.h"

namespace fovea {

std::vector<std::unique_ptr<Feature>> install_features(Workspace& workspace) {
  std::vector<std::unique_ptr<Feature>> features;
  features.push_back(make_project_feature(workspace));   // first: when it ends it still asks the others what they show
  features.push_back(explore::make_explore_feature(workspace));
  features.push_back(make_segment_feature(workspace));
  features.push_back(make_mask_feature(workspace));
  features.push_back(make_export_feature(workspace));
  features.push_back(make_folder_feature(workspace));
  return features;
}

}  // namespace fovea
