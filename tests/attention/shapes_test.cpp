// Every back end against the definition on the shapes where indexing goes wrong first.
#include "tests/attention/backend_fixture.h"

namespace fovea::test {
namespace {

using Shapes = EachBackend;

AttentionProblem problem_of(std::array<std::int64_t, 2> grid, std::array<std::int64_t, 2> window, std::int64_t globals,
                            std::vector<std::int64_t> dilation) {
  return {.pattern = {.grid = grid, .global_tokens = globals, .window = window, .dilation = std::move(dilation)},
          .batch = 1, .heads = 2, .head_dim = 32, .scale = {}};
}

TEST_P(Shapes, OneToken) { check(problem_of({1, 1}, {17, 17}, 0, {1}), 1); }
TEST_P(Shapes, OneTokenAndGlobals) { check(problem_of({1, 1}, {1, 1}, 8, {1}), 2); }
TEST_P(Shapes, OneRow) { check(problem_of({1, 301}, {1, 17}, 2, {1}), 3); }
TEST_P(Shapes, OneColumn) { check(problem_of({301, 1}, {17, 1}, 2, {1}), 4); }
TEST_P(Shapes, RowWithTallWindow) { check(problem_of({1, 67}, {9, 9}, 1, {1}), 5); }
TEST_P(Shapes, WindowOfOne) { check(problem_of({9, 10}, {1, 1}, 0, {1}), 6); }
TEST_P(Shapes, WindowWiderThanGrid) { check(problem_of({6, 5}, {101, 99}, 3, {1}), 7); }
TEST_P(Shapes, WindowCoversGridExactly) { check(problem_of({8, 8}, {15, 15}, 0, {1}), 8); }
TEST_P(Shapes, DilationWiderThanGrid) { check(problem_of({7, 6}, {5, 5}, 2, {50}), 9); }
TEST_P(Shapes, DilationPerHead) { check(problem_of({19, 23}, {5, 7}, 4, {1, 3}), 10); }
TEST_P(Shapes, MostGlobals) { check(problem_of({5, 7}, {3, 3}, 64, {1}), 11); }
TEST_P(Shapes, FlatWindow) { check(problem_of({12, 31}, {1, 9}, 3, {2}), 12); }
TEST_P(Shapes, TallWindow) { check(problem_of({31, 12}, {9, 1}, 3, {2}), 13); }
TEST_P(Shapes, LargeWindow) { check(problem_of({37, 41}, {33, 33}, 8, {1}), 14); }
TEST_P(Shapes, SeveralSoftmaxSteps) { check(problem_of({1, 1500}, {1, 1201}, 5, {1}), 15); }

TEST_P(Shapes, AroundTheTile) {
  for (const std::int64_t height : {7, 8, 9, 15, 17}) {
    for (const std::int64_t width : {3, 8, 16, 31, 33}) check(problem_of({height, width}, {5, 5}, 1, {1}), 16);
  }
}

TEST_P(Shapes, Primes) {
  AttentionProblem problem = problem_of({13, 29}, {7, 11}, 7, {1});
  problem.batch = 3;
  problem.heads = 5;
  check(problem, 17);
}

TEST_P(Shapes, HeadDimensions) {
  for (const std::int64_t wanted : {1, 3, 16, 31, 64, 65, 128, 200, 256}) {
    AttentionProblem problem = problem_of({9, 11}, {5, 5}, 3, {1});
    problem.head_dim = allowed_head_dim(wanted);
    check(problem, 18);
  }
}

TEST_P(Shapes, GivenScale) {
  for (const double scale : {0.0, -0.5, 2.0}) {
    AttentionProblem problem = problem_of({6, 9}, {5, 3}, 2, {1});
    problem.scale = scale;
    check(problem, 19);
  }
}

TEST_P(Shapes, OnlyGlobals) {
  if (runs_on_gpu()) GTEST_SKIP() << "kernels want a grid; the reference takes this case";
  check(problem_of({0, 0}, {3, 3}, 5, {1}), 20);
}

FOVEA_FOR_EACH_BACKEND(Shapes);

}  // namespace
}  // namespace fovea::test
