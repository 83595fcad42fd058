# Everything one does with this checkout. Each target sets up first what is not in place yet.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Any Python from 3.8, for the set-up alone; everything else runs on the one that it puts in place.
PYTHON ?= python3
VENV := .venv/bin
COVERAGE := build/coverage
export COVERAGE_FILE := $(CURDIR)/$(COVERAGE)/data
# Extra arguments for pytest: make unit ARGS='-k ranking'
ARGS ?=
# Test files run at once. Each may bring an emulator or a broker of its own, 1 to 2 GB: more workers
# than two want more memory than a laptop has, not only cores.
WORKERS ?= 2

ifeq ($(filter output-sync,$(.FEATURES)),)
$(error set-up: this is make $(MAKE_VERSION), too old: install GNU make 4 or newer)
endif

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-24s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

# Not $(MAKE), which `make -n` would run.
IN_PLACE := command -v git >/dev/null && make -qsf tools/setup.mk 2>/dev/null

.PHONY: setup
setup: ## Put everything in place; FORCE=1 does it all again
	@if $(if $(filter 1,$(FORCE)),false,$(IN_PLACE)); then \
	  $(if $(filter setup,$(MAKECMDGOALS)),echo "set-up: everything is in place",:); \
	elif command -v $(PYTHON) >/dev/null; then \
	  $(PYTHON) tools/bootstrap.py $(if $(filter 1,$(FORCE)),--force); \
	else \
	  echo "set-up: $(PYTHON) is not on PATH: install Python 3.8 or newer" >&2; exit 1; \
	fi

.PHONY: demo
demo: setup ## The whole loop on this machine; ONCE=1 ends after one round
	$(VENV)/movierec demo $(if $(filter 1,$(ONCE)),--once)

.PHONY: test
test: check executor-test keeper-test ## All checks and all tests, with coverage in build/coverage
	@rm -rf $(COVERAGE) && mkdir -p $(COVERAGE)
	$(VENV)/pytest -n $(WORKERS) --dist loadfile --cov --cov-report= $(ARGS) tests
	$(VENV)/coverage xml -q
	$(VENV)/coverage html -q
	$(VENV)/coverage report

.PHONY: check
check: setup ## Lint, format, types, import rules
	$(VENV)/ruff check
	$(VENV)/ruff format --check
	$(VENV)/mypy
	$(VENV)/lint-imports

.PHONY: unit
unit: setup ## Unit tests: no I/O, seconds
	$(VENV)/pytest $(ARGS) tests/unit

.PHONY: property
property: setup ## Property tests: generated inputs
	$(VENV)/pytest $(ARGS) tests/property

.PHONY: contract
contract: setup ## Contract tests: ports on fakes and on the real thing, broker, processes
	$(VENV)/pytest $(ARGS) tests/contract

.PHONY: packaging
packaging: setup ## Packaging tests: what is shipped imports, fits, and is the same twice
	$(VENV)/pytest $(ARGS) tests/packaging

.PHONY: infra
infra: setup ## Infrastructure tests: Terraform is valid and agrees with the code
	$(VENV)/pytest $(ARGS) tests/infra

.PHONY: e2e
e2e: setup ## End to end: ingest, train, serve, bad canary, rollback
	$(VENV)/pytest $(ARGS) tests/e2e

.PHONY: executor-test
executor-test: setup ## The Lambda executor's own tests, in the emulator's environment
	cd localstack/lambda_executor && ../.venv/bin/python -m mypy
	cd localstack/lambda_executor && ../.venv/bin/python -m pytest $(ARGS)

.PHONY: keeper-test
keeper-test: setup ## The emulator's persistence: its own tests, in the emulator's environment
	cd localstack/keeper && ../.venv/bin/python -m mypy
	cd localstack/keeper && ../.venv/bin/python -m pytest $(ARGS)

