#include "app/viewer/features.h"

namespace fovea {

std::vector<std::unique_ptr<Feature>> install_features(Workspace&) { return {}; }

}  // namespace fovea
