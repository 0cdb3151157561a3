"""Arguments of constructors: of environments, streams, agents and configurations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cache, partial
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import InvalidAction
from hypothesis import strategies as some

from agents import EPG, LinearBandit, PolicyConfig, Reinforce, ValueBandit
from agents.algorithms.exploration import EXPLORATIONS
from agents.methods import METHODS
from agents.objectives import OBJECTIVES
from agents.peft_modules import PEFT_MODULES
from cls_env import (
    ClassIncrementalEnv,
    ClassIncrementalVectorEnv,
    ImageDataset,
    TaskSchedule,
    TaskStream,
    cost_sensitive_rewards,
)
from cls_env.rewards.noise import REWARD_NOISES
from cls_env.specification import quoted
from cls_env.tasks.label_noise import NOISE_TYPES
from cls_env.tasks.scenarios import SCENARIOS
from experiments.benchmarks.fuzzing.attempts import Attempt
from experiments.benchmarks.fuzzing.specifications import specifications
from experiments.benchmarks.fuzzing.values import SMALL, anything, numbers
from experiments.config.settings import RunConfig
from experiments.config.validation import check

CLASSES = 6
Arguments = dict[str, some.SearchStrategy[Any]]
"""Plausible values by the name of an argument."""


@dataclass(frozen=True)
class Target:
    """A constructor, or another function of named arguments.

    Attributes:
        name: For messages.
        make: Called with the arguments.
        arguments: Plausible values of each.
        documented: The errors by which it refuses.
    """

    name: str
    make: Callable[..., object]
    arguments: Arguments
    documented: tuple[type[Exception], ...] = (ValueError,)


@cache
def small_dataset() -> ImageDataset:
    """Black images of 4 x 4 pixels, four of each class for training and two for the test."""
    train, test = np.arange(4 * CLASSES) % CLASSES, np.arange(2 * CLASSES) % CLASSES
    black = np.zeros((len(train), 4, 4, 3), dtype=np.uint8)
    return ImageDataset("small", black, train, black[: len(test)], test, tuple("abcdef"))


@cache
def _small_env() -> gym.vector.VectorEnv[Any, Any, Any]:
    return ClassIncrementalVectorEnv(2, TaskStream(small_dataset(), 3))


def _use(env: Any) -> None:
    """An environment that was accepted shows images and takes actions."""
    env.reset(seed=0)
    env.step(env.action_space.sample() * 0)


def _single(dataset: Any = None, **arguments: Any) -> None:
    _use(ClassIncrementalEnv(small_dataset() if dataset is None else dataset, **arguments))


def _vector(dataset: Any = None, num_envs: Any = 2, **arguments: Any) -> None:
    _use(ClassIncrementalVectorEnv(num_envs, small_dataset() if dataset is None else dataset, **arguments))


def _stream(dataset: Any = None, **arguments: Any) -> None:
    TaskStream(small_dataset() if dataset is None else dataset, **arguments).describe()


def _reset(seed: Any = None, options: Any = None) -> None:
    _small_env().reset(seed=seed, options=options)


def _step(action: Any) -> None:
    env = ClassIncrementalEnv(TaskStream(small_dataset(), 3))
    env.reset(seed=0)
    env.step(action)


def _agent(kind: type[Any], **arguments: Any) -> None:
    """An agent whose arguments are checked; without a policy, which takes longer."""
    kind(**({"policy": "ViTPolicy", "env": _small_env(), "device": "cpu"} | arguments), _init_setup_model=False)


def _run(**arguments: Any) -> None:
    """A run's configuration, checked; its folder has a name."""
    config = RunConfig(**arguments)
    check(config)
    assert config.name


