# One command each. A fresh clone needs Python 3.11 and make, nothing else: the first command installs.

PYTHON ?= $(shell command -v python3.11 || echo python3)
VENV := .venv
BIN := $(VENV)/bin
# --no-compile: modules are compiled at their first import, which saves a minute here.
PIP := $(BIN)/python -m pip --disable-pip-version-check install --quiet --no-compile

export PYTHONPATH := $(CURDIR):$(CURDIR)/clients
# Without a bytecode cache, each of a server's processes would compile torch and all other modules again.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help setup envs weights demo serve keys test check format bench gpu-bundle lock clean

help:  ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: $(VENV)/dev.stamp  ## Install everything into .venv

envs: .environments/made.stamp  ## Build the Python environments of single models

weights: $(VENV)/serve.stamp  ## Fetch published weights: make weights MODELS="demucs" FOLDER=/media/usb
	@$(BIN)/python -m deployments.serve.weights $(MODELS) $(if $(FOLDER),--folder $(FOLDER))

demo: $(VENV)/weights.stamp  ## Run real jobs and write a report page, within minutes
	@$(BIN)/python -m demo.run

serve: $(VENV)/weights.stamp  ## Run the server at http://127.0.0.1:8000 until Ctrl-C
	@exec $(BIN)/python -m deployments.serve serve_config.yaml

keys: $(VENV)/serve.stamp  ## API keys: make keys ARGS="create NAME", or list, or revoke ID
	@$(BIN)/python -m deployments.serve.keys $(ARGS)

test: $(VENV)/dev.stamp .environments/made.stamp  ## Run every test
	@$(BIN)/pytest -q --numprocesses 2

check: $(VENV)/dev.stamp  ## Check format, lint, types and generated files
	$(BIN)/ruff format --check --quiet .
	$(BIN)/ruff check --quiet .
	$(BIN)/mypy
	$(BIN)/python scripts/unasync.py --check
	$(BIN)/python scripts/model_docs.py --check

format: $(VENV)/dev.stamp  ## Format, fix lint and generate files
	$(BIN)/ruff check --quiet --fix --exit-zero .
	$(BIN)/ruff format --quiet .
	$(BIN)/python scripts/unasync.py
	$(BIN)/python scripts/model_docs.py

bench: $(VENV)/dev.stamp  ## Measure against alternatives, in one run
	@$(BIN)/python -m benchmarks.run

gpu-bundle: $(VENV)/dev.stamp  ## Collect what a GPU machine without a package index needs, in gpu_bundle/
	@$(BIN)/python scripts/gpu_bundle.py

lock: $(VENV)/dev.stamp  ## Write requirements/ from the packages in .venv
	@$(BIN)/python scripts/lock.py

clean:  ## Remove caches, gpu_bundle, and outputs of the demo and benchmarks; state/ and environments stay
	rm -rf demo_output bench_output gpu_bundle build dist .pytest_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -not -path './$(VENV)/*' -not -path './.environments/*' -prune -exec rm -rf {} +

# A stamp is newer than its lock once that is installed, so a changed lock is installed again.

$(VENV)/torch.stamp: requirements/torch.txt
	@$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "Python 3.11 is needed; name one with make PYTHON=...")'
	@echo 'installing torch …'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) -r $<
	@touch $@

$(VENV)/serve.stamp: requirements/serve.txt requirements/voices.txt pyproject.toml $(VENV)/torch.stamp
	@echo 'installing the server …'
	@$(PIP) --no-deps -r requirements/serve.txt -r requirements/voices.txt
	@$(PIP) --no-deps -e .
	@touch $@

# Once, and without failing: a server without these weights works, and says so.
$(VENV)/weights.stamp: $(VENV)/serve.stamp
	@echo 'fetching weights …'
	@$(BIN)/python -m deployments.serve.weights && touch $@ || echo 'going on without the missing weights'

$(VENV)/dev.stamp: requirements/dev.txt $(VENV)/serve.stamp
	@echo 'installing the tools …'
	@$(PIP) --no-deps -r requirements/dev.txt
	@touch $@

.environments/made.stamp: $(wildcard requirements/environments/*.txt) scripts/environments.py $(VENV)/serve.stamp
	@$(BIN)/python scripts/environments.py
	@touch $@
