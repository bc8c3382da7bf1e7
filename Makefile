# Everything a developer runs. `make` alone lists the targets.

CARGO ?= cargo
# The one outside of .venv, whatever PATH says below.
PYTHON := $(shell command -v python3)
BENCH_FOLDER := target/bench-replay
# The function as it is deployed.
DEPLOYED := .aws-sam/build/Function/bootstrap
# cargo-lambda and SAM come from .venv; nothing is sent home.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0

# Of what is installed into .tools.
VERSION_deny := 0.20.2
VERSION_fuzz := 0.13.2

CARGO_FOLDER := $(or $(CARGO_HOME),$(HOME)/.cargo)
# Where cargo-deny keeps the database of known weaknesses.
ADVISORIES := $(CARGO_FOLDER)/advisory-dbs

# In this order; what is quick to fail comes first.
STAGES := fmt lint supply default unit promises doc template e2e budgets smoke fuzzed

# Tests that read files of other people, where these are not at hand.
NOT_HERE := $(if $(wildcard ../shared/data),,real_records::) \
	$(if $(wildcard ../shared/ocsf/*.schema.json),,renderings::ocsf_is_valid)
NOT_HERE := $(strip $(NOT_HERE))

# How long `make fuzz` takes for each target.
SECONDS ?= 60

.DEFAULT_GOAL := help
.PHONY: help test $(STAGES) advisories fuzz report-pictures local model outage soak mutants docs-findings can-build sam dist dist-twice deployed bench bench-stages bench-growth bench-replay bench-contention

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' Makefile

test: ## Everything that CI checks, with the time of each stage
	@for stage in $(STAGES); do \
		began=$$(date +%s); \
		$(MAKE) --no-print-directory $$stage || exit 1; \
		times="$$times\n  $$stage $$(($$(date +%s) - began)) s"; \
	done; printf "All stages passed:$$times\n"

fmt: ## Check the format
	$(CARGO) fmt --check
	$(CARGO) fmt --check --manifest-path fuzz/Cargo.toml

lint: ## Run clippy for each set of features; check that pure modules are pure, and links
	$(CARGO) clippy --locked --all-targets --all-features -- -D warnings
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --lib --bin pushwatch-lambda --no-default-features --features function -- -D warnings
	$(CARGO) clippy --locked --manifest-path fuzz/Cargo.toml -- -D warnings
	$(PYTHON) tests/lint/purity.py
	$(PYTHON) tests/lint/links.py

supply: .tools/cargo-deny-$(VERSION_deny) .venv-checkov/installed ## Check what the programs are made of: crates, licences, sources, SBOMs; advisories where they are at hand
	$(PYTHON) tests/lint/dependencies.py
	.venv-checkov/bin/python tests/lint/sbom.py
	.tools/bin/cargo-deny --locked check licenses bans sources
	@if ls $(ADVISORIES)/*/.git >/dev/null 2>&1; \
	then .tools/bin/cargo-deny --locked --offline check advisories; \
	else echo "Not checked, since their database is not at hand (make advisories): advisories"; fi

advisories: .tools/cargo-deny-$(VERSION_deny) ## Fetch the database of advisories, and check the crates by it
	.tools/bin/cargo-deny --locked check advisories

default: ## Build and run what is built by default, which needs no AWS
	$(PYTHON) tests/default_build.py

unit: .venv/installed ## Run all Rust tests, with those that need moto
	@for tests in $(NOT_HERE); do echo "Not run, since ../shared lacks what they read: $$tests"; done
	$(CARGO) test --locked --all-features -- --include-ignored $(NOT_HERE:%=--skip %)

promises: ## See that each promise of SPECIFICATION.md and SECURITY.md names tests that exist
	$(PYTHON) tests/lint/promises.py

doc: ## Build the documentation; warnings are errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --all-features --no-deps --document-private-items

template: .venv/installed .venv-checkov/installed ## Check the template: cfn-lint, SAM, checkov
	cfn-lint template.yaml
	sam validate --lint --region eu-central-1
	.venv-checkov/bin/checkov --file template.yaml --framework cloudformation --skip-download --compact --quiet

e2e: sam .axe/installed ## Build with SAM, deploy into moto, and run the whole stack
	# The programs that the tests ran; another set of crates would be compiled anew.
	$(CARGO) test --locked --all-features --no-run
	.venv/bin/python -m pytest -q tests/e2e --ignore tests/e2e/test_smoke.py

budgets: sam ## Hold the deployed function against its limits: instructions, zip, memory, calls
	.venv/bin/python tests/bench/budgets.py $(DEPLOYED) tests/budgets.toml

smoke: .venv/installed ## Invoke the function in cargo-lambda's emulator with the samples
	.venv/bin/python -m pytest -q tests/e2e/test_smoke.py

fuzzed: .tools/cargo-fuzz-$(VERSION_fuzz) ## Replay what the fuzz targets were given before, and fuzz for a minute in all
	$(PYTHON) fuzz/run.py replay
	$(PYTHON) fuzz/run.py fuzz --all 60

fuzz: .tools/cargo-fuzz-$(VERSION_fuzz) ## Fuzz each target, or TARGET=name alone, for SECONDS=60
	$(PYTHON) fuzz/run.py fuzz --each $(SECONDS) $(TARGET:%=--target %)

local: .venv/installed ## Run the whole system on this machine, to play with; Ctrl-C ends it
	.venv/bin/python tests/e2e/local.py

model: ## Explore every interleaving of the protocol, whole; takes minutes
	MODEL_WHOLE=1 $(CARGO) test --locked --all-features --test it model:: -- --nocapture

outage: .venv/installed ## Drain what three hours of outage with 20,000 pushes leave behind
	OUTAGE_PUSHES=20000 OUTAGE_FUNCTIONS=10 $(CARGO) test --locked --all-features --test it outage:: -- --include-ignored --nocapture

soak: .venv/installed ## Push 50,000 times while calls fail and processes are killed; takes a quarter of an hour
	SOAK_PUSHES=50000 SOAK_UPLOADERS=5000 SOAK_PROCESSES=8 SOAK_KILLS=100 SOAK_PARTS=1 \
		$(CARGO) test --locked --all-features --test it soak:: -- --include-ignored --nocapture

mutants: .venv/installed ## Break each rule of the protocol and see it caught; takes half an hour
	$(PYTHON) tests/mutants.py

docs-findings: ## Write the samples of docs/findings anew
	WRITE_DOCS=1 $(CARGO) test --locked --all-features --test it the_samples_in_docs_are_current

report-pictures: .axe/installed ## Draw the pictures of docs/report anew, in Chromium
	$(CARGO) build --locked --all-features --bin pushwatch
	WRITE_DOCS=1 .venv/bin/python -m pytest -q tests/e2e/test_report.py -k pictures

# The executables name no folder of this machine: the same commit gives the same bytes in any.
REMAPPED = --remap-path-prefix=$(CURDIR)=/pushwatch \
	--remap-path-prefix=$(CARGO_FOLDER)=/cargo \
	--remap-path-prefix=$(shell rustc --print sysroot)/lib/rustlib/src/rust=/rustc/$(shell rustc -vV | sed -n 's/commit-hash: //p')
# The processor is the one that cargo-lambda names by itself where there are no flags. Without
# it the zip is 70 KB larger, and a push takes 2 % more.
sam: export RUSTFLAGS = $(REMAPPED) -C target-cpu=haswell
dist: export RUSTFLAGS = $(REMAPPED)
# What else the environment may say that changes the bytes, or where they are written: settings of
# Cargo, cargo-lambda, the compiler, and the C compiler of ring.
CHANGING = $(filter CARGO_BUILD_% CARGO_ENCODED_RUSTFLAGS CARGO_INCREMENTAL CARGO_LAMBDA_% CARGO_PROFILE_% \
	CARGO_TARGET_% CARGO_ZIGBUILD_% RUSTC% AR% CC% CFLAGS% HOST_% TARGET_%,$(.VARIABLES))
# Where it is written is said to both SAM and Cargo, since a config.toml may name another folder.
CLEAN = env $(CHANGING:%=-u %) CARGO_TARGET_DIR=$(CURDIR)/target
X86_64 := x86_64-unknown-linux-gnu
HOST = $(shell rustc -vV | sed -n 's/host: //p')

# What would be built wrong is refused before anything is.
can-build:
	$(if $(filter $(X86_64),$(HOST)),,$(error Only Rust for $(X86_64) builds this, and here it is for $(HOST): \
	for x86_64 SAM names no processor to cargo-lambda, which then takes the machine's))
	$(if $(filter 3,$(words $(REMAPPED))),,$(error RUSTFLAGS can't name a folder with a space in its name: $(REMAPPED)))
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or later is needed, for tomllib")'

sam: can-build .venv/installed ## Build the function as it is deployed; once for all that need it
	# SAM has no --locked: this fails if Cargo.lock is out of step.
	$(CARGO) fetch --locked --quiet
	$(CLEAN) sam build --parameter-overrides Architecture=x86_64

# cargo-lambda builds for arm64 on any machine that has the target.
ARM64 = $(wildcard $(shell rustc --print sysroot)/lib/rustlib/aarch64-unknown-linux-gnu)

dist: sam ## Build what is released into dist/: function, command line, template, SBOMs, checksums
	$(if $(ARM64),$(CLEAN) RUSTFLAGS="$$RUSTFLAGS -C target-cpu=neoverse-n1" sam build --build-dir .aws-sam/arm64 --parameter-overrides Architecture=arm64)
	$(CLEAN) $(CARGO) build --locked --profile cli --features aws --bin pushwatch --target $(X86_64)
	$(PYTHON) packaging/dist.py dist --command-line target/$(X86_64)/cli/pushwatch --x86_64 $(DEPLOYED) \
		$(if $(ARM64),--arm64 .aws-sam/arm64/Function/bootstrap)
	@$(if $(ARM64),,echo "Left out, since the target is not there (rustup target add aarch64-unknown-linux-gnu): the function for arm64")

dist-twice: dist ## Build dist/, and once more in another folder, and compare; takes long
	$(PYTHON) tests/dist_twice.py

deployed: sam ## Run the tests of the function on the one that is deployed
	PUSHWATCH_LAMBDA=$(CURDIR)/$(DEPLOYED) $(CARGO) test --locked --all-features --test it function:: -- --include-ignored

bench: sam ## Compare the function with its peers; writes benches/RESULTS.md
	.venv/bin/python tests/bench/bench.py $(DEPLOYED) benches/RESULTS.md

bench-stages: ## Measure reading, identifying, deciding and rendering, by the size of the event
	$(CARGO) bench --locked --bench stages

bench-growth: .venv/installed ## Count calls and bytes with many uploaders stored; price a year
	$(CARGO) build --locked --features aws --features function
	.venv/bin/python tests/bench/growth.py
	$(CARGO) bench --locked --bench year

bench-replay: ## Compare the speed of `pushwatch replay` with zcat on 2 GB
	$(CARGO) build --locked --profile cli --bin pushwatch
	$(PYTHON) tests/bench/replay.py target/cli/pushwatch $(BENCH_FOLDER)

bench-contention: .venv/installed ## Let fifty functions at once push as one uploader
	FUNCTIONS_AT_ONCE=50 $(CARGO) test --locked --all-features --test it at_once -- --include-ignored --nocapture

# What the tests run beside Rust: moto, SAM, cargo-lambda, cfn-lint, pytest.
.venv/installed: tests/requirements.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

# What the tests of the report look with: an engine of accessibility rules.
.axe/installed: tests/axe/package.json tests/axe/package-lock.json
	@if command -v npm >/dev/null; then \
		mkdir -p .axe && cp $^ .axe && npm ci --silent --no-audit --no-fund --prefix .axe && touch $@; \
	fi || true
	@test -e $@ || echo "Not run, since npm can't install axe-core: test_axe_finds_nothing"

# Cargo's own tools, each compiled once; another version is another target.
.tools/cargo-%:
	$(CARGO) install --quiet --locked --force --root .tools --target-dir .tools/target cargo-$(subst -,@,$*)
	@rm -f .tools/cargo-$(firstword $(subst -, ,$*))-*
	@touch $@

# checkov pins other versions of the same packages.
.venv-checkov/installed: tests/requirements-checkov.txt
	$(PYTHON) -m venv .venv-checkov
	.venv-checkov/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@
