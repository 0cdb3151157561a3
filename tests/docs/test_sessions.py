"""How-to pages that are followed from top to bottom: what they say to type works."""

from __future__ import annotations

from pathlib import Path

import pytest

from cls_env.__main__ import main
from tests.docs.guides import SESSIONS, blocks, commands
from tests.slow_cases import slow_but

pytestmark = pytest.mark.long


@pytest.mark.parametrize("name", slow_but(["continue_model", "export"], SESSIONS))
def test_a_page_can_be_followed(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    page, ran = SESSIONS[name], 0
    for language, code in blocks(page):
        if language == "python":
            exec(compile(code, page.name, "exec"), {"__name__": "__main__"})
        for words in commands(code) if language == "bash" else ():
            assert main(words) == 0, words
            ran += 1
    assert ran >= 2
