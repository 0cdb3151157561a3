"""Runs share a GPU as long as that raises the number of images a second."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.config.entry import Entry
from experiments.config.settings import RunConfig
from experiments.execution import sharing
from experiments.execution.engines import local
from experiments.execution.engines.local import LocalEngine
from experiments.execution.run_all import run_all
from experiments.execution.sharing import SECONDS, SharedGPU


def settled_at(rates: Mapping[int, float], most: int = 8, memory: int = 8, late: float = 0.0) -> int:
    """The number of runs, if so many have these rates together and memory holds so many.

    Args:
        late: Seconds after which the last of the allowed runs reports for the first time.
    """
    now = 0.0
    shared = SharedGPU(most, lambda runs: runs < memory, lambda: now)
    while not shared.settled:
        began, runs = now, shared.allowed
        while shared.allowed == runs and not shared.settled:
            now += 1.0
            reporting = range(runs if now - began > late else runs - 1)
            for worker in reporting:
                shared.note(worker, round(rates[runs] / len(reporting)))
            assert now < 1e4
    return shared.allowed


def test_one_more_is_allowed_as_long_as_it_pays() -> None:
    assert settled_at({1: 1000, 2: 1900, 3: 2500, 4: 2550}) == 4  # as fast as three; one more would not pay
    assert settled_at({1: 1000, 2: 1900, 3: 1800}) == 2
    assert settled_at({1: 1000, 2: 900}) == 1


def test_runs_that_have_not_begun_do_not_count() -> None:
    assert settled_at({1: 1000, 2: 1900, 3: 1800}, late=5 * SECONDS) == 2


def test_memory_and_the_number_of_runs_are_limits() -> None:
    rising = {runs: 1000.0 * runs for runs in range(1, 9)}
    assert settled_at(rising, memory=3) == 3
    assert settled_at(rising, most=2) == 2
    assert SharedGPU(1, lambda runs: True).settled


@pytest.mark.slow
def test_all_runs_are_executed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[SharedGPU] = []

    def shared(most: int, fits: object) -> SharedGPU:
        made.append(SharedGPU(most, lambda runs: True))
        return made[0]

    monkeypatch.setattr(sharing, "SECONDS", 0.0)
    monkeypatch.setattr(local, "SharedGPU", shared)
    monkeypatch.setattr(local, "uses_gpu", lambda config: True)
    monkeypatch.setattr(local, "memory_check", lambda: None)
    monkeypatch.setattr(local, "fitting_workers", lambda config: 2)
    config = RunConfig(dataset="digits", num_tasks=2, epochs=2, max_per_class=100, batch_size=100, device="cpu")
    entries = [Entry("clean", "aepg", replace(config, seed=seed)) for seed in range(2)]
    runs = run_all(entries, tmp_path)
    assert runs["seed"].tolist() == [0, 1] and runs["final_accuracy"].notna().all()
    assert made[0].settled or made[0].allowed > 1  # it has judged
    assert run_all(entries, tmp_path, LocalEngine(1)).equals(runs)
