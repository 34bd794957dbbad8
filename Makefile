# From a bare checkout, `make demo` and `make test` need nothing but Python 3.11 or newer: they do their own set-up.
# Each other target does one thing; CI runs the same ones (.ci/run).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
LOWEST := .venv-lowest
# More arguments for pytest, or for the demo: make test ARGS="tests/engine -x"
ARGS ?=

export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: demo test coverage lint types contracts golden docs picture bench lowest pins clean

# The program and what its demo needs.
$(VENV)/.demo: pyproject.toml .ci/install .ci/constraints.txt
	.ci/install $(PYTHON) $(VENV) demo

# The same, and all that its developers need.
$(VENV)/.installed: pyproject.toml .ci/install .ci/constraints.txt
	.ci/install $(PYTHON) $(VENV) dev

# The embedded world has a few faults: "not ready" (1) is what its audit should come to, and no failure of this target.
demo: $(VENV)/.demo
	$(BIN)/quub-audit demo $(ARGS) || test $$? -eq 1

# These servers are fetched before, since no single test should wait for that.
test: $(VENV)/.installed
	.ci/system-packages
	$(BIN)/python -m tests.worlds.keycloak
	$(BIN)/python -m tests.worlds.oidc
	$(BIN)/python -m tests.worlds.postgres
	$(BIN)/python -m pytest -n 4 --dist loadscope --cov --cov-report= --cov-fail-under=0 $(ARGS)

# Judges what `make test` has measured.
coverage: $(VENV)/.installed
	$(BIN)/coverage report

lint: $(VENV)/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed
	$(BIN)/mypy

contracts: $(VENV)/.installed
	$(BIN)/lint-imports --no-logo

# Writes the expected reports and help texts anew; the difference is to be reviewed.
golden: $(VENV)/.installed
	$(BIN)/python -m tests.reporters.golden
	$(BIN)/python -m tests.cli.help_pages

# Writes the generated pages anew: docs/items, docs/commands.md, and the help in README.md.
docs: $(VENV)/.installed
	$(BIN)/python .ci/docs.py
	$(BIN)/python -m tests.cli.help_pages

# Takes the picture of README.md anew, with Chromium.
picture: $(VENV)/.installed
	$(BIN)/python .ci/picture.py

bench: $(VENV)/.installed
	$(BIN)/python -m bench $(ARGS)
	$(BIN)/python -m bench.secrets --quick
	$(BIN)/python -m bench.code --rounds 1

# The tests on the lowest versions that pyproject.toml allows.
lowest: $(VENV)/.installed
	$(BIN)/python .ci/lowest $(LOWEST) $(ARGS)

# Writes the versions that everything above is installed in anew: the newest that fit. To be committed with green tests.
pins:
	$(PYTHON) .ci/pin

clean:
	rm -rf $(VENV) $(LOWEST) build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage .coverage.* quub-audit-report quub-audit-demo
