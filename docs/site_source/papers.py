"""Papers: those that docstrings name, and those of parts that come from other packages."""

from __future__ import annotations

import re
from inspect import cleandoc

PEFT = {
    "beft": "2509.15974",
    "boft": "2311.06243",
    "c3a": "2407.19342",
    "delora": "2503.18225",
    "dora": "2402.09353",
    "fourierft": "2405.03003",
    "hra": "2405.17484",
    "ia3": "2205.05638",
    "ln-tuning": "2312.11420",
    "loha": "2108.06098",
    "lokr": "2309.14859",
    "miss": "2409.15371",
    "oft": "2306.07280",
    "peanut": "2410.01870",
    "randlora": "2502.00987",
    "road": "2409.00119",
    "supertuning": "2607.09287",
    "tinylora": "2602.04118",
    "unilora": "2506.00799",
    "vblora": "2405.15179",
    "vera": "2310.11454",
}
"""Numbers on arXiv of the papers that peft names in its source, by PEFT module."""
_ARXIV = re.compile(r"(?:https?://arxiv\.org/abs/|\barXiv )(\d{4}\.\d{4,5})(?:, (\d{4}\.\d{4,5}))?\.?")


def arxiv(number: str) -> str:
    """A link to a paper on arXiv.

    >>> arxiv("2602.14078")
    '[arXiv 2602.14078](https://arxiv.org/abs/2602.14078)'
    """
    return f"[arXiv {number}](https://arxiv.org/abs/{number})"


def source(docstring: str) -> str:
    r"""The source that a docstring names, up to its first paper, with links.

    >>> source("Add.\n\nSource: Lin et al., ICCV 2017, https://arxiv.org/abs/1708.02002. Here it differs.")
    'Lin et al., ICCV 2017, [arXiv 1708.02002](https://arxiv.org/abs/1708.02002)'
    """
    paragraph = re.search(r"\bSources?: (.*?)(?:\n\n|\Z)", cleandoc(docstring), re.DOTALL)
    if not paragraph:
        return ""
    text = " ".join(paragraph[1].split())
    found = _ARXIV.search(text)
    if not found:
        return re.split(r"(?<=[a-z\d)])\. (?=[A-Z])", text)[0].rstrip(".")
    links = ", ".join(arxiv(number) for number in found.groups() if number)
    return text[: found.start()] + links + (")" if text[found.end() :].startswith(")") else "")
