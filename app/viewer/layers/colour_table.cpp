#include "app/viewer/layers/colour_table.h"

#include <algorithm>
#include <cmath>

#include "core/image/heatmap.h"

namespace fovea {
namespace {

constexpr std::array<const char*, kColourTables> kNames{"viridis", "magma", "cividis", "grey", "blue-red"};

ColourEntries from_core(ColourMap map) {
  ImageF32 ramp(256, 1, 1);
  for (int i = 0; i < 256; ++i) ramp.row(0)[i] = static_cast<float>(i);
  const ImageU8 colours = colour_values(ramp, {0, 255}, map);
  ColourEntries entries;
  for (std::size_t i = 0; i < 256; ++i) std::copy_n(colours.row(0) + 3 * i, 3, entries[i].begin());
  return entries;
}

ColourEntries from_stops(std::initializer_list<std::array<double, 3>> stops) {
  ColourEntries entries;
  const auto last = static_cast<double>(stops.size() - 1);
  for (std::size_t i = 0; i < 256; ++i) {
    const double place = static_cast<double>(i) / 255 * last;
    const auto below = std::min(static_cast<std::size_t>(place), stops.size() - 2);
    for (std::size_t c = 0; c < 3; ++c) {
      const double a = (stops.begin() + below)[0][c], b = (stops.begin() + below)[1][c];
      entries[i][c] = static_cast<std::uint8_t>(std::lround(a + (b - a) * (place - static_cast<double>(below))));
    }
  }
  return entries;
}

ColourEntries make(ColourTable table) {
  switch (table) {
    case ColourTable::kViridis: return from_core(ColourMap::kViridis);
    case ColourTable::kMagma: return from_core(ColourMap::kMagma);
    case ColourTable::kCividis: return from_core(ColourMap::kCividis);
    case ColourTable::kGrey: return from_stops({{0, 0, 0}, {255, 255, 255}});
    // ColorBrewer's RdBu, reversed: marked colour-blind safe by its makers.
    case ColourTable::kBlueRed:
      return from_stops({{5, 48, 97}, {67, 147, 195}, {209, 229, 240}, {247, 247, 247}, {253, 219, 199}, {214, 96, 77}, {103, 0, 31}});
  }
  return {};
}

}  // namespace

const ColourEntries& colour_entries(ColourTable table) {
  static const std::array<ColourEntries, kColourTables> all = [] {
    std::array<ColourEntries, kColourTables> made;
    for (int i = 0; i < kColourTables; ++i) made[static_cast<std::size_t>(i)] = make(static_cast<ColourTable>(i));
    return made;
  }();
  return all.at(static_cast<std::size_t>(table));
}

const char* colour_table_name(ColourTable table) { return kNames.at(static_cast<std::size_t>(table)); }

ColourTable parse_colour_table(std::string_view name) {
  const auto found = std::ranges::find(kNames, name);
  return found == kNames.end() ? ColourTable::kViridis : static_cast<ColourTable>(found - kNames.begin());
}

}  // namespace fovea
