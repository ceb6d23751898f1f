# SPDX-License-Identifier: Apache-2.0
#
# A thin front to meson: every target is one command that can be typed by
# hand. Nothing is built here; README.md says what each target needs.

BUILD ?= build
JOBS ?= $(shell nproc)

build: setup
	@test -f $(BUILD)/build.ninja || meson setup -Dwerror=true $(BUILD)
	@ninja -C $(BUILD) -j $(JOBS)
	@tools/link-lodge $(BUILD)

setup:
	@tools/setup

run: build
	@tools/run-default $(BUILD)/lodge

test: build
	@tools/setup test
	@tools/run-tests --build $(BUILD) --no-suite slow --variants quick

test-all: build
	@tools/setup test slow
	@tools/run-tests --build $(BUILD) --variants all

bench: build
	@tools/setup bench
	@bench/run --lodge $(BUILD)/lodge $(BENCHFLAGS)
	@bench/net --lodge $(BUILD)/lodge
	@bench/disk --lodge $(BUILD)/lodge

install: build
	@meson install -C $(BUILD) --no-rebuild

clean:
	rm -rf $(BUILD) $(BUILD)-*

.PHONY: build setup run test test-all bench install clean
