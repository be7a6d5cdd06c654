# wirebook: the things one does here. `make help` lists them.
#
# Every target that builds first runs tools/setup.sh, which installs missing Debian or Ubuntu packages by name,
# says so, and does nothing where all of them are there.

CARGO ?= cargo
# Arguments for the demo, for example: make demo DEMO_ARGS='--seconds 60'
DEMO_ARGS ?=
# Arguments for cargo test, for example: make test TEST_ARGS='--test config_file'
TEST_ARGS ?=
# ITCH 5.0 files for the oracle, instead of a day that our own exchange makes
ORACLE_FILES ?=
# Seeds of the simulation: a range, or one, which is then told as a story
SEEDS ?= 1..1000
# Drivers that `make static` links besides those that need no other library: see dpdk-sys/build/link.rs
STATIC_DRIVERS ?=
# What `make test-dpdk-matrix` takes: releases, columns, only the tests that touch DPDK, systems made anew
RELEASES ?=
TESTS ?=
QUICK ?=
FRESH ?=
# NICs for test-nic, for example: make test-nic NICS=e1000e,virtio; all of them without it
NICS ?=
# Arguments for bench-book, for example: make bench-book BOOK_ARGS='--rows syn20m,latency --rounds 9 --quick'
BOOK_ARGS ?=
# Arguments for bench-trade, for example: make bench-trade TRADE_ARGS='--rounds 1 --seconds 5'
TRADE_ARGS ?=
# bench-book without other people's crates, which take minutes to build: make bench-book PEERS=no
PEERS ?=
# Random events for test-long
EVENTS ?= 100000000
# Random intents for test-risk
INTENTS ?= 10000000
# kill -9 in kill-live
KILLS ?= 20
# Seconds of each day of live-day
DAY_SECONDS ?= 60
# Seconds that each fuzz target runs.
FUZZ_SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-long test-risk miri static test-nic test-dpdk-matrix sim sim-day kill-table kill-live live-day canaries oracle bench bench-book bench-scale bench-trade bench-instructions gate gate-update lint lint-bench fuzz clean

help: ## Show this list
	@sed -n 's/^\([a-z][a-z-]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## Install everything that the other targets need
	@tools/setup.sh build demo test lint nic gate

demo: ## Run the whole program on virtual devices: no NIC, no root, no hugepages
	@tools/setup.sh demo
	$(CARGO) run --release --bin wirebook -- demo $(DEMO_ARGS)

test: ## Run all tests
	@tools/setup.sh test
	$(CARGO) test --workspace $(TEST_ARGS)

test-nic: ## Run the whole program on emulated NICs in QEMU guests, bound to vfio-pci (NICS=e1000e,virtio: these only)
	@tools/setup.sh nic
	@case '$(NICS)' in '' | *igb*) tests/nic/guest/newer-qemu.sh ;; esac
	$(if $(NICS),,$(MAKE) static)
	NICS='$(NICS)' $(CARGO) test --test nic -- --ignored --nocapture --test-threads=1 $(if $(NICS),every_nic,--skip fewer_instructions)

static: ## Build one program that needs no DPDK where it runs, and run it from an empty directory (STATIC_DRIVERS='net_mlx5 …' adds drivers)
	@tools/setup.sh build
	DPDK_SYS_STATIC_DRIVERS='$(STATIC_DRIVERS)' $(CARGO) build --release --features static --bin wirebook --target-dir target/static
	tools/static-check.sh target/static/release/wirebook

test-dpdk-matrix: ## Build, test, demo and static build on 22.11, 24.11 and 25.11, each in a Debian of its own (root; RELEASES=… TESTS=… QUICK=1 FRESH=1)
	RELEASES='$(RELEASES)' TESTS='$(TESTS)' QUICK='$(QUICK)' tools/dpdk-matrix.sh $(if $(FRESH),--fresh)

canaries: ## Put known bugs into a copy, one at a time: the tests must catch each (some minutes)
	@tools/setup.sh build
	$(CARGO) test --test canaries -- --ignored --nocapture

sim: ## Run the simulation: handler against exchange from seeds, for example: make sim SEEDS=1..10000, or SEEDS=4711
	@tools/setup.sh build
	SEEDS='$(SEEDS)' $(CARGO) test --no-default-features --test sim -- --ignored --nocapture many_seeds

kill-table: ## Kill the order path at every step, in virtual time, and print what came of it as a table
	@tools/setup.sh build
	$(CARGO) test --no-default-features --test order_kill -- --nocapture whatever_ends

kill-live: ## The same with real processes over a virtual cable: kill -9 in mid-trade, KILLS times (root)
	@tools/setup.sh build test
	WIREBOOK_REQUIRE_LIVE=1 WIREBOOK_KILLS='$(KILLS)' $(CARGO) test --test live -- --nocapture live_kills

