#include "kernels/cuda/sm90/schedule.h"

#include <algorithm>

namespace fovea::kernels::sm90 {
namespace {

// An axis on which a head reaches no neighbour is dense with radius 0: fewer, fuller tiles.
Axis make_axis(std::int64_t extent, int window, int dilation) {
  const int length = static_cast<int>(extent), radius = (window - 1) / 2;
  if (radius == 0 || dilation >= length) return {length, 1, 0};
  return {length, dilation, std::min(radius, divide_up(length, dilation) - 1)};
}

bool same(const Axis& a, const Axis& b) { return a.dilation == b.dilation && a.radius == b.radius; }

std::int64_t strips_of(const DilationGroup& group, std::int64_t batch) {
  return batch * group.heads * group.y.phases() * group.x.phases() * group.tiles_x;
}

}  // namespace

bool make_schedule(const AttentionShape& shape, Machine machine, Schedule& schedule) {
  schedule.heads = shape.heads;
  schedule.band_rows = machine.band_rows;
  schedule.group_count = 0;
  int group_of[kMaxHeads];
  for (int head = 0; head < shape.heads; ++head) {
    const Axis y = make_axis(shape.grid_height, shape.window_height, shape.dilation[head]);
    const Axis x = make_axis(shape.grid_width, shape.window_width, shape.dilation[head]);
    int g = 0;
    while (g < schedule.group_count && !(same(schedule.groups[g].y, y) && same(schedule.groups[g].x, x))) ++g;
    if (g == kMaxGroups) return false;
    if (g == schedule.group_count) {
      const int tiles_y = divide_up(y.length(0), kTile), tiles_x = divide_up(x.length(0), kTile);
      const int most_tiles = y.radius > rolling_radius(machine.warpgroups) ? machine.warpgroups : tiles_y;
      schedule.groups[g] = {y, x, 0, 0, tiles_y, tiles_x, most_tiles, 0, 0, 0};
      ++schedule.group_count;
    }
    ++schedule.groups[g].heads;
    group_of[head] = g;
  }
  int position = 0;
  std::int64_t tiles = 0;
  for (int g = 0; g < schedule.group_count; ++g) {
    schedule.groups[g].first_head = position;
    for (int head = 0; head < shape.heads; ++head)
      if (group_of[head] == g) schedule.head_order[position++] = static_cast<std::uint8_t>(head);
    tiles += strips_of(schedule.groups[g], shape.batch) * schedule.groups[g].tiles_y;
  }
  if (tiles == 0 || tiles > kMostTiles) return false;
  schedule.ctas = static_cast<int>(std::min<std::int64_t>({machine.multiprocessors, tiles, kMaxCtas}));
  for (int g = 0; g < schedule.group_count; ++g) {
    DilationGroup& group = schedule.groups[g];
    const int strips = static_cast<int>(strips_of(group, shape.batch));
    group.whole = strips / schedule.ctas;
    const int rest = strips % schedule.ctas * group.tiles_y;
    group.share = rest / schedule.ctas;
    group.extra = rest % schedule.ctas;
  }
  return true;
}

int slots_per_cta(const Schedule& schedule) {
  int slots = 0;
  for (int g = 0; g < schedule.group_count; ++g) {
    const DilationGroup& group = schedule.groups[g];
    slots += group.whole;
    const int most = group.share + (group.extra > 0 ? 1 : 0);
    if (most > 0) slots += (most - 1) / group.tiles_y + 2;      // strips that `most` tiles in a row can touch
  }
  return slots;
}

std::int64_t count_slots(const Schedule& schedule, std::int32_t (&first)[kMaxCtas + 1]) {
  std::int64_t slots = 0;
  for (int cta = 0; cta < schedule.ctas; ++cta) {
    first[cta] = static_cast<std::int32_t>(slots);
    for (int g = 0; g < schedule.group_count; ++g) {
      const DilationGroup& group = schedule.groups[g];
      const int strips = group.y.phases() * group.x.phases() * group.tiles_x;      // of a (batch, head)
      int last = -1;
      for (int wave = 0; wave < group.whole; ++wave) {
        const int now = (wave * schedule.ctas + cta) / strips;
        slots += now != last;
        last = now;
      }
      const int rest = group.share * cta + smaller(cta, group.extra), end = rest + group.share + (cta < group.extra ? 1 : 0);
      if (rest == end) continue;
      const int begin = (group.whole * schedule.ctas + rest / group.tiles_y) / strips;
      slots += (group.whole * schedule.ctas + (end - 1) / group.tiles_y) / strips - begin + (begin != last ? 1 : 0);
    }
  }
  first[schedule.ctas] = static_cast<std::int32_t>(slots);
  return slots;
}

}  // namespace fovea::kernels::sm90
