// The segments of strips that one CTA works through, in order. Plain integers, tested on the host.
#pragma once

#include "kernels/cuda/sm90/strip_schedule.h"

namespace fovea::kernels::sm90 {

struct Segment {
  int batch, head, group;
  bool first_of_head;                           // exactly one segment of a (batch, head) says so
  int phase_y, phase_x, rows, columns;          // of the phase; the coordinates below are the phase's
  int x0, tile_begin, tile_end;                 // empty: the CTA's work is done
  int band_begin, band_end, column_begin, panels;              // bands of key rows, panels of key columns: a stage for each of both
};

class StripStream {
 public:
  FOVEA_HOST_DEVICE StripStream(const Schedule& schedule, int cta) : schedule_(schedule), cta_(cta) {}

  // The next segment; false and an empty one at the end. A (batch, head)'s segments follow one another only within a strip.
  FOVEA_HOST_DEVICE bool next(Segment& segment) {
    for (;;) {
      if (tile_ < tile_end_ && locate(segment)) return true;
      if (tile_ < tile_end_) continue;
      if (group_ == schedule_.group_count) break;
      take_strip();
    }
    segment.tile_begin = segment.tile_end = 0;
    return false;
  }

 private:
  // What the CTA does of the group is worked out again for every strip: producers have few registers to keep it in.
  FOVEA_HOST_DEVICE void take_strip() {
    const DilationGroup& group = schedule_.groups[group_];
    const GroupShare share(schedule_, group, cta_);
    if (wave_ < share.waves) {
      strip_ = share.strip_of_wave(wave_++);
      tile_ = 0;
      tile_end_ = group.tiles_y;
    } else if (share.rest + rest_done_ < share.rest_end) {
      const int position = share.rest + rest_done_, tile = share.tile_of_rest(position);
      strip_ = tile / group.tiles_y;
      tile_ = tile % group.tiles_y;
      tile_end_ = smaller(group.tiles_y, tile_ + share.rest_end - position);
      rest_done_ += tile_end_ - tile_;
    } else {
      ++group_;
      wave_ = rest_done_ = 0;
    }
  }

  // Decodes the strip and cuts off the next segment; false if these tiles lie outside their phase, which may be shorter than the longest.
  FOVEA_HOST_DEVICE bool locate(Segment& segment) {
    const DilationGroup& group = schedule_.groups[group_];
    int rest = strip_;
    segment.x0 = rest % group.tiles_x * kTile;
    rest /= group.tiles_x;
    segment.phase_x = rest % group.x.phases();
    rest /= group.x.phases();
    segment.phase_y = rest % group.y.phases();
    rest /= group.y.phases();
    segment.head = schedule_.head_order[group.first_head + rest % group.heads];
    segment.batch = rest / group.heads;
    segment.group = group_;
    segment.rows = group.y.length(segment.phase_y);
    segment.columns = group.x.length(segment.phase_x);
    segment.tile_begin = tile_;
    tile_ = smaller(tile_end_, tile_ + group.most_tiles);
    segment.tile_end = smaller(tile_, divide_up(segment.rows, kTile));
    if (segment.x0 >= segment.columns || segment.tile_begin >= segment.tile_end) return false;
    segment.first_of_head = segment.x0 + segment.phase_x + segment.phase_y + segment.tile_begin == 0;
    segment.band_begin = first_band(segment.tile_begin, group.y.radius, schedule_.band_rows);
    segment.band_end = end_band(segment.tile_end - 1, group.y.radius, segment.rows, schedule_.band_rows);
    segment.column_begin = larger(0, segment.x0 - divide_up(group.x.radius, kTile) * kTile);
    const int column_end = smaller(segment.columns, segment.x0 + kTile + group.x.radius);
    segment.panels = divide_up(column_end - segment.column_begin, kPanelColumns);
    return true;
  }

  const Schedule& schedule_;
  int cta_;
  int group_ = 0, wave_ = 0, rest_done_ = 0;
  int strip_ = 0, tile_ = 0, tile_end_ = 0;
};

}  // namespace fovea::kernels::sm90
