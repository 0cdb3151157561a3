"""An environment of the images and the order of a run."""

from __future__ import annotations

import gymnasium as gym
import pytest

from experiments.config.builders import make_stream
from experiments.config.settings import RunConfig
from experiments.config.validation import check

pytestmark = pytest.mark.long


@pytest.mark.parametrize("seed", [0, 3])
def test_the_stream_of_a_run_is_made_by_its_seeds(seed: int) -> None:
    seeds = RunConfig(seed=seed).seeds
    env = gym.make("cls_env/SplitGlyphs-v0", seed=seeds.stream, dataset_options={"seed": seeds.images, "margin": 0})
    ours, theirs = env.unwrapped.stream, make_stream(check(RunConfig(seed=seed)))  # type: ignore[attr-defined]
    assert ours.fingerprint == theirs.fingerprint
    assert ours.dataset.images_sha256 == theirs.dataset.images_sha256
    plain = gym.make("cls_env/SplitGlyphs-v0", seed=seed).unwrapped.stream  # type: ignore[attr-defined]
    assert plain.fingerprint != theirs.fingerprint
