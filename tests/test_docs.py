"""What the documents name is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_tests_named_for_reported_faults_exist() -> None:
    """A cell names the first test with its file, and further ones of the same file by their names alone."""
    text = (ROOT / "docs" / "reported_faults.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if re.match(r"\| \d+ \|", line)]
    named = 0
    for row in rows:
        cells = [cell.strip() for cell in row.strip("| ").split(" | ")]
        file = ""
        for reference in re.findall(r"`((?:tests/\S+::)?test_\w+)`", row):
            file = reference.partition("::")[0] if "::" in reference else file
            name = reference.rpartition("::")[2]
            assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), reference
            named += 1
        assert cells[4].startswith("PASS") or file, row
    assert len(rows) == 48 and named > 60
