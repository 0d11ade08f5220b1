// Layer::rows() of every kind: what the shaders draw, once more for pictures of any size.
#include <cmath>

#include "app/viewer/layers/colour_layer.h"
#include "app/viewer/layers/grid_rows.h"
#include "app/viewer/layers/heat_layer.h"
#include "app/viewer/layers/image_layer.h"
#include "app/viewer/layers/label_layer.h"

namespace fovea {
namespace {

constexpr std::uint32_t kWhole = 256;

std::uint8_t to_byte(float share) { return static_cast<std::uint8_t>(std::lround(std::clamp(share, 0.0f, 1.0f) * 255)); }

// The entry of a colour table as the shaders choose it.
struct Colours {
  const ColourEntries& entries;
  float low, high;
  float share(float value) const { return high > low ? std::clamp((value - low) / (high - low), 0.0f, 1.0f) : value >= low ? 1.0f : 0.0f; }
  const std::array<std::uint8_t, 3>& at(float share_of_range) const {
    return entries[static_cast<std::size_t>(share_of_range * 255 + 0.5f)];
  }
};

void lay(const PixelBlender& blender, const std::array<std::uint8_t, 3>& colour, std::uint32_t share, std::uint8_t* below) {
  const std::uint8_t values[3] = {colour[0], colour[1], colour[2]};
  blender.lay(values, share, below);
}

class ImageRows final : public LayerRows {
 public:
  ImageRows(std::unique_ptr<ImageSource> source, const ImageAppearance& look, const LayerStyle& style, int white)
      : source_(std::move(source)),
        look_(look),
        blender_(style.blend, style.opacity),
        plain_(style.opacity == 1 && style.blend == Blend::kNormal),
        entries_(colour_entries(style.colours)) {
    const float extent = std::abs(style.high - style.low) < 1e-6f ? 1e-6f : style.high - style.low;
    table_.resize(source_->info().bits == 8 ? 256 : 65536);
    for (std::size_t i = 0; i < table_.size(); ++i) {
      const float value = static_cast<float>(i) / static_cast<float>(white);
      table_[i] = std::pow(std::clamp((value - style.low) / extent, 0.0f, 1.0f), 1 / look.gamma);
    }
  }

  void paint(std::int64_t x, std::int64_t y, ImageU8& rgb) override {
    const ImageInfo& info = source_->info();
    const Rect part{x, y, std::min(rgb.width(), info.width - x), std::min(rgb.height(), info.height - y)};
    if (info.bits == 8) paint_samples(source_->read_rgb(part), rgb);
    else paint_samples(source_->read_rgb16(part), rgb);
  }

 private:
  template <class Sample>
  void paint_samples(const BasicImage<Sample>& samples, ImageU8& rgb) const {
    for (std::int64_t y = 0; y < samples.height(); ++y) {
      const Sample* in = samples.row(y);
      std::uint8_t* out = rgb.row(y);
      for (std::int64_t x = 0; x < samples.width(); ++x, in += 3, out += 3) {
        const auto colour = shown({table_[in[0]], table_[in[1]], table_[in[2]]});
        if (plain_) std::copy_n(colour.begin(), 3, out);
        else lay(blender_, colour, kWhole, out);
      }
    }
  }
  std::array<std::uint8_t, 3> shown(const std::array<float, 3>& value) const {
    const std::array<bool, 3> on{look_.red, look_.green, look_.blue};
    float sum = 0, count = 0;
    for (std::size_t c = 0; c < 3; ++c) {
      if (on[c]) sum += value[c], ++count;
    }
    if (look_.false_colour) return entries_[static_cast<std::size_t>(sum / std::max(count, 1.0f) * 255 + 0.5f)];
    if (count == 1) return {to_byte(sum), to_byte(sum), to_byte(sum)};
    return {on[0] ? to_byte(value[0]) : std::uint8_t{0}, on[1] ? to_byte(value[1]) : std::uint8_t{0},
            on[2] ? to_byte(value[2]) : std::uint8_t{0}};
  }

  std::unique_ptr<ImageSource> source_;
  const ImageAppearance look_;
  const PixelBlender blender_;
  const bool plain_;
  const ColourEntries& entries_;
  std::vector<float> table_;             // of a sample's value: after contrast and gamma
};

// Maps in files and in memory, a colour and a share of the opacity for each of their 256 values.
class MapRows final : public LayerRows {
 public:
  struct Entry {
    std::array<std::uint8_t, 3> colour{};
    std::uint32_t share = 0;
  };
  MapRows(const ValueMap& map, std::vector<Entry> entries, const LayerStyle& style)
      : read_(map.reader()),
        grid_(map.rect_level0, map.shape.width, map.shape.height),
        entries_(std::move(entries)),
        blender_(style.blend, style.opacity) {}

  void paint(std::int64_t x, std::int64_t y, ImageU8& rgb) override {
    // The part of the map that the rows touch.
    std::int64_t left = -1, right = -1, top = -1, bottom = -1;
    for (std::int64_t i = 0; i < rgb.width(); ++i) extend(grid_.x.cell(x + i), left, right);
    for (std::int64_t i = 0; i < rgb.height(); ++i) extend(grid_.y.cell(y + i), top, bottom);
    if (left < 0 || top < 0) return;
    const ImageU8 values = read_({left, top, right - left + 1, bottom - top + 1});
    for (std::int64_t j = 0; j < rgb.height(); ++j) {
      const std::int64_t row = grid_.y.cell(y + j);
      if (row < 0) continue;
      for (std::int64_t i = 0; i < rgb.width(); ++i) {
        const std::int64_t column = grid_.x.cell(x + i);
        if (column < 0) continue;
        const Entry& entry = entries_[values.row(row - top)[column - left]];
        if (entry.share > 0) lay(blender_, entry.colour, entry.share, rgb.row(j) + 3 * i);
      }
    }
  }

