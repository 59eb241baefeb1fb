# Two commands for a fresh machine with Python >= 3.11: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test test-fast lint format bench models clean

$(VENV)/.made:
	$(PYTHON) -c "import sys; sys.exit(sys.version_info < (3, 11) and 'hf-interpreto needs Python >= 3.11')"
	$(PYTHON) -m venv $(VENV)
	touch $@

# torch first and by itself: asked for by another package, a bigger build might be chosen.
$(VENV)/.installed: $(VENV)/.made pyproject.toml constraints.txt
	$(PIP) torch==2.13.0
	$(PIP) --editable .
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) --editable '.[dev]'
	touch $@

demo: $(VENV)/.installed  ## Explain a classification and a generation with the models in the package.
	$(BIN)/hf-interpreto demo

test: $(VENV)/.installed-dev  ## The whole suite.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal

test-fast: $(VENV)/.installed-dev  ## Without what is slow.
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist worksteal -m "not slow and not browser"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.installed-dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.installed-dev  ## Speed and memory beside peers, each in an environment of its own (an hour or more).
	$(BIN)/python -m tests.benchmarks.attributions

models: $(VENV)/.installed-dev  ## Train the demo models again.
	$(BIN)/python -m hf_interpreto.demo.train

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
