# Everything a developer runs. `make` alone lists the targets.

CARGO ?= cargo
# The one outside of .venv, whatever PATH says below.
PYTHON := $(shell command -v python3)
BENCH_FOLDER := target/bench-replay
# cargo-lambda and SAM come from .venv; nothing is sent home.
export PATH := $(CURDIR)/.venv/bin:$(PATH)
export SAM_CLI_TELEMETRY := 0

# In this order; what is quick to fail comes first.
STAGES := fmt lint default unit doc template e2e smoke

# Tests that read files of other people, where these are not at hand.
NOT_HERE := $(if $(wildcard ../shared/data),,real_records::) \
	$(if $(wildcard ../shared/ocsf/*.schema.json),,renderings::ocsf_is_valid)
NOT_HERE := $(strip $(NOT_HERE))

.DEFAULT_GOAL := help
.PHONY: help test $(STAGES) local model soak mutants docs-findings bench-replay bench-contention size

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

lint: ## Run clippy for each set of features; check that pure modules are pure, and links
	$(CARGO) clippy --locked --all-targets --all-features -- -D warnings
	$(CARGO) clippy --locked --lib --bin pushwatch -- -D warnings
	$(CARGO) clippy --locked --lib --bin pushwatch-lambda --no-default-features --features function -- -D warnings
	$(PYTHON) tests/lint/purity.py
	$(PYTHON) tests/lint/links.py

default: ## Build and run what is built by default, which needs no AWS
	$(PYTHON) tests/default_build.py

unit: .venv/installed ## Run all Rust tests, with those that need moto
	@for tests in $(NOT_HERE); do echo "Not run, since ../shared lacks what they read: $$tests"; done
	$(CARGO) test --locked --all-features -- --include-ignored $(NOT_HERE:%=--skip %)

doc: ## Build the documentation; warnings are errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --all-features --no-deps --document-private-items

template: .venv/installed .venv-checkov/installed ## Check the template: cfn-lint, SAM, checkov
	cfn-lint template.yaml
	sam validate --lint --region eu-central-1
	.venv-checkov/bin/checkov --file template.yaml --framework cloudformation --skip-download --compact --quiet

e2e: .venv/installed ## Build with SAM, deploy into moto, and run the whole stack
	# The programs that the tests ran; another set of crates would be compiled anew.
	$(CARGO) test --locked --all-features --no-run
	sam build --parameter-overrides Architecture=x86_64
	.venv/bin/python -m pytest -q tests/e2e --ignore tests/e2e/test_smoke.py

smoke: .venv/installed ## Invoke the function in cargo-lambda's emulator with the samples
	.venv/bin/python -m pytest -q tests/e2e/test_smoke.py

local: .venv/installed ## Run the whole system on this machine, to play with; Ctrl-C ends it
	.venv/bin/python tests/e2e/local.py

model: ## Explore every interleaving of the protocol, whole; takes minutes
	MODEL_WHOLE=1 $(CARGO) test --locked --all-features --test it model:: -- --nocapture

soak: .venv/installed ## Drain what three hours of outage with 20,000 pushes leave behind
	SOAK_PUSHES=20000 SOAK_FUNCTIONS=10 $(CARGO) test --locked --all-features --test it soak:: -- --include-ignored --nocapture

mutants: .venv/installed ## Break each rule of the protocol and see it caught; takes half an hour
	$(PYTHON) tests/mutants.py

docs-findings: ## Write the samples of docs/findings anew
	WRITE_DOCS=1 $(CARGO) test --locked --all-features --test it the_samples_in_docs_are_current

bench-replay: ## Compare the speed of `pushwatch replay` with zcat on 2 GB
	$(CARGO) build --locked --profile cli --bin pushwatch
	$(PYTHON) tests/bench/replay.py target/cli/pushwatch $(BENCH_FOLDER)

size: .venv/installed ## Build the function for release; check its zip, memory and behaviour
	$(CARGO) build --locked --release --no-default-features --features function --bin pushwatch-lambda --target-dir target/function
	$(PYTHON) tests/bench/size.py target/function/release/pushwatch-lambda
	PUSHWATCH_LAMBDA=$(CURDIR)/target/function/release/pushwatch-lambda $(CARGO) test --locked --all-features --test it function:: -- --include-ignored

bench-contention: .venv/installed ## Let fifty functions at once push as one uploader
	FUNCTIONS_AT_ONCE=50 $(CARGO) test --locked --all-features --test it at_once -- --include-ignored --nocapture

# What the tests run beside Rust: moto, SAM, cargo-lambda, cfn-lint, pytest.
.venv/installed: tests/requirements.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@

# checkov pins other versions of the same packages.
.venv-checkov/installed: tests/requirements-checkov.txt
	$(PYTHON) -m venv .venv-checkov
	.venv-checkov/bin/pip install --quiet --disable-pip-version-check -r $<
	touch $@
