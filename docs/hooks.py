"""MkDocs hooks: pages from files outside `docs`, their links, and formulas."""

from __future__ import annotations

from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from site_source.links import BrokenLinkError, downloads, site_links
from site_source.mathematics import with_mathml
from site_source.notebooks import notebook_page
from site_source.sources import DOWNLOADS, PAGES, ROOT, TABLES, notebooks, site_path, tables_page

WIDE = {
    f"catalog/{name}.md"
    for name in ("objectives", "peft_modules", "methods", "algorithms", "datasets", "studies", "measures")
}
"""Pages of one wide table, which gets the room of the page's table of contents."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that lie outside `docs`, and the files to which pages link."""
    for path, place in PAGES.items():
        if path != "README.md":
            files.append(File.generated(config, place, abs_src_path=str(ROOT / path)))
    files.append(File.generated(config, TABLES, content=tables_page()))
    for path in notebooks():
        place = _site_page(path)
        text, pictures = notebook_page(ROOT / path, path)
        files.append(File.generated(config, place, content=text))
        for name, content in pictures.items():
            files.append(File.generated(config, f"notebooks/{name}", content=content))
    linked = {path for file in files.documentation_pages() for path in _downloads(file)}
    for path in sorted(linked):
        files.append(File.generated(config, f"{DOWNLOADS}/{path}", abs_src_path=str(ROOT / path)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: Any) -> str:
    """Let links to files of the repository lead to their places on the site."""
    if page.file.src_uri in WIDE:
        page.meta["hide"] = ["toc"]
    if page.file.src_uri == TABLES or page.file.src_uri.startswith("api/"):
        return markdown
    return site_links(markdown, _source(page.file), page.file.src_uri)


def on_page_content(html: str, **_: Any) -> str:
    """Turn formulas into MathML."""
    return with_mathml(html)


def _site_page(path: str) -> str:
    place = site_path(path)
    assert place is not None
    return place[0]


def _source(file: File) -> str:
    """The repository's path of a page."""
    sources = {_site_page(path): path for path in (*PAGES, *notebooks()) if path != "README.md"}
    return sources.get(file.src_uri, f"docs/{file.src_uri}")


def _downloads(file: File) -> list[str]:
    source = _source(file)
    if file.src_uri == TABLES or file.src_uri.startswith("api/"):
        return []
    try:
        return list(downloads(file.content_string, source))
    except BrokenLinkError as error:
        raise PluginError(str(error)) from error