sim-day: ## Let each strategy trade a whole day against the exchange, under virtual time (some minutes)
	@tools/setup.sh build
	$(CARGO) test --no-default-features --test strategies -- --ignored --nocapture a_whole_trading_day

live-day: ## The same live, over a virtual cable, each day in DAY_SECONDS (root)
	@tools/setup.sh build test
	WIREBOOK_REQUIRE_LIVE=1 WIREBOOK_DAY_SECONDS='$(DAY_SECONDS)' $(CARGO) test --test live -- --ignored --nocapture live_a_whole_trading_day

oracle: ## Let public programs judge: meatpy our books, nasdaq-protocols our SoupBinTCP (PyPI; some minutes)
	@tools/setup.sh build
	CARGO='$(CARGO)' tests/oracle/run.sh $(ORACLE_FILES)

bench: ## Run the benchmarks; their figures mean something on a quiet machine only
	@tools/setup.sh demo
	$(CARGO) bench --features bench-c --bench burst
	$(CARGO) bench --bench book
	$(CARGO) bench --bench decode

bench-book: ## Books: our goals, other people's crates on the same streams, plots (BOOK_ARGS='--help' lists what can be asked for)
	@tools/setup.sh build
	$(CARGO) run --manifest-path benches/peers/Cargo.toml --release $(if $(filter no,$(PEERS)),--no-default-features) -- $(BOOK_ARGS)

bench-scale: ## Messages per second of one stream with one worker and with two; needs two idle CPUs
	@tools/setup.sh demo
	$(CARGO) bench --bench scale

bench-trade: ## Tick to trade, stage by stage, exchange and wirebook over memif; needs two idle CPUs (TRADE_ARGS='--seconds 20 --rounds 3')
	@tools/setup.sh demo
	$(CARGO) bench --bench trade -- $(TRADE_ARGS)

bench-instructions: ## Count instructions per poll and frame: our own driver and DPDK's, here and on emulated NICs
	@tools/setup.sh demo nic
	$(CARGO) test --release --bench instructions
	@tests/nic/guest/newer-qemu.sh
	$(CARGO) test --test nic -- --ignored --nocapture fewer_instructions

gate: ## Count instructions per message of decoding and books: fails where one is 3 % above benches/gate.toml
	@tools/setup.sh gate
	$(CARGO) bench --profile gate --no-default-features --bench gate -- check

gate-update: ## Count them and write benches/gate.toml anew
	@tools/setup.sh gate
	$(CARGO) bench --profile gate --no-default-features --bench gate -- update

test-long: ## Run 10^8 random events through books and model (EVENTS=…; some minutes)
	WIREBOOK_EVENTS='$(EVENTS)' $(CARGO) test --no-default-features --test book_model -- --nocapture storm

test-risk: ## Run 10^7 random intents through the loop, judged by a slow account of journal and wire (INTENTS=…; some minutes)
	WIREBOOK_INTENTS='$(INTENTS)' $(CARGO) test --no-default-features --test risk_storm -- --nocapture

miri: ## Run small tests of the books under Miri (needs: rustup +nightly component add miri rust-src)
	MIRIFLAGS=-Zmiri-disable-isolation $(CARGO) +nightly miri test --no-default-features --test book_model -- \
		behaviour anomalies limits --skip every_level --skip a_full_day

lint: ## Check formatting, lints, documentation and shell scripts
	@tools/setup.sh lint
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --workspace --no-deps --document-private-items
	shellcheck -x tools/*.sh tools/lib/*.sh tests/oracle/*.sh tests/nic/guest/*.sh .ci/run

lint-bench: ## The same for the workspace of bench-book, and its tests; not part of CI, because its peers take minutes to build
	@tools/setup.sh build
	$(CARGO) fmt --manifest-path benches/peers/Cargo.toml --check
	$(CARGO) clippy --manifest-path benches/peers/Cargo.toml --all-targets -- -D warnings
	RUSTDOCFLAGS='-D warnings' $(CARGO) doc --manifest-path benches/peers/Cargo.toml --no-deps --document-private-items
	$(CARGO) test --manifest-path benches/peers/Cargo.toml --no-default-features

fuzz: ## Run each fuzz target for FUZZ_SECONDS; needs cargo-fuzz (see fuzz/README.md)
	@tools/setup.sh build
	@$(CARGO) fuzz --version >/dev/null 2>&1 || { echo 'cargo-fuzz is missing: cargo install cargo-fuzz' >&2; exit 1; }
	$(CARGO) run --manifest-path fuzz/Cargo.toml --bin seeds
	@for target in $$($(CARGO) fuzz list | grep -v '^seeds$$'); do \
		echo "fuzz: $$target, $(FUZZ_SECONDS) s"; \
		RUSTC_BOOTSTRAP=1 $(CARGO) fuzz run "$$target" -- -max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done

clean: ## Remove what was built
	$(CARGO) clean
