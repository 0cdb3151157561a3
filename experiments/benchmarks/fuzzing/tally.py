"""Many inputs, and how many of them were accepted, refused, or neither."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from tempfile import TemporaryDirectory
from unittest import mock

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as some
from hypothesis.configuration import set_hypothesis_home_dir

from experiments.benchmarks.fuzzing.attempts import Attempt, Outcome, Verdict, judge
from experiments.benchmarks.fuzzing.command_lines import lines, without_measuring
from experiments.benchmarks.fuzzing.constructors import TARGETS, constructed
from experiments.benchmarks.fuzzing.specifications import added, combined, named

OUTCOMES: tuple[Outcome, ...] = ("accepted", "refused", "undocumented")


def attempts() -> some.SearchStrategy[Attempt]:
    """Inputs of all kinds; few command lines and PEFT modules in a ViT, which take the longest."""
    kinds = [lines()] * 2 + [added()] + [named()] * 4 + [combined()] + [constructed(target) for target in TARGETS]
    return some.sampled_from(kinds).flatmap(lambda kind: kind)


def try_inputs(count: int, seed: int) -> list[Verdict]:
    """Try inputs of all kinds, and judge what comes of each.

    Args:
        count: Number of inputs, at least 1.
        seed: Determines the inputs.
    """
    return judge_inputs(attempts(), count, seed)


def judge_inputs(inputs: some.SearchStrategy[Attempt], count: int, first_seed: int) -> list[Verdict]:
    """Draw inputs and judge them.

    Args:
        inputs: Draws an attempt.
        count: Number of inputs.
        first_seed: Determines them.
    """
    found: list[Verdict] = []
    with quiet_place():
        for attempt in range(count):  # one call of Hypothesis can draw fewer inputs than requested
            seed(first_seed + attempt)(_collector(inputs, count - len(found), found))()
            if len(found) >= count:
                break
    return found[:count]


def _collector(inputs: some.SearchStrategy[Attempt], count: int, found: list[Verdict]) -> Callable[[], None]:
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs)
    def collect(attempt: Attempt) -> None:
        found.append(judge(attempt))

    return collect


@contextmanager
def quiet_place() -> Iterator[None]:
    """Dry runs without measurements, caches in a folder of their own, no warnings, and nothing printed."""
    with TemporaryDirectory() as folder, without_measuring(), warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        places = {"CLS_ENV_CACHE": f"{folder}/cache", "CLS_ENV_DATA": f"{folder}/data", "HF_HUB_OFFLINE": "1"}
        with mock.patch.dict(os.environ, places):
            set_hypothesis_home_dir(f"{folder}/hypothesis")
            yield
