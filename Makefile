# make quickstart: set up .venv and run the main job; make test: set up and pass the tests. CONTRIBUTING.md has the rest.
PYTHON ?= python3
BIN := .venv/bin
PYTEST := $(BIN)/pytest -n 3 --dist worksteal

.PHONY: quickstart notebooks format lint type test-fast test slow coverage docs package clean

quickstart: .venv/experiments
	$(BIN)/python -m experiments compare

notebooks: .venv/notebooks
	$(BIN)/jupyter lab experiments/notebooks

format: .venv/dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lint: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

type: .venv/dev
	$(BIN)/mypy

test-fast: lint type
	$(PYTEST) -m "not slow and not long"

test: lint type
	$(PYTEST)

slow: .venv/dev .venv/notebooks
	$(PYTEST) -m slow

coverage: .venv/dev
	$(PYTEST) --cov --cov-report=term

docs: .venv/dev
	$(BIN)/python docs/environment_pages.py
	$(BIN)/python -m experiments.catalogue
	$(BIN)/python docs/catalog_pages.py
	$(BIN)/mkdocs build --strict

package: .venv/dev
	rm -rf dist
	$(BIN)/python -m build
	$(BIN)/twine check --strict dist/*
	$(BIN)/check-wheel-contents dist/*.whl

.venv/experiments .venv/notebooks .venv/dev: pyproject.toml
	@echo "setting up .venv; PyTorch is large, so this takes some minutes"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -e ".[$(notdir $@)]"
	touch $@

clean:
	rm -rf .venv
