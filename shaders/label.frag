#version 330 core
// Class indices coloured by a palette.

in vec3 texture_place;
flat in float opacity;

uniform sampler2DArray tiles;  // red: index, green: 1 inside the map
uniform sampler2D palette;     // 256 x 1; alpha 0: not shown

out vec4 colour;

void main() {
  vec4 label = texture(tiles, texture_place);
  vec4 entry = texelFetch(palette, ivec2(int(label.r * 255.0 + 0.5), 0), 0);
  float alpha = entry.a * step(0.5, label.g) * opacity;
  colour = vec4(entry.rgb * alpha, alpha);
}
