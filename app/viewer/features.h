// What the viewer offers beyond looking: each feature registers its layers' panels, actions, tools and project sections with the workspace.
#pragma once

#include <memory>
#include <vector>

#include "app/viewer/workspace.h"

namespace fovea {

// Lives as long as the viewer; destroyed before the workspace's OpenGL objects, so that its threads are joined first.
class Feature {
 public:
  virtual ~Feature() = default;
  // Works on something that will be shown: screenshots wait for it.
  virtual bool busy() const { return false; }
};

// One line a feature.
std::vector<std::unique_ptr<Feature>> install_features(Workspace& workspace);

}  // namespace fovea
