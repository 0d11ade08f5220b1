#version 330 core
// One instance is one rectangle of the image, taken from a part of one tile texture.

layout(location = 0) in vec4 rect_clip;     // x0, y0, x1, y1; computed in double precision: images have more pixels than a float can count
layout(location = 1) in vec4 rect_texture;  // u0, v0, u1, v1
layout(location = 2) in vec2 layer_alpha;   // layer of the texture array; opacity 0 ... 1

out vec3 texture_place;
flat out float opacity;

void main() {
  vec2 corner = vec2(float(gl_VertexID & 1), float(gl_VertexID >> 1));
  gl_Position = vec4(mix(rect_clip.xy, rect_clip.zw, corner), 0.0, 1.0);
  texture_place = vec3(mix(rect_texture.xy, rect_texture.zw, corner), layer_alpha.x);
  opacity = layer_alpha.y;
}
