#version 330 core
// A value a grid cell, coloured by a table.

in vec2 place;

uniform sampler2D values;
uniform sampler2D tables;     // a row a colour table
uniform int table;
uniform vec2 range;           // values shown as the table's ends
uniform float threshold;      // below it nothing is shown
uniform float alpha_by_value; // 1: opacity grows with the value
uniform float opacity;
uniform int blend;            // 1: multiply

out vec4 colour;

void main() {
  float value = texture(values, place).r;
  if (isnan(value) || value < threshold) discard;
  float extent = range.y - range.x;
  float share = extent > 0.0 ? clamp((value - range.x) / extent, 0.0, 1.0) : step(range.x, value);
  vec3 rgb = texelFetch(tables, ivec2(int(share * 255.0 + 0.5), table), 0).rgb;
  float alpha = opacity * mix(1.0, share, alpha_by_value);
  colour = blend == 1 ? vec4(mix(vec3(1.0), rgb, alpha), alpha) : vec4(rgb * alpha, alpha);
}
