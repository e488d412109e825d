# make demo and make test set up everything they need on a fresh machine, in .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
# Small tensors: threads cost more than they give, and test processes run side by side.
THREADS := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE

BENCHMARKS := house w1 w2 w3 w4 w5 spline_inverse fit_overhead consistency_step score_memory vimco_step iaf_step pixel_sampling images serve_load job_overhead explorer_drawing streaming

# uv where it can be had, plain pip otherwise
INSTALL = $(BIN)/python tools/install.py

# What depends most on the libraries below us.
OLDEST := .venv-oldest
OLDEST_TESTS := tests/data tests/functional tests/metrics tests/reports tests/test_archive.py \
  tests/cli/test_app.py tests/cli/test_columns.py \
  tests/estimators/test_sklearn.py tests/models/test_recipes.py \
  tests/models/test_against_zuko.py tests/training/test_logs.py

.PHONY: demo test test-all test-oldest lint format bench docs results clean

demo: $(VENV)/.stamp-all
	OMP_WAIT_POLICY=PASSIVE $(BIN)/python -m anabranch.experiments.demo --out build/demo

test: $(VENV)/.stamp-test
	$(THREADS) $(BIN)/python -m pytest -n 2 --dist worksteal -q

test-all: $(VENV)/.stamp-test
	$(THREADS) $(BIN)/python -m pytest -n 2 --dist worksteal -q -m ""

# The oldest versions that pyproject.toml promises. Old libraries call what newer ones below them
# deprecate; that is not ours to mend.
test-oldest: $(OLDEST)/.stamp
	$(THREADS) $(OLDEST)/bin/python -m pytest -n 2 --dist worksteal -q \
	  -W ignore::DeprecationWarning $(OLDEST_TESTS)

lint: $(VENV)/.stamp-lint
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright

format: $(VENV)/.stamp-lint
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# All of them, then an error where one missed its level.
bench: $(VENV)/.stamp-bench
	@missed=; for name in $(BENCHMARKS); do \
	  $(THREADS) $(BIN)/python -m benchmarks.$$name || missed="$$missed $$name"; \
	done; test -z "$$missed" || { echo "missed:$$missed"; exit 1; }

docs: $(VENV)/.stamp-docs results
	$(BIN)/python -m sphinx -W -b html docs build/docs

results: $(VENV)/.stamp-all
	$(BIN)/python docs/make_results.py

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

$(OLDEST)/.stamp: pyproject.toml constraints.txt tools/install.py tools/oldest.py
	$(PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python tools/install.py -e . $$($(PYTHON) tools/oldest.py)
	touch $@

$(VENV)/.stamp-all: pyproject.toml constraints.txt tools/install.py | $(BIN)/python
	$(INSTALL) -e ".[all]"
	touch $@

$(VENV)/.stamp-test: $(VENV)/.stamp-all
	$(INSTALL) --group test --group engines
	touch $@

$(VENV)/.stamp-lint: $(VENV)/.stamp-test
	$(INSTALL) --group lint
	touch $@

$(VENV)/.stamp-bench: $(VENV)/.stamp-all
	$(INSTALL) --group bench
	touch $@

$(VENV)/.stamp-docs: $(VENV)/.stamp-all
	$(INSTALL) --group docs
	touch $@

clean:
	rm -rf $(VENV) $(OLDEST) build .pytest_cache .ruff_cache
