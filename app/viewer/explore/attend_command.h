// What the window shows of attention, for `fovea attend`: the command that asks the same, and the values as it writes them.
#pragma once

#include <filesystem>
#include <string>

#include "app/viewer/explore/question.h"
#include "app/viewer/export/exporter.h"
#include "core/image/image_source.h"

namespace fovea::explore {

// Writes "map.tif" (features as colours: "map.png"). Without a command, and with a note, where the window asks what the command cannot.
// With a note, where the command's values are not to the byte those of this answer: rollouts of Rounding::kQuick.
LayerCommand attend_command(const std::string& layer, const Encoded& encoded, const Question& question);

// The values as `fovea attend --raw` writes them: of all tokens that were computed, 0 where nothing is looked at. Error{kEnvironment}.
void write_raw_map(const std::filesystem::path& file, const Encoded& encoded, const Reply& reply, const GeoReference& georeference);

}  // namespace fovea::explore