.PHONY: chaos
chaos: setup ## Kill what keeps state, then the machine's parts, again and again: CRASHES=100 SEED=1
	cd localstack/keeper && KEEPER_CRASHES=$(or $(CRASHES),100) KEEPER_CRASH_SEED=$(or $(SEED),1) \
	  ../.venv/bin/python -m pytest $(ARGS) tests/emulator/test_crash.py
	MOVIEREC_CRASHES=$(or $(CRASHES),100) MOVIEREC_CRASH_SEED=$(or $(SEED),1) \
	  $(VENV)/pytest $(ARGS) tests/e2e/test_chaos.py
	MOVIEREC_FAULT_SCHEDULES=50 MOVIEREC_FAULT_SEED=$(or $(SEED),1) \
	  $(VENV)/pytest $(ARGS) tests/contract/test_ingest_faults.py

.PHONY: vendor
vendor: setup ## Build the library into chalice_app/vendor
	$(VENV)/python -m movierec.stack.packaging.lambda_packages vendor

.PHONY: package
package: setup ## Build every Lambda's zip into build/packages
	$(VENV)/python -m movierec.stack.packaging.lambda_packages functions

.PHONY: bench-loop
bench-loop: setup ## Measure the whole loop: the demo's figures beside their limits
	$(VENV)/python -m bench.loop

.PHONY: bench-api
bench-api: setup ## Measure the API and the proxy
	$(VENV)/python -m bench.api

.PHONY: bench-executor
bench-executor: setup ## Measure the Lambda executor
	$(VENV)/python -m bench.executor

.PHONY: bench-keeper
bench-keeper: setup ## Measure the emulator's state: what it costs, how soon a run is resumed
	$(VENV)/python -m bench.keeper

.PHONY: bench-ingest
bench-ingest: setup ## Measure ingest: parsing beside polars, Kafka to the lake beside a bare consumer
	$(VENV)/python -m bench.ingest

.PHONY: bench-journal
bench-journal: setup ## Measure the proxy's journal beside SQLite
	$(VENV)/python -m bench.journal

.PHONY: bench-quality
bench-quality: setup ## Measure the quality of recommendations beside published models; any split: ARGS='--train F --test F'
	$(VENV)/python -m bench.quality $(ARGS)

.PHONY: bench-scale
bench-scale: setup ## Measure training up to 50 million interactions beside implicit; SIZES=1,5 for less
	$(VENV)/python -m bench.scale $(if $(SIZES),--sizes $(SIZES))

.PHONY: bench-people
bench-people: setup ## Measure new users' lists, how fresh lists are, and what they cost; ARGS='--only lists' for less
	$(VENV)/python -m bench.people $(ARGS)

.PHONY: bench-rating
bench-rating: setup ## Measure predicted ratings on MovieLens 1M beside Surprise's SVD++
	$(VENV)/python -m bench.rating

.PHONY: bench-releases
bench-releases: setup ## Play releases: the verdict's error rates and speed; SEED=2 for others
	$(VENV)/python -m bench.releases $(if $(SEED),--seed $(SEED))

.PHONY: bench-release-scenarios
bench-release-scenarios: setup ## Play four releases on the real loop, three of them bad: docs/releases.md
	$(VENV)/python -m bench.release_scenarios

.PHONY: docs
docs: setup ## Make docs/benchmarks.md from build/bench
	$(VENV)/python -m bench.benchmarks_page

.PHONY: clean
clean: ## Remove build products and caches; environments and runs stay
	rm -rf build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage*
	find . -name __pycache__ -not -path './.venv/*' -not -path './localstack/*/.venv/*' \
	  -not -path './localstack/.venv/*' -not -path './.tools/*' -prune -exec rm -rf {} +

.PHONY: distclean
distclean: clean ## Remove all that setup made, too, and every run that is stopped
	@for lock in var/*/daemon.lock; do [ ! -e "$$lock" ] || flock -n "$$lock" true || \
	  { echo "a stack is up ($$(dirname "$$lock")): run movierec down first" >&2; exit 1; }; done
	rm -rf var .venv .tools localstack/.venv localstack/*/.venv localstack/kafka/libs chalice_app/vendor
