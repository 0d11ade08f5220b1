// What a person explores, as a section of the project file: undo too.
#pragma once

#include <nlohmann/json.hpp>

#include "app/viewer/explore/explorer.h"

namespace fovea::explore {

nlohmann::json save_view(const View& view);

// What is missing or of another type stays as it is; values are brought into their ranges. Chosen tokens come back only where they lie in
// the encoded grid. encoded: nullptr if nothing is.
void load_view(const nlohmann::json& saved, const Encoded* encoded, View& view);

}  // namespace fovea::explore
