# Everything a user types. `make` alone lists the targets.
CONFIG ?= config.json
PYTHON ?= python3
PREFIX ?= /usr/local
# Compiling takes minutes the first time: cargo shows how far it is. The second call says nothing.
BUILD = cargo build --release --bin
RUN = cargo run --release --quiet --bin
BUILT = $(or $(CARGO_TARGET_DIR),target)

.DEFAULT_GOAL := help
.PHONY: help needs build first-run ingestion training scoring deployment diagnostics reporting fullprocess app apicalls \
        cron cron-install cron-uninstall install uninstall dist cluster-up cluster-first-run cluster-down test soak bench lint fmt doc clean-data

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# What a build lacks on this machine is said before cargo or a linker fails over it.
needs:
	@"$(dir $(firstword $(MAKEFILE_LIST)))packaging/needs.sh"

first-run: needs ## From a folder of CSV files to a live model with its reports
	@$(BUILD) first_run
	@$(RUN) first_run -- --config "$(CONFIG)" $(ARGS)

ingestion: ## New CSV files become the next data set (options in ARGS="…", as in all steps)
training: ## The newest data set becomes a model
scoring: ## The model on the test data
deployment: ## The model with its score goes live
diagnostics: ## Predictions, statistics, timings, versions
reporting: ## Pictures, report.html and report.pdf
fullprocess: ## What cron runs: decide, and act on it
app: ## Serve predictions on http://127.0.0.1:8000 until Ctrl-C
apicalls: ## Every endpoint of a running app, its answers in apireturns.txt
ingestion training scoring deployment diagnostics reporting fullprocess app apicalls: needs
	@$(BUILD) $@
	@$(RUN) $@ -- --config "$(CONFIG)" $(ARGS)

cron: ## Print the crontab line that runs fullprocess every ten minutes
	@packaging/cron.sh print "$(CONFIG)"

cron-install: ## Add it to the crontab; other entries are not touched
	@packaging/cron.sh install "$(CONFIG)"

cron-uninstall: ## Remove it from the crontab
	@packaging/cron.sh uninstall "$(CONFIG)"

build: needs ## All binaries, into target/release
	cargo build --release --workspace --exclude mlops-package

install: needs ## One executable, mlops, into PREFIX=/usr/local, with manual pages, completions and units of systemd
	@MLOPS_VERSION="$$(packaging/version.sh)" $(BUILD) mlops --bin mlops-package
	@packaging/tree.sh "$(BUILT)/package" "$(BUILT)/release/mlops" "$(BUILT)/release/mlops-package"
	@packaging/install.sh install "$(PREFIX)" "$(BUILT)/package"

uninstall: ## Remove what install put there; data stay
	@packaging/install.sh uninstall "$(PREFIX)"

dist: needs ## An archive for machines without Rust, and a package of Debian, in target/dist
	@packaging/dist.sh

cluster-up: ## A scheduler and two executors on this machine (docs/growing.md)
	@packaging/cluster.sh up

cluster-first-run: ## The shipped files become a data set and a live model with its reports
	@packaging/cluster.sh first-run

cluster-down: ## Stop them
	@packaging/cluster.sh down

test: needs ## All tests, with reduced counts; the last line has the totals
	@.ci/test --workspace

soak: ## The same tests with full counts, and the ignored ones (minutes)
	MLOPS_SOAK=1 .ci/test --release --workspace -- --include-ignored $(if $(MLOPS_REFERENCE),,--skip reference_files) --skip a_generated_client

bench: ## Beside peers, for minutes (PYTHON=… with polars and duckdb; ROWS, RUNS, WORK="…")
	@PYTHON="$(PYTHON)" benches/bench.sh $(WORK)

lint: ## What the continuous integration asks
	cargo fmt --all --check
	cargo clippy --workspace --all-targets -- -D warnings

fmt: ## Format the code
	cargo fmt --all

doc: ## The documentation of the crates, in target/doc
	cargo doc --workspace --no-deps

clean-data: ## Remove everything that runs made; the shipped files stay
	rm -rf data/ingesteddata data/practicemodels data/models data/production_deployment
	rm -f data/testdata/testdata_new*.csv
