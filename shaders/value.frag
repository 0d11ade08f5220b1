#version 330 core
// One value a pixel (a probability), coloured by a table.

in vec3 texture_place;
flat in float opacity;

uniform sampler2DArray tiles;  // red: the value, green: 1 inside the map
uniform sampler2D tables;      // a row a colour table
uniform int table;
uniform vec2 range;            // values shown as the table's ends

out vec4 colour;

void main() {
  vec2 pixel = texture(tiles, texture_place).rg;
  float extent = range.y - range.x;
  float share = extent > 0.0 ? clamp((pixel.r - range.x) / extent, 0.0, 1.0) : step(range.x, pixel.r);
  vec3 rgb = texelFetch(tables, ivec2(int(share * 255.0 + 0.5), table), 0).rgb;
  float alpha = step(0.5, pixel.g) * opacity;
  colour = vec4(rgb * alpha, alpha);
}
