# What there is to do with a clone. Needs Python 3.11 or newer and make; everything else is installed into $(VENV).
#
#     make demo                                           a C guest counts words in SQLite
#     make test                                           the test suite, without its slowest tests
#     make test-all                                       all of it, as CI runs it
#     make test PYTHON=python3.13 VENV=.venv313           the same with another Python
#     make test ARGS='-k memory -x'                       ARGS are handed to what is run

PYTHON ?= python3
VENV   ?= .venv
ARGS   ?=

BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --quiet --disable-pip-version-check

.PHONY: help demo test test-all bench lint format docs clean
.NOTPARALLEL:

help:
	@sed -n 's/^#     //p' Makefile

demo: $(VENV)/.installed-demo
	@$(BIN)/python examples/wordcount/demo.py $(ARGS)

test: $(VENV)/.installed-test
	@$(BIN)/python -m pytest -n auto -m "not slow" $(ARGS)

test-all: $(VENV)/.installed-test
	@$(BIN)/python -m pytest -n auto $(ARGS)

bench: $(VENV)/.installed-bench
	@$(BIN)/python -m bench $(ARGS)

lint: $(VENV)/.installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(VENV)/.installed-test
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.installed-docs
	$(BIN)/pdoc --docformat google --output-directory build/docs hostmod

clean:
	rm -rf $(VENV) build dist src/*.egg-info examples/*/build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	rm -f src/hostmod/_backend/*.so
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One stamp per extra, so that nothing is installed twice, and what decides the build makes it happen again. What fails
# half-way leaves no stamp.
$(VENV)/.installed-%: pyproject.toml $(wildcard setup.py src/hostmod/_backend/*.c src/hostmod/_backend/*.h) | $(VENV)/.created
	@echo "Installing hostmod[$*] and what it needs into $(VENV)"
	@$(PIP) install --editable '.[$*]'
	@touch $@

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "hostmod needs Python 3.11 or newer; try: make PYTHON=python3.12")'
	@$(PYTHON) -m venv $(VENV)
	@touch $@
