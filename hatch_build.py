"""Metadata that depends on the repository's address: the project's URLs and the README that a package index shows."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

REPOSITORY_VARIABLE = "CLS_ENV_REPOSITORY"
"""Environment variable with the repository's address, such as https://github.com/OWNER/cls-env."""
_LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]]*)\]\((?P<target>[^)\s]+)\)")
_STANDS_ALONE = ("https://", "http://", "mailto:", "#")


class RepositoryMetadata(MetadataHookInterface):
    """The hook that hatchling calls for each build."""

    PLUGIN_NAME = "custom"

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the fields `urls` and `readme`.

        Raises:
            ValueError: The repository's address is not an https address.
        """
        address, tag = repository_address(os.environ), f"v{metadata['version']}"
        readme = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        text = with_addresses(readme, address, tag) if address else without_relative_links(readme)
        metadata["readme"] = {"content-type": "text/markdown", "text": text}
        metadata["urls"] = self.config["urls"] | (repository_urls(address, tag) if address else {})


def repository_address(environment: os._Environ[str] | dict[str, str]) -> str:
    """The address in the environment, without a slash or `.git` at its end, or an empty text if there is none.

    Raises:
        ValueError: It is not an https address.
    """
    address = environment.get(REPOSITORY_VARIABLE, "").strip()
    if address and not re.fullmatch(r"https://[^\s/]+/\S+", address):
        raise ValueError(
            f"{REPOSITORY_VARIABLE} is {address!r}, and must be an address such as https://github.com/OWNER/cls-env"
        )
    return address.rstrip("/").removesuffix(".git")


def repository_urls(address: str, tag: str) -> dict[str, str]:
    """The project's URLs in a repository."""
    return {
        "Repository": address,
        "Documentation": f"{address}/tree/{tag}/docs",
        "Changelog": f"{address}/blob/{tag}/CHANGELOG.md",
        "Issues": f"{address}/issues",
    }


def with_addresses(readme: str, address: str, tag: str) -> str:
    """The README with its relative links and images as links to the files of a tag in the repository."""

    def absolute(link: re.Match[str]) -> str:
        image, text, target = link["image"], link["text"], link["target"]
        if not target.startswith(_STANDS_ALONE):
            target = f"{address}/{'raw' if image else 'blob'}/{tag}/{target}"
        return f"{image}[{text}]({target})"

    return _LINK.sub(absolute, readme)


def without_relative_links(readme: str) -> str:
    """The README with the text of its relative links in place of the links, and without relative images."""

    def plain(link: re.Match[str]) -> str:
        if link["target"].startswith(_STANDS_ALONE):
            return link[0]
        return "" if link["image"] else link["text"]

    return _LINK.sub(plain, readme)
