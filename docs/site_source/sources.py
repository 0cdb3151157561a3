"""Which files of the repository become pages of the site, and where on the site they are."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
RESULTS = "experiments/results"
PAGES = {
    "README.md": "index.md",
    "CHANGELOG.md": "project/changelog.md",
    "CONTRIBUTING.md": "project/contributing.md",
    "SECURITY.md": "project/security.md",
    "cls_env/datasets/photos/LICENSE.md": "project/photos_license.md",
    f"{RESULTS}/benchmarks/README.md": "results/benchmarks.md",
    f"{RESULTS}/photos/README.md": "results/photos.md",
    f"{RESULTS}/rl/README.md": "results/rl.md",
    f"{RESULTS}/studies/README.md": "results/studies.md",
}
"""Repository paths of pages outside `docs`, and their paths on the site. The README stands for the home page."""
TABLES = "results/tables.md"
"""The page with all tables of `experiments/results`."""
NOTEBOOKS = "experiments/notebooks"
PICTURES = (".png", ".jpg")
"""Endings of pictures that a notebook holds, which the site has as files."""
DOWNLOADS = "repository"
"""Folder on the site for other files of the repository, to which pages link."""


def tables() -> list[str]:
    """Repository paths of the tables in Markdown, in the order of their folders."""
    files = (ROOT / RESULTS).rglob("*.md")
    return sorted(path.relative_to(ROOT).as_posix() for path in files if path.name != "README.md")


def notebooks() -> list[str]:
    """Repository paths of the notebooks, in the order in which they are read."""
    return sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / NOTEBOOKS).glob("*.ipynb"))


def anchor(table: str) -> str:
    """The anchor of a table on the page of tables.

    >>> anchor("experiments/results/rl/rate-2e-3/table.md")
    'rl-rate-2e-3-table'
    """
    return re.sub(r"[/_]", "-", table.removeprefix(f"{RESULTS}/").removesuffix(".md"))


def site_path(path: str) -> tuple[str, str] | None:
    """Where a file of the repository is on the site.

    Args:
        path: Relative to the repository's root.

    Returns:
        Path on the site and anchor, which may be empty; None if the repository has no such file.
    """
    if path in PAGES:
        return PAGES[path], ""
    if path.startswith("docs/"):
        return path.removeprefix("docs/"), ""
    if path.startswith(f"{NOTEBOOKS}/") and path.endswith(".ipynb"):
        return f"notebooks/{Path(path).stem}.md", ""
    if path.startswith(f"{NOTEBOOKS}/") and path.endswith(PICTURES):
        return f"notebooks/{Path(path).name}", ""
    if path.startswith(f"{RESULTS}/") and path.endswith(".md"):
        return TABLES, anchor(path)
    if (ROOT / path).is_file():
        return f"{DOWNLOADS}/{path}", ""
    return None


def tables_page() -> str:
    """All tables, a section each. The page's links are those of the tables, which have none."""
    parts = ["# All tables", "The tables of the committed results, by the folder that holds them and their CSV files."]
    folder = ""
    for path in tables():
        place, _, name = path.removeprefix(f"{RESULTS}/").rpartition("/")
        if place != folder:
            parts.append(f"## {place}")
            folder = place
        text = (ROOT / path).read_text(encoding="utf-8").strip()
        title, heading, rest = text.partition("\n")
        if title.startswith("# "):
            text = f"*{title[2:]}*{heading}{rest}"
        parts.append(f"### {name.replace('_', ' ')} {{: #{anchor(path)} }}\n\n{text}")
    return "\n\n".join(parts) + "\n"
