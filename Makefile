# The two commands of the README and a few more. Everything is cargo; this only finds what is missing and where to build.
# Build output goes to the cache folder, so that a clean clone builds fast; deleting it costs time, nothing else.
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/granary
export CARGO_TARGET_DIR ?= $(CACHE)/target
DATA ?= $(or $(XDG_DATA_HOME),$(HOME)/.local/share)/granary

# The board of `make image` and `make qemu`: a folder of hw/.
BOARD ?= qemu-arm64

.PHONY: run test lint fmt bench image qemu test-image

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

# The card of a board, to be written to a card or a disk. Everything comes from this tree and Debian's archive.
image:
	@tests/setup.sh image
	cargo image build --board $(BOARD)

# Starts it here; its ports are printed. What it writes is forgotten. Ctrl-A X ends it.
qemu:
	cargo image qemu --board $(BOARD)

# As root: the card on a LAN made of network namespaces.
test-image:
	@tests/setup.sh image
	cargo image build --board qemu-arm64 --twice
	cargo build --locked -p granary-tests --bin boot
	$(CARGO_TARGET_DIR)/debug/boot