_UNIT = some.floats(0, 1)
_TASKS = some.integers(0, 2) | some.lists(some.integers(0, 2), max_size=3)
_FLAG = some.booleans()
STREAM: Arguments = {
    "dataset": some.none(),
    "num_tasks": some.integers(1, 6) | some.lists(some.integers(1, 4), max_size=4),
    "scenario": some.sampled_from(sorted(SCENARIOS)),
    "init_classes": some.integers(1, 6),
    "increment": some.integers(1, 6),
    "seed": some.integers(0, 2**64),
    "class_order": some.just("natural") | some.permutations(range(CLASSES)),
    "domains": some.lists(some.sampled_from(["identity", "rotate-90", "rotate-180"]), max_size=2),
    "validation_fraction": _UNIT,
    "max_per_class": SMALL,
    "imbalance_factor": some.floats(1, 50),
    "label_noise": _UNIT | some.just(np.eye(CLASSES)),
    "noise_type": some.sampled_from(sorted(NOISE_TYPES)),
    "noisy_validation": _FLAG,
    "dataset_options": some.dictionaries(some.text(max_size=2), SMALL, max_size=1),
}
ENVIRONMENT: Arguments = STREAM | {
    "task": _TASKS,
    "split": some.sampled_from(["train", "validation", "test"]),
    "feedback": some.sampled_from(["full", "bandit"]),
    "reward_matrix": some.just(np.eye(CLASSES)) | some.just(lambda names: np.eye(len(names))),
    "reward_noise": specifications(REWARD_NOISES),
    "abstain_reward": numbers(),
    "task_schedule": SMALL | some.lists(SMALL, max_size=3),
    "task_blur": _UNIT,
    "render_mode": some.just("rgb_array"),
    "no_such": SMALL,
}
LEARNER: Arguments = {
    "policy": some.just("ViTPolicy"),
    "learning_rate": some.floats(0, 1),
    "batch_size": some.sampled_from([2, 4, 8]),
    "freeze_fraction": _UNIT,
    "crop_scale": some.tuples(_UNIT, _UNIT),
    "cache_features": _FLAG,
    "precision": some.sampled_from(["auto", "float32", "bfloat16"]),
    "compile": _FLAG,
    "device_images": some.sampled_from(["auto", "yes", "no"]),
    "micro_batch": SMALL,
    "policy_kwargs": some.just({"model": "test_vit"}),
    "stats_window_size": SMALL,
    "tensorboard_log": some.none(),
    "verbose": some.just(0),
    "seed": some.integers(0, 2**33),
    "device": some.sampled_from(["auto", "cpu"]),
    "no_such": SMALL,
}
POLICY: Arguments = {
    "model": some.sampled_from(["test_vit", "timm/test_vit", "hf-hub:timm/test_vit"]),
    "pretrained": _FLAG,
    "weights": some.none(),
    "normalization": some.sampled_from(["checkpoint", "imagenet", "half", "clip", "none"]),
    "input_size": SMALL,
    "crop_fraction": _UNIT,
    "interpolation": some.sampled_from(["bicubic", "bilinear"]),
    "peft": specifications(PEFT_MODULES),
    "blocks": some.lists(some.integers(0, 4), max_size=3),
    "method": specifications(METHODS),
    **{f"{part}_seed": some.integers(0, 2**64) for part in ("backbone", "peft", "head", "method")},
}
_OF_RUNS: Arguments = {name: strategy for name, strategy in (STREAM | LEARNER | POLICY).items() if name != "seed"}
_NOT_FUZZED = ("imports",)  # any word may be a module, which would be executed
RUN: Arguments = {
    field.name: _OF_RUNS.get(field.name, some.just(field.default))
    for field in fields(RunConfig)
    if field.name not in _NOT_FUZZED
} | {
    "dataset": some.just("glyphs"),
    "objective": specifications(OBJECTIVES),
    "options": some.just(("test_per_class=2",)),
    "seed": some.integers(0, 2**64),
}

TARGETS = (
    Target("TaskStream", _stream, {name: values for name, values in STREAM.items() if name != "no_such"}),
    Target("ClassIncrementalEnv", _single, ENVIRONMENT),
    Target("ClassIncrementalVectorEnv", _vector, ENVIRONMENT),
    Target(
        "reset",
        _reset,
        {"seed": some.integers(0, 9), "options": _TASKS.map(lambda tasks: {"task": tasks})},
        (ValueError, gym.error.Error),
    ),
    Target("step", _step, {"action": some.integers(0, 6)}, (InvalidAction,)),
    Target("TaskSchedule", TaskSchedule, {"episodes": some.lists(SMALL, max_size=3).map(tuple), "blur": _UNIT}),
    Target("cost_sensitive_rewards", cost_sensitive_rewards, {"costs": some.lists(numbers(), max_size=3)}),
    Target(
        "EPG", partial(_agent, EPG), LEARNER | {"objective": specifications(OBJECTIVES), "anneal": some.just("task")}
    ),
    Target(
        "Reinforce", partial(_agent, Reinforce), LEARNER | {"baseline": some.sampled_from(["none", "running-mean"])}
    ),
    Target("ValueBandit", partial(_agent, ValueBandit), LEARNER | {"exploration": specifications(EXPLORATIONS)}),
    Target("LinearBandit", partial(_agent, LinearBandit), LEARNER | {"rule": some.just("ucb"), "ridge": _UNIT}),
    Target("PolicyConfig", PolicyConfig, POLICY),
    Target("RunConfig", _run, RUN),
)
NEEDED = {"step": ("action",), "TaskSchedule": ("episodes",), "cost_sensitive_rewards": ("costs",)}
"""Arguments without a default."""
ALSO_NAMED = {"episodes": "task_schedule", "options": "task", "scenario": "domains", "split": "validation"}
"""What a message may name in place of an argument."""
EXPENSIVE = {"num_envs": some.integers(0, 4)}
"""Arguments whose large values, which are valid, would take all memory."""


@some.composite
def constructed(draw: some.DrawFn, target: Target) -> Attempt:
    """Up to three arguments of a constructor: plausible ones, of which one may be of any type."""
    names = draw(some.lists(some.sampled_from(sorted(target.arguments)), min_size=1, max_size=3, unique=True))
    names += [name for name in NEEDED.get(target.name, ()) if name not in names]
    odd = draw(some.none() | some.sampled_from(names))
    given = {name: draw(anything() if name == odd else target.arguments[name]) for name in names}
    if target.name == "ClassIncrementalVectorEnv":
        given |= {name: draw(values) for name, values in EXPENSIVE.items()}
    text = ", ".join(f"{name}={quoted(value)}" for name, value in given.items())
    also = (ALSO_NAMED[name] for name in given if name in ALSO_NAMED)
    words = (value for value in given.values() if isinstance(value, str) and value.isprintable() and len(value) > 2)
    call = partial(target.make, **given)
    return Attempt(target.name, f"({text})", (*given, *also, *words), call, target.documented)
