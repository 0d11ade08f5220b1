#version 330 core
// Contrast limits, gamma and choice of channels or false colours; premultiplied.

in vec3 texture_place;
flat in float opacity;

uniform sampler2DArray tiles;
uniform vec2 contrast;        // values shown as black and as white, 0 ... 1
uniform float inverse_gamma;
uniform vec3 channel_mask;    // 1 shows a channel; a single one is shown as grey
uniform sampler2D tables;     // a row a colour table
uniform int false_colour;     // row of tables; -1: true colours

out vec4 colour;

void main() {
  vec4 pixel = texture(tiles, texture_place);
  float extent = contrast.y - contrast.x;
  extent = abs(extent) < 1.0e-6 ? 1.0e-6 : extent;
  vec3 value = clamp((pixel.rgb - contrast.x) / extent, 0.0, 1.0);
  if (inverse_gamma != 1.0) value = pow(value, vec3(inverse_gamma));
  float shown = dot(channel_mask, vec3(1.0));
  if (false_colour >= 0) {
    float mean = dot(value, channel_mask) / max(shown, 1.0);
    value = texelFetch(tables, ivec2(int(mean * 255.0 + 0.5), false_colour), 0).rgb;
  } else {
    value = shown == 1.0 ? vec3(dot(value, channel_mask)) : value * channel_mask;
  }
  float alpha = pixel.a * opacity;
  colour = vec4(value * alpha, alpha);
}
