"""The documentation site: it builds without a warning, needs no network, and has every public name."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest
from catalog_pages import pages
from filelock import FileLock
from site_source.doctests import fenced
from site_source.links import BrokenLinkError, downloads, site_links
from site_source.mathematics import with_mathml
from site_source.notebooks import notebook_page
from site_source.papers import PEFT
from site_source.sources import notebooks, tables

from agents.peft_modules.library import METHODS as PEFT_METHODS
from tests.docs.guides import DOCS, ROOT

DOCUMENTED = ("cls_env", "agents", "agents.objectives", "agents.methods", "agents.peft_modules", "experiments.config")
"""Packages whose `__all__` is public."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """The site, built with warnings as errors, once for all test processes."""
    base = tmp_path_factory.getbasetemp()
    folder = (base if worker_id == "master" else base.parent) / "site"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            build(folder)
    return folder


def build(folder: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.long
def test_it_builds_and_needs_no_network(site: Path) -> None:
    loaded = r"""<(?:script|img|iframe|source)[^>]*\ssrc=["']?(?:https?:)?//|<link[^>]*rel=["']?stylesheet[^>]*//"""
    built = list(site.rglob("*.html"))
    assert len(built) > 60
    for page in built:
        assert not re.search(loaded, page.read_text(encoding="utf-8")), page


@pytest.mark.long
def test_every_public_name_is_in_the_reference(site: Path) -> None:
    reference = "".join(page.read_text(encoding="utf-8") for page in (site / "api").rglob("*.html"))
    public = {f"{package}.{name}": package for package in DOCUMENTED for name in import_module(package).__all__}
    objects = {place: getattr(import_module(package), place.rpartition(".")[2]) for place, package in public.items()}
    shown = [objects[place] for place in objects if f'id="{place}"' in reference]
    missing = [place for place, value in objects.items() if not any(value is other for other in shown)]
    assert len(shown) > 60 and not missing


@pytest.mark.long
def test_notebooks_and_tables_are_pages(site: Path) -> None:
    for path in notebooks():
        page = (site / "notebooks" / Path(path).stem / "index.html").read_text(encoding="utf-8")
        assert "<img" in page and "arithmatex" not in page
    listed = (site / "results" / "tables" / "index.html").read_text(encoding="utf-8")
    assert len(tables()) > 30 and listed.count("<table>") >= len(tables())


@pytest.mark.long
def test_committed_pages_of_the_catalog_are_current() -> None:
    generated = pages()
    committed = {name: (DOCS / "catalog" / name).read_text(encoding="utf-8") for name in generated}
    assert committed == generated, "run `make docs` and commit docs/catalog"


def test_links_lead_to_their_places_on_the_site() -> None:
    text = "[a](../../experiments/results/rl/README.md#regret) `[b](c.md)` [d](../../experiments/results/rl/table.md)"
    shown = site_links(text, "docs/guides/page.md", "guides/page.md")
    assert shown == "[a](../results/rl.md#regret) `[b](c.md)` [d](../results/tables.md#rl-table)"
    file = "../../experiments/results/rl/runs.csv"
    assert site_links(f"[x]({file})", "docs/guides/page.md", "guides/page.md") == (
        "[x](../repository/experiments/results/rl/runs.csv)"
    )
    assert list(downloads(f"[x]({file}) [y](other.md)", "docs/guides/page.md")) == [file.removeprefix("../../")]


def test_a_link_to_a_missing_file_is_an_error() -> None:
    with pytest.raises(BrokenLinkError, match=r"README\.md links to missing\.csv, but the repository has no file"):
        site_links("[x](missing.csv)", "README.md", "index.md")


def test_formulas_need_no_script() -> None:
    html = with_mathml(r'<div class="arithmatex">\[a &lt; b\]</div>')
    assert html.startswith("<math") and "&#x0003C;" in html and "arithmatex" not in html


def test_a_notebook_begins_with_its_title_and_keeps_its_outputs() -> None:
    path = notebooks()[0]
    text, pictures = notebook_page(ROOT / path, path)
    assert text.startswith("# 1 ") and path in text.splitlines()[3]
    assert set(re.findall(r"!\[\w+\]\((\S+)\)", text)) == set(pictures)
    assert "```text\n" in text and '<details markdown="1">' in text
    assert not re.search(r"^```\w+\n\s*^```$", text, flags=re.MULTILINE)


def test_examples_of_docstrings_are_fenced() -> None:
    assert fenced("Add.\n\n>>> 1 + 1\n2\n\nMore.") == "Add.\n\n```python\n>>> 1 + 1\n2\n```\n\nMore."


def test_papers_of_peft_belong_to_modules() -> None:
    assert set(PEFT) <= set(PEFT_METHODS)
