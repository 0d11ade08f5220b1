#include "app/viewer/features.h"

#include "app/viewer/explore/explore_feature.h"

namespace fovea {

std::vector<std::unique_ptr<Feature>> install_features(Workspace& workspace) {
  std::vector<std::unique_ptr<Feature>> features;
  features.push_back(explore::make_explore_feature(workspace));
  return features;
}

}  // namespace fovea
