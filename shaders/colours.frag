#version 330 core
// A picture as it is, laid over what is there.

in vec2 place;

uniform sampler2D colours;
uniform float premultiplied;  // 1: colours are multiplied with alpha already
uniform float opacity;
uniform int blend;            // 1: multiply

out vec4 colour;

void main() {
  vec4 pixel = texture(colours, place);
  vec3 rgb = premultiplied == 1.0 && pixel.a > 0.0 ? pixel.rgb / pixel.a : pixel.rgb;
  float alpha = pixel.a * opacity;
  colour = blend == 1 ? vec4(mix(vec3(1.0), rgb, alpha), alpha) : vec4(rgb * alpha, alpha);
}
