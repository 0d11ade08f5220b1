// Colours for values. All but grey are ordered in lightness or diverge from a neutral middle, so that colour-blind eyes read them too.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace fovea {

enum class ColourTable { kViridis, kMagma, kCividis, kGrey, kBlueRed };
constexpr int kColourTables = 5;

using ColourEntries = std::array<std::array<std::uint8_t, 3>, 256>;

// From low to high. Made once.
const ColourEntries& colour_entries(ColourTable table);
// "viridis", "magma", "cividis", "grey", "blue-red": for people, project files and `fovea attend --colours`.
const char* colour_table_name(ColourTable table);
// kViridis for a name that is not known.
ColourTable parse_colour_table(std::string_view name);

}  // namespace fovea
