# The two commands of the README and a few more. Everything is cargo; this only finds what is missing and where to build.
# Build output goes to the cache folder, so that a clean clone builds fast; deleting it costs time, nothing else.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/granary
export CARGO_TARGET_DIR ?= $(CACHE)/target
DATA ?= $(or $(XDG_DATA_HOME),$(HOME)/.local/share)/granary

.PHONY: run test lint fmt bench image

# Release, because its first start is what a newcomer sees, and it is built once.
run:
	@tests/setup.sh build
	cargo build --release --locked -p granary
	$(CARGO_TARGET_DIR)/release/granary run --data "$(DATA)" --starter --demo

# The binary first: tests of `tests/` start it. Both steps see the whole workspace, so that nothing is compiled twice.
test:
	@tests/setup.sh
	cargo build --workspace --all-targets --locked
	cargo test --workspace --locked

lint:
	cargo fmt --all --check
	cargo lint

fmt:
	cargo fmt --all

bench:
	@tests/setup.sh build
	@tests/bench/setup.sh
	cargo build --release --locked -p granary
	cargo build --release --locked -p granary-store --example bench
	/usr/bin/python3 tests/bench/run.py --binary $(CARGO_TARGET_DIR)/release/granary \
	    --store-bench $(CARGO_TARGET_DIR)/release/examples/bench

image:
	cargo image check
