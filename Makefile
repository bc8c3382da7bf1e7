# Everything a developer runs. `make` alone lists the targets.

CARGO ?= cargo
PYTHON ?= python3
BENCH_FOLDER := target/bench-replay

.DEFAULT_GOAL := help
.PHONY: help test fmt lint unit doc bench-replay size

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-14s %s\n", $$1, $$2}' Makefile

test: fmt lint unit doc ## Everything that CI checks

fmt: ## Check the format
	$(CARGO) fmt --check

lint: ## Run clippy, with and without the command line; warnings are errors
	$(CARGO) clippy --locked --all-targets -- -D warnings
	$(CARGO) clippy --locked --lib --no-default-features -- -D warnings

unit: .venv/installed ## Run all tests; installs moto, which plays AWS, into .venv
	$(CARGO) test --locked

.venv/installed: tests/requirements.txt
	$(PYTHON) -m venv .venv
	.venv/bin/pip install --quiet --disable-pip-version-check -r tests/requirements.txt
	touch $@

doc: ## Build the documentation; warnings are errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --no-deps --document-private-items

bench-replay: ## Compare the speed of `pushwatch replay` with zcat on 2 GB
	$(CARGO) build --locked --profile cli
	$(PYTHON) tests/bench/replay.py target/cli/pushwatch $(BENCH_FOLDER)

size: .venv/installed ## Build the function for release; check its zip, memory and behaviour
	$(CARGO) build --locked --release --no-default-features --bin pushwatch-lambda --target-dir target/function
	$(PYTHON) tests/bench/size.py target/function/release/pushwatch-lambda
	PUSHWATCH_LAMBDA=$(CURDIR)/target/function/release/pushwatch-lambda $(CARGO) test --locked --test function
