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

// A (batch, head) a team, but no teams so small that halos are read again.
int teams_of(std::int64_t planes, int ctas) {
  constexpr int kSmallestTeam = 8;
  return static_cast<int>(std::clamp<std::int64_t>(planes, 1, std::max(1, ctas / kSmallestTeam)));
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
      schedule.groups[g] = {y, x, 0, 0, tiles_y, tiles_x, most_tiles, 0, 0};
      ++schedule.group_count;
    }
    ++schedule.groups[g].heads;
    group_of[head] = g;
  }
  int position = 0;
  std::int64_t tiles = 0;
  for (int g = 0; g < schedule.group_count; ++g) {
    DilationGroup& group = schedule.groups[g];
    group.first_head = position;
    for (int head = 0; head < shape.heads; ++head)
      if (group_of[head] == g) schedule.head_order[position++] = static_cast<std::uint8_t>(head);
    const std::int64_t strips = shape.batch * group.heads * group.strips_of_plane();
    if (tiles + strips * group.tiles_y > kMostTiles) return false;
    group.first_tile = static_cast<int>(tiles);
    group.strips = static_cast<int>(strips);
    tiles += group.tiles();
  }
  if (tiles == 0) return false;
  schedule.tiles = static_cast<int>(tiles);
  schedule.ctas = static_cast<int>(std::min<std::int64_t>({machine.multiprocessors, tiles, kMaxCtas}));
  schedule.teams = teams_of(shape.batch * shape.heads, schedule.ctas);
  return true;
}

namespace {

// Times that a CTA changes to another (batch, head) of a group, the first included.
int planes_met(const DilationGroup& group, const GroupShare& share) {
  const int strips = group.strips_of_plane();
  int met = 0, last = -1;
  const auto meet = [&](int first_strip, int last_strip) {
    const int first = first_strip / strips, end = last_strip / strips + 1;
    met += end - first - (first == last ? 1 : 0);
    last = end - 1;
  };
  for (int wave = 0; wave < share.waves; ++wave) meet(share.strip_of_wave(wave), share.strip_of_wave(wave));
  const auto meet_rest = [&](int begin, int end) {
    if (begin < end) meet(share.tile_of_rest(begin) / group.tiles_y, share.tile_of_rest(end - 1) / group.tiles_y);
  };
  meet_rest(share.rest, smaller(share.rest_end, share.lead));
  meet_rest(larger(share.rest, share.lead), share.rest_end);
  return met;
}

}  // namespace

std::int64_t count_slots(const Schedule& schedule, std::int32_t (&first)[kMaxCtas + 1]) {
  std::int64_t slots = 0;
  for (int cta = 0; cta < schedule.ctas; ++cta) {
    first[cta] = static_cast<std::int32_t>(slots);
    for (int g = 0; g < schedule.group_count; ++g)
      slots += planes_met(schedule.groups[g], GroupShare(schedule, schedule.groups[g], cta));
  }
  first[schedule.ctas] = static_cast<std::int32_t>(slots);
  return slots;
}

int slots_per_cta(const Schedule& schedule) {
  std::int32_t first[kMaxCtas + 1];
  count_slots(schedule, first);
  int most = 0;
  for (int cta = 0; cta < schedule.ctas; ++cta) most = std::max(most, first[cta + 1] - first[cta]);
  return most;
}

}  // namespace fovea::kernels::sm90
