# The commands a person types. Each does all it needs, from a bare machine on: packages, libtorch, configuration, build, run.
#
#   make demo          segments two real aerial photographs into out/demo/
#   make view          opens the viewer on the sample photograph
#   make test          builds and runs every test
#   make build         only builds:   build/release/fovea
#   make asan          the tests under AddressSanitizer and UndefinedBehaviorSanitizer
#   make test-python   the operator from Python (downloads Python's torch, 4.7 GB)
#   make bench         the attention benchmark table
#   make clean         removes build/ and out/, keeps .deps/

JOBS ?= $(shell nproc)
PRESET ?= release
BUILD = build/$(PRESET)

.PHONY: demo view test build setup asan test-python bench clean
.DEFAULT_GOAL := build

setup:
	@scripts/setup.sh build

build: setup
	@scripts/build.sh $(PRESET) $(JOBS)

# The program alone: tests and benchmarks are built when they are asked for.
demo: setup
	@scripts/build.sh $(PRESET) $(JOBS) fovea
	@scripts/setup.sh demo
	@scripts/demo.sh

# Set up before the first configuration, so that CMake finds what the viewer needs.
view: setup
	@scripts/setup.sh demo view
	@scripts/build.sh $(PRESET) $(JOBS) fovea-view
	@$(BUILD)/fovea-view .deps/demo/yellowstone.png

test: setup
	@scripts/setup.sh view
	@scripts/build.sh $(PRESET) $(JOBS)
	@ctest --test-dir $(BUILD) --output-on-failure --no-tests=error -j $(JOBS)

asan:
	@$(MAKE) --no-print-directory PRESET=asan test

test-python: build
	@scripts/setup.sh python
	@.deps/python/bin/python tests/python/test_operator.py $(BUILD)/libfovea_ops.so
	@.deps/python/bin/python tests/python/test_operator_cuda.py $(BUILD)/libfovea_ops.so || [ $$? -eq 77 ]   # 77: no GPU, and it says so

bench: build
	@$(BUILD)/fovea bench attention

clean:
	rm -rf build out