 private:
  static void extend(std::int64_t cell, std::int64_t& first, std::int64_t& last) {
    if (cell < 0) return;
    if (first < 0) first = cell;
    last = cell;
  }
  ReadValues read_;
  const Grid grid_;
  const std::vector<Entry> entries_;     // [256]
  const PixelBlender blender_;
};

class HeatRows final : public LayerRows {
 public:
  struct Look {
    float threshold = 0, alpha_by_value = 0;
    bool smooth = false;
  };
  HeatRows(HeatRaster raster, const LayerStyle& style, const Look& look)
      : raster_(std::move(raster)), grid_(raster_.rect_level0, raster_.columns, raster_.rows),
        colours_{colour_entries(style.colours), style.low, style.high}, look_(look), blender_(style.blend, style.opacity) {}

  void paint(std::int64_t x, std::int64_t y, ImageU8& rgb) override {
    for (std::int64_t j = 0; j < rgb.height(); ++j) {
      if (grid_.y.cell(y + j) < 0) continue;
      for (std::int64_t i = 0; i < rgb.width(); ++i) {
        if (grid_.x.cell(x + i) < 0) continue;
        const float value = look_.smooth ? interpolated(x + i, y + j) : at(grid_.x.cell(x + i), grid_.y.cell(y + j));
        if (std::isnan(value) || value < look_.threshold) continue;
        const float share = colours_.share(value), alpha = 1 - look_.alpha_by_value + look_.alpha_by_value * share;
        lay(blender_, colours_.at(share), static_cast<std::uint32_t>(std::lround(alpha * 256)), rgb.row(j) + 3 * i);
      }
    }
  }

 private:
  float at(std::int64_t column, std::int64_t row) const {
    const std::int64_t c = std::clamp<std::int64_t>(column, 0, raster_.columns - 1), r = std::clamp<std::int64_t>(row, 0, raster_.rows - 1);
    return raster_.values[static_cast<std::size_t>(r * raster_.columns + c)];
  }
  float interpolated(std::int64_t x, std::int64_t y) const {
    const double u = grid_.x.place(x) - 0.5, v = grid_.y.place(y) - 0.5;
    const auto c = static_cast<std::int64_t>(std::floor(u)), r = static_cast<std::int64_t>(std::floor(v));
    const auto a = static_cast<float>(u - std::floor(u)), b = static_cast<float>(v - std::floor(v));
    const float above = at(c, r) * (1 - a) + at(c + 1, r) * a, below = at(c, r + 1) * (1 - a) + at(c + 1, r + 1) * a;
    return above * (1 - b) + below * b;
  }
  const HeatRaster raster_;
  const Grid grid_;
  const Colours colours_;
  const Look look_;
  const PixelBlender blender_;
};

class ColourRows final : public LayerRows {
 public:
  ColourRows(ImageU8 colours, const RectD& rect, const LayerStyle& style)
      : colours_(std::move(colours)), grid_(rect, colours_.width(), colours_.height()), blender_(style.blend, style.opacity) {}

  void paint(std::int64_t x, std::int64_t y, ImageU8& rgb) override {
    for (std::int64_t j = 0; j < rgb.height(); ++j) {
      const std::int64_t row = grid_.y.cell(y + j);
      for (std::int64_t i = 0; row >= 0 && i < rgb.width(); ++i) {
        const std::int64_t column = grid_.x.cell(x + i);
        if (column < 0) continue;
        const std::uint8_t* pixel = colours_.row(row) + column * colours_.channels();
        const std::uint32_t share = colours_.channels() == 4 ? (pixel[3] * kWhole + 127) / 255 : kWhole;
        lay(blender_, {pixel[0], pixel[1], pixel[2]}, share, rgb.row(j) + 3 * i);
      }
    }
  }

 private:
  const ImageU8 colours_;
  const Grid grid_;
  const PixelBlender blender_;
};

}  // namespace

std::unique_ptr<LayerRows> ImageLayer::rows() const {
  const int white = info_.bits == 8 ? 255 : white_level();
  return std::make_unique<ImageRows>(open_image(path_), appearance, style, white);
}

std::unique_ptr<LayerRows> LabelLayer::rows() const {
  std::vector<MapRows::Entry> table(256);
  for (std::size_t i = 0; i < std::min<std::size_t>(256, entries.size()); ++i) {
    table[i] = {entries[i].colour, entries[i].visible ? kWhole : 0};
  }
  return std::make_unique<MapRows>(map_, std::move(table), style);
}

std::unique_ptr<LayerRows> ProbabilityLayer::rows() const {
  const Colours colours{colour_entries(style.colours), style.low, style.high};
  std::vector<MapRows::Entry> table(256);
  for (std::size_t i = 0; i < 256; ++i) table[i] = {colours.at(colours.share(static_cast<float>(i) / 255)), kWhole};
  return std::make_unique<MapRows>(map_, std::move(table), style);
}

std::unique_ptr<LayerRows> HeatLayer::rows() const {
  if (raster_.values.empty()) return nullptr;
  return std::make_unique<HeatRows>(raster_, style, HeatRows::Look{threshold, alpha == HeatAlpha::kByValue ? kAlphaByValue : 0, smooth});
}

std::unique_ptr<LayerRows> ColourLayer::rows() const {
  if (colours_.empty()) return nullptr;
  return std::make_unique<ColourRows>(colours_.clone(), rect_, style);
}

}  // namespace fovea
