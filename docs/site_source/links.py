"""Links of the repository's Markdown files, as links of the site."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from posixpath import dirname, normpath, relpath

from site_source.sources import DOWNLOADS, site_path

LINK = re.compile(r"(?P<before>\]\()(?P<target>[^)\s#:]+)(?P<anchor>#[^)\s]*)?(?P<after>\))")
"""A link to another file. Links with a scheme, such as `https:`, and those within a page do not match."""
CODE = re.compile(r"^( *)```.*?^\1```[ ]*$|`[^`\n]+`", re.DOTALL | re.MULTILINE)


class BrokenLinkError(ValueError):
    """A page links to a file that the repository does not have."""


def site_links(text: str, source: str, page: str) -> str:
    """The text of a page whose links to files of the repository lead to their places on the site.

    Args:
        text: Markdown. Code is left as it is.
        source: Path of the file that holds the text, relative to the repository's root.
        page: Path of the page on the site.

    Raises:
        BrokenLinkError: A link leads to no file of the repository.
    """

    def replace(match: re.Match[str]) -> str:
        place, anchor = _place(match["target"], source)
        target = match["anchor"] or (f"#{anchor}" if anchor else "")
        return f"{match['before']}{relpath(place, dirname(page) or '.')}{target}{match['after']}"

    return _outside_code(text, lambda part: LINK.sub(replace, part))


def downloads(text: str, source: str) -> Iterator[str]:
    """Repository paths of the files that a page links to and that are no pages.

    Raises:
        BrokenLinkError: As `site_links`.
    """
    for match in LINK.finditer(CODE.sub("", text)):
        place, _ = _place(match["target"], source)
        if place.startswith(f"{DOWNLOADS}/"):
            yield place.removeprefix(f"{DOWNLOADS}/")


def _place(target: str, source: str) -> tuple[str, str]:
    path = normpath(f"{dirname(source)}/{target}".lstrip("/"))
    place = site_path(path)
    if place is None:
        raise BrokenLinkError(f"{source} links to {target}, but the repository has no file {path}")
    return place


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    """Change the parts of a Markdown text that are not code."""
    parts, end = [], 0
    for code in CODE.finditer(text):
        parts += [change(text[end : code.start()]), code[0]]
        end = code.end()
    return "".join([*parts, change(text[end:])])
