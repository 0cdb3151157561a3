# make quickstart: set up .venv and run the main job; make test: set up and pass the tests; make slow: the slow tests.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: quickstart test slow coverage docs clean

quickstart: .venv/experiments
	$(BIN)/python -m experiments compare

test: .venv/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/pytest -n 3 --dist worksteal

docs: .venv/dev
	$(BIN)/python docs/environment_pages.py

slow: .venv/dev
	$(BIN)/pytest -n 3 --dist worksteal -m slow

coverage: .venv/dev
	$(BIN)/pytest -n 3 --dist worksteal --cov --cov-report=term

.venv/experiments .venv/dev: pyproject.toml
	@echo "setting up .venv; PyTorch is large, so this takes some minutes"
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet -e ".[$(notdir $@)]"
	touch $@

clean:
	rm -rf .venv
