"""What the documents name is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent


def named_tests(row: str) -> int:
    """Check that the tests that a row names exist: the first one with its file, others of that file by their names."""
    file, references = "", re.findall(r"`((?:tests/\S+::)?test_\w+)`", row)
    for reference in references:
        file = reference.partition("::")[0] if "::" in reference else file
        name = reference.rpartition("::")[2]
        assert f"def {name}(" in (ROOT / file).read_text(encoding="utf-8"), reference
    return len(references)


def rows_of(document: str, number: str) -> list[str]:
    text = (ROOT / "docs" / "project" / document).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if re.match(rf"\| {number} \|", line)]


def test_tests_named_for_reported_faults_exist() -> None:
    rows = rows_of("reported_faults.md", r"\d+")
    named = {row: named_tests(row) for row in rows}
    assert all(count or row.split(" | ")[4].startswith("PASS") for row, count in named.items())
    assert len(rows) == 48 and sum(named.values()) > 60


def test_tests_named_for_the_science_review_exist() -> None:
    rows = rows_of("science_review.md", r"E\d+")
    assert len(rows) == 13 and sum(map(named_tests, rows)) > 20
