// Finding a model by name.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace fovea {

// Where names are looked up, in this order: the folders of FOVEA_MODELS (separated by ':'), then, seen from the running program:
// share/fovea/models of the installation and assets/models of the source tree it was built in. Only folders that exist.
std::vector<std::filesystem::path> model_search_path();

// A path to a model folder as it is, or the first folder of that name on the search path. Error{kModel} lists what there is.
std::filesystem::path find_model(const std::string& name_or_path);

}  // namespace fovea
