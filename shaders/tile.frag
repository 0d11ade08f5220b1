#version 330 core
// Contrast limits, gamma and choice of channels, then plain alpha.

in vec3 texture_place;
flat in float opacity;

uniform sampler2DArray tiles;
uniform vec2 contrast;        // values shown as black and as white, 0 ... 1
uniform float inverse_gamma;
uniform vec3 channel_mask;    // 1 shows a channel; a single one is shown as grey

out vec4 colour;

void main() {
  vec4 pixel = texture(tiles, texture_place);
  vec3 value = pow(clamp((pixel.rgb - contrast.x) / max(contrast.y - contrast.x, 1.0 / 1024.0), 0.0, 1.0), vec3(inverse_gamma));
  float shown = dot(channel_mask, vec3(1.0));
  value = shown == 1.0 ? vec3(dot(value, channel_mask)) : value * channel_mask;
  colour = vec4(value, pixel.a * opacity);
}
