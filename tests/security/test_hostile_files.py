"""No file that the package reads runs code, leads out of its folder, or fills memory, disk or time."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from experiments.benchmarks.hostile.case import HostileFile, try_file
from experiments.benchmarks.hostile.valid_files import ValidFiles
from experiments.benchmarks.hostile_files import HOSTILE_FILES

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def valid_files(tmp_path_factory: pytest.TempPathFactory) -> ValidFiles:
    return ValidFiles(tmp_path_factory.mktemp("valid_files"))


@pytest.mark.parametrize("case", HOSTILE_FILES, ids=lambda case: f"{case.kind}: {case.name}")
def test_a_hostile_file_is_refused_or_harmless(case: HostileFile, valid_files: ValidFiles, tmp_path: Path) -> None:
    outcome = try_file(case, tmp_path / "case", valid_files)
    assert outcome.expected, outcome


def test_every_case_has_a_name_of_its_own() -> None:
    names = Counter((case.kind, case.name) for case in HOSTILE_FILES)
    assert max(names.values()) == 1 and len(names) > 150
