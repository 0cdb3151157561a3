"""What a search varies."""

from __future__ import annotations

import pytest

from experiments.tuning.space import Point, space_of

RATES = (1e-3, 1e-1)


def test_rates_are_spaced_by_ratios() -> None:
    points = space_of("ce", RATES).grid(5)
    assert points == [Point("ce", rate) for rate in (0.001, 0.00316, 0.01, 0.0316, 0.1)]
    assert space_of("ce", RATES).grid(1) == [Point("ce", 0.01)]


def test_an_argument_may_be_a_range() -> None:
    space = space_of("gce:q=0.2..0.8", RATES)
    assert [point.objective for point in space.grid(9)[:3]] == ["gce:q=0.2", "gce:q=0.5", "gce:q=0.8"]
    assert space.point({"learning_rate": 0.0123456, "q": 0.55555}) == Point("gce:q=0.556", 0.0123)


def test_whole_numbers_stay_whole_and_other_arguments_fixed() -> None:
    space = space_of("reinforce:samples=1..4,baseline=true", RATES)
    assert space.point({"learning_rate": 0.01, "samples": 2.6}).objective == "reinforce:baseline=true,samples=3"


def test_a_grid_has_as_many_trials_for_each_objective() -> None:
    assert len(space_of("gce:q=0.2..0.8", RATES).grid(4)) == len(space_of("ce", RATES).grid(4)) == 4
    with pytest.raises(
        ValueError, match=r"a grid of 2 settings \(learning_rate, q\) does not have 8 trials: .* 9 or 16"
    ):
        space_of("gce:q=0.2..0.8", RATES).grid(8)
    with pytest.raises(ValueError, match="the ranges of learning_rate, samples have fewer than 16 different values"):
        space_of("reinforce:samples=1..2", RATES).grid(16)


@pytest.mark.parametrize("objective", ["gce:q=0.8..0.2", "gce:q=1..1", "gce:q=0.3..1e400"])
def test_a_range_goes_upwards(objective: str) -> None:
    with pytest.raises(ValueError, match="q must go from a lower to a higher value"):
        space_of(objective, RATES)
