// Which query tiles a thread block (CTA) works through, in which order, and which keys that brings past. Plain integers, tested on the
// host; docs/attention.md draws it.
//
// Dilation d cuts an axis into d interleaved phases; inside a phase the window is dense. A *strip* is a column of 8x8 query tiles, 8
// columns wide, of one phase of one (batch, head). A CTA rolls down strips; a *segment* is the part of a strip it takes in one go.
#pragma once

#include <cstdint>

#include "kernels/attention_params.h"
#include "kernels/cuda/host_device.h"

namespace fovea::kernels::sm90 {

constexpr int kTile = 8;                        // query tile: 8 x 8 = 64 rows, the M of one warpgroup's product
constexpr int kWarpgroups = 3;                  // consumers, where they have the registers; tile n of a CTA belongs to warpgroup n % 3
constexpr int kPairRows = 2;                    // key rows that are masked together; a stage holds one pair or two
constexpr int kPanelColumns = 24;               // key columns of one stage: a tile's own 8 and 8 on either side
constexpr int kMaxGroups = 6;
constexpr int kMaxCtas = 256;
constexpr int kMaxDilation = 8;                 // largest element stride of a tensor map

FOVEA_HOST_DEVICE int smaller(int a, int b) { return a < b ? a : b; }
FOVEA_HOST_DEVICE int larger(int a, int b) { return a > b ? a : b; }
FOVEA_HOST_DEVICE int divide_up(int a, int b) { return (a + b - 1) / b; }

// Up to here the windows of tiles t and t + warpgroups have no key row in common.
FOVEA_HOST_DEVICE int rolling_radius(int warpgroups) { return kTile / 2 * (warpgroups - 1); }

struct Axis {
  int extent, dilation, radius;                 // tokens; steps; steps of `dilation` tokens
  FOVEA_HOST_DEVICE int phases() const { return smaller(dilation, extent); }
  FOVEA_HOST_DEVICE int length(int phase) const { return divide_up(extent - phase, dilation); }
};

// Heads that share a dilation. Their strips are numbered (batch, head) by (batch, head), neighbours in x one after the other; the tiles
// of all groups' strips, in this order, are one sequence.
struct DilationGroup {
  Axis y, x;
  int first_head, heads;                        // range of Schedule::head_order
  int tiles_y, tiles_x;                         // of the longest phase
  int most_tiles;                               // of a segment: no warpgroup may need a key row again that it has passed
  int first_tile, strips;                       // of the sequence
  FOVEA_HOST_DEVICE int tiles() const { return strips * tiles_y; }
  FOVEA_HOST_DEVICE int strips_of_plane() const { return y.phases() * x.phases() * tiles_x; }      // a plane: a (batch, head)
};

// CTAs come in teams of neighbours that share a piece of the sequence, so that each meets few (batch, head)s: each leaves a partial result
// of the global queries for every one.
struct Schedule {
  int heads, ctas, teams, group_count;
  int tiles;                                    // of all groups
  int band_rows;                                // key rows of a stage
  DilationGroup groups[kMaxGroups];
  std::uint8_t head_order[kMaxHeads];
};

// What a CTA does of a group: of its team's tiles, every member takes whole strips first, neighbours in x at the same time so that their
// halos meet in the L2 cache; the tiles left, those before and those after them, are divided evenly.
struct GroupShare {
  int members, member;                          // of the team
  int first_strip, waves;                       // of whole strips: number first_strip + wave * members + member
  int lead_begin, lead, tail_begin;             // tiles of the group that are left: `lead` from lead_begin on, and from tail_begin on
  int rest, rest_end;                           // this CTA's of them, counted through both

  FOVEA_HOST_DEVICE GroupShare(const Schedule& schedule, const DilationGroup& group, int cta) {
    const int team = ((cta + 1) * schedule.teams - 1) / schedule.ctas, first_cta = first_of_team(schedule, team);
    members = first_of_team(schedule, team + 1) - first_cta;
    member = cta - first_cta;
    const int begin = within(group, sequence_share(schedule, first_cta));
    const int end = within(group, sequence_share(schedule, first_cta + members));
    first_strip = divide_up(begin, group.tiles_y);
    waves = larger(0, end / group.tiles_y - first_strip) / members;
    lead_begin = begin;
    lead = smaller(end, first_strip * group.tiles_y) - begin;
    tail_begin = smaller(end, (first_strip + waves * members) * group.tiles_y);
    const int left = lead + end - tail_begin, share = left / members, extra = left % members;
    rest = share * member + smaller(member, extra);
    rest_end = rest + share + (member < extra ? 1 : 0);
  }
  FOVEA_HOST_DEVICE int strip_of_wave(int wave) const { return first_strip + wave * members + member; }
  FOVEA_HOST_DEVICE int tile_of_rest(int position) const {
    return position < lead ? lead_begin + position : tail_begin + position - lead;
  }

 private:
  FOVEA_HOST_DEVICE static int first_of_team(const Schedule& schedule, int team) { return schedule.ctas * team / schedule.teams; }
  // Where in the sequence the CTAs from this one on begin.
  FOVEA_HOST_DEVICE static int sequence_share(const Schedule& schedule, int cta) {
    return schedule.tiles / schedule.ctas * cta + schedule.tiles % schedule.ctas * cta / schedule.ctas;
  }
  FOVEA_HOST_DEVICE static int within(const DilationGroup& group, int tile) {
    return smaller(larger(tile - group.first_tile, 0), group.tiles());
  }
};

// Bands of key rows, those of a stage. They are placed so that the first row that a tile of queries sees is the first row of a band; then
// the first row that the (even) first query row of a warp sees is the first of a pair.
FOVEA_HOST_DEVICE int band_row(int band, int radius_y, int band_rows) { return band * band_rows - radius_y % band_rows; }
FOVEA_HOST_DEVICE int first_band(int tile, int radius_y, int band_rows) {
  return (larger(0, tile * kTile - radius_y) + radius_y % band_rows) / band_rows;
}
FOVEA_HOST_DEVICE int end_band(int tile, int radius_y, int rows, int band_rows) {
  return (smaller(rows - 1, tile * kTile + kTile - 1 + radius_y) + radius_y % band_rows) / band_rows + 1;
}

}  // namespace fovea::kernels::sm90
