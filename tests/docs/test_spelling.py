"""Documents and docstrings have no known misspelling, and American spelling."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from tests.docs.guides import ROOT

PACKAGES = ("cls_env", "agents", "experiments")
DOCUMENTS = ("docs", "README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "CITATION.cff", "mkdocs.yml")


def codespell(*paths: Path | str) -> str:
    """What codespell finds, with the settings in `pyproject.toml`."""
    command = [sys.executable, "-m", "codespell_lib", *map(str, paths)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout


def docstrings(file: Path) -> str:
    """The docstrings of a file, each after its place."""
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, kinds)]
    return "\n".join(ast.get_docstring(node) or "" for node in nodes)


def test_documents_are_spelled_right() -> None:
    readings = (ROOT / "experiments" / "results").glob("*/README.md")
    assert codespell(*DOCUMENTS, *readings) == ""


def test_docstrings_are_spelled_right(tmp_path: Path) -> None:
    for package in PACKAGES:
        for file in (ROOT / package).rglob("*.py"):
            copy = tmp_path / file.relative_to(ROOT).with_suffix(".txt")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_text(docstrings(file), encoding="utf-8")
    assert codespell(tmp_path) == ""


def test_a_misspelling_is_found(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("recieve the colour", encoding="utf-8")
    found = codespell(tmp_path)
    assert "recieve ==> receive" in found and "colour ==> color" in found
