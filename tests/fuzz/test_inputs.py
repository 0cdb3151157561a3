"""Any input is accepted, or refused by an error that the documentation names: in one line that names the argument."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from experiments.benchmarks.fuzzing import try_inputs
from experiments.benchmarks.fuzzing.attempts import Attempt, judge
from experiments.benchmarks.fuzzing.command_lines import lines, run_line
from experiments.benchmarks.fuzzing.constructors import TARGETS, Target, constructed
from experiments.benchmarks.fuzzing.specifications import added, combined, named
from experiments.benchmarks.fuzzing.tally import quiet_place

pytestmark = pytest.mark.long

EXAMPLES = 80


def check(inputs: some.SearchStrategy[Attempt], examples: int = EXAMPLES) -> None:
    """Draw inputs and judge them; Hypothesis shows the smallest one that is a fault."""

    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs)
    def judged(attempt: Attempt) -> None:
        verdict = judge(attempt)
        assert verdict.outcome != "undocumented", verdict.account

    with quiet_place():
        judged()


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_arguments_of_constructors(target: Target) -> None:
    check(constructed(target))


def test_specifications() -> None:
    check(named(), 3 * EXAMPLES)


def test_methods_with_modules_and_objectives() -> None:
    check(combined())


def test_peft_modules_in_a_vit() -> None:
    check(added())


def test_command_lines() -> None:
    check(lines())


def test_inputs_are_judged_and_the_same_for_a_seed() -> None:
    verdicts = try_inputs(40, seed=0)
    assert len(verdicts) == 40 and {verdict.outcome for verdict in verdicts} == {"accepted", "refused"}
    again = [(verdict.outcome, verdict.target) for verdict in try_inputs(40, seed=0)]
    assert again == [(verdict.outcome, verdict.target) for verdict in verdicts]


def failing(error: Exception) -> Any:
    def call() -> None:
        raise error

    return call


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (ValueError("batch_size must be positive"), "refused"),
        (ValueError("--batch-size must be positive"), "refused"),
        (ValueError("something must be positive"), "undocumented"),
        (ValueError("batch_size must be\npositive"), "undocumented"),
        (ValueError(""), "undocumented"),
        (TypeError("batch_size must be positive"), "undocumented"),
    ],
    ids=repr,
)
def test_verdicts(error: Exception, outcome: str) -> None:
    assert judge(Attempt("EPG", "(batch_size=-1)", ("batch_size",), failing(error))).outcome == outcome


def test_a_line_that_fails_is_a_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(arguments: Any = None) -> int:
        return 1

    monkeypatch.setattr("experiments.benchmarks.fuzzing.command_lines.main", fail)
    with pytest.raises(AssertionError, match="exit code 1"):
        run_line(["run"])
