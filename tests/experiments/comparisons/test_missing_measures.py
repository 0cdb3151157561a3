from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest

from experiments.comparisons.compare import warn_of_missing_measures
from experiments.runs.measures import columns


def test_measure_that_finished_runs_lack_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, metrics in {"old": {"final_accuracy": 0.5}, "new": {"final_accuracy": 0.5, "forgetting": None}}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "metrics.json").write_text(json.dumps(metrics))
    runs = pd.DataFrame({"folder": [str(tmp_path / name) for name in ("old", "new")]})
    warn_of_missing_measures(runs, columns("final_accuracy", "forgetting", "validation_accuracy"))
    printed = capsys.readouterr().err
    assert printed.count("warning") == 1
    assert "1 of 2 runs finished before the measure forgetting existed" in printed
