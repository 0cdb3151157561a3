"""Other libraries' PPO on the environments; each is skipped where it is not installed."""

from __future__ import annotations

import importlib
import sys

import pytest

from experiments.interop import cleanrl_ppo
from experiments.interop.trial import TrialSettings

pytestmark = pytest.mark.long

CHANCE = 0.02
EXAMPLES = {"torchrl_ppo": "torchrl", "tianshou_ppo": "tianshou", "rllib_ppo": "rllib"}
EXTRAS = EXAMPLES | {"sb3": "sb3"}
MODULES = {"rllib": "ray", "sb3": "sb3_contrib"}


def test_ppo_in_one_file_learns() -> None:
    result = cleanrl_ppo.train(TrialSettings(steps=768))
    assert result.steps == 768
    assert result.accuracy > 5 * CHANCE


@pytest.mark.slow
@pytest.mark.parametrize("example", ["torchrl_ppo", "tianshou_ppo", "rllib_ppo"])
def test_another_librarys_ppo_learns(example: str) -> None:
    module = pytest.importorskip(f"experiments.interop.{example}")
    result = module.train(TrialSettings(steps=768))
    assert result.steps == 768
    assert result.accuracy > 5 * CHANCE


@pytest.mark.parametrize(
    "algorithm", ["ppo", *(pytest.param(name, marks=pytest.mark.slow) for name in ("maskable-ppo", "a2c", "dqn"))]
)
def test_sb3s_algorithms_learn(algorithm: str) -> None:
    module = pytest.importorskip("experiments.interop.sb3")
    result = module.train(module.Sb3Settings(steps=768, algorithm=algorithm))
    assert result.steps == 768
    assert result.accuracy > 3 * CHANCE


def test_ppo_in_one_file_is_repeatable() -> None:
    first, second = (cleanrl_ppo.train(TrialSettings(steps=256)) for _ in range(2))
    assert first.accuracy == second.accuracy


@pytest.mark.parametrize("example", ["torchrl_ppo", "tianshou_ppo"])
def test_another_librarys_ppo_is_repeatable(example: str) -> None:
    module = pytest.importorskip(f"experiments.interop.{example}")
    first, second = (module.train(TrialSettings(steps=256)) for _ in range(2))
    assert first.accuracy == second.accuracy


@pytest.mark.parametrize(("example", "extra"), EXTRAS.items())
def test_without_its_library_an_example_says_what_to_install(
    example: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, f"experiments.interop.{example}", raising=False)
    monkeypatch.setitem(sys.modules, MODULES.get(extra, extra), None)
    with pytest.raises(ModuleNotFoundError, match=rf"is not installed: pip install 'cls-env\[{extra}\]'"):
        importlib.import_module(f"experiments.interop.{example}")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_envs": 0}, "num_envs must be a whole number of at least 1, not 0"),
        ({"minibatch_size": 0}, "minibatch_size must be a whole number of at least 1, not 0"),
        ({"rollout_size": 100}, "rollout_size 100 is no multiple of the 32 environments"),
        ({"steps": 64}, "steps 64 are less than one rollout of 128: nothing would be learned"),
    ],
)
def test_settings_that_teach_nothing_are_refused(values: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TrialSettings(**values)
