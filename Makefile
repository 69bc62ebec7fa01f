# Blockstitch: everything a newcomer runs. `make demo` and `make test` need nothing but Debian, Node >= 20.20,
# a C++17 compiler, CMake and Python 3.11; they install the rest (npm, PyPI, and redis-server from Debian for the tests).
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := training/.venv
STAMP := build/stamps

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP)/npm: package.json package-lock.json .npmrc
	@mkdir -p $(STAMP)
	npm ci --no-progress
	@touch $@

$(STAMP)/venv: training/requirements.txt training/requirements-train.txt
	@mkdir -p $(STAMP)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -r training/requirements-train.txt
	@touch $@

build: $(STAMP)/npm ## Compile TypeScript and the native kernels (both incremental)
	npx tsc -p tsconfig.build.json
	node kernels/build.mjs

demo: build ## Ingest the sample documents and ask a question: cold, cached, cached in another order
	@node dist/src/cli/main.js demo

serve: build ## Serve the demo model on http://127.0.0.1:8080
	node dist/src/cli/main.js serve

redis: ## Make sure that redis-server is installed (the tests start their own on a free loopback port)
	@command -v redis-server >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server >/dev/null; }

test: build redis $(STAMP)/venv ## Run every test: lint, types, unit, integration, e2e, faults, kernels, training
	npx biome check .
	npx tsc --noEmit -p tsconfig.json
	node kernels/build.mjs --tests
	BLOCKSTITCH_PYTHON=$(CURDIR)/$(VENV)/bin/python npx vitest run
	ctest --test-dir kernels/build --output-on-failure
	node kernels/build.mjs --sanitize
	ctest --test-dir kernels/build-sanitize --output-on-failure
	cd training && .venv/bin/python -m pytest -q tests

check: build ## The fast checks before each commit: format, lint, types, unit tests
	npm run check

bench: build ## List the benches; run one with `npm run bench -- NAME --json`
	npm run bench -- --help

clean: ## Remove what was built (not node_modules, not the Python environment)
	rm -rf dist build kernels/build kernels/build-sanitize coverage

.PHONY: help build demo serve redis test check bench clean
