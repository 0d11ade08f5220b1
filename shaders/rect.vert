#version 330 core
// One rectangle; place runs from (0, 0) at its first corner to (1, 1).

uniform vec4 rect_clip;       // x0, y0, x1, y1
out vec2 place;

void main() {
  vec2 corner = vec2(float(gl_VertexID & 1), float(gl_VertexID >> 1));
  gl_Position = vec4(mix(rect_clip.xy, rect_clip.zw, corner), 0.0, 1.0);
  place = corner;
}
