"""Inputs that were faults when fuzzing found them: a raw error of a library, or a message of several lines."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from agents import EPG
from agents.networks.config import PolicyConfig
from agents.objectives import make_objective
from cls_env import ClassIncrementalEnv, ImageDataset, TaskSchedule, TaskStream
from cls_env.arguments import number, whole_number
from cls_env.specification import lookup, parse_specification

MATRIX = np.eye(3)
"""NumPy writes it in three lines."""
RAGGED = [1, [2, 3]]
BEYOND_FLOAT, BEYOND_TEXT = 10**400, 10**5000
"""Numbers that no float holds, and of more digits than Python writes."""


def refused(call: Callable[..., object], words: str, *values: Any, **arguments: Any) -> None:
    with pytest.raises(ValueError, match=words) as error:
        call(*values, **arguments)
    assert len(str(error.value).splitlines()) == 1 and len(str(error.value)) < 1000


@pytest.mark.parametrize("value", [BEYOND_FLOAT, BEYOND_TEXT, MATRIX], ids=["float", "text", "matrix"])
def test_numbers_that_are_none(value: Any) -> None:
    refused(number, "rate must be a number", "rate", value)
    refused(whole_number, "size must be a whole number", "size", -value, 1)
    refused(lookup, "unknown kind", "kind", value, {"a": 1})


def test_a_number_of_many_digits_stays_text() -> None:
    digits = "9" * 5000
    assert parse_specification(f"replay:size={digits}") == ("replay", {"size": digits})


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_tasks": RAGGED},
        {"class_order": RAGGED},
        {"label_noise": RAGGED},
        {"imbalance_factor": BEYOND_FLOAT},
        {"noise_type": MATRIX},
        {"dataset_options": MATRIX},
        {"domains": MATRIX, "scenario": "domain-incremental"},
    ],
    ids=lambda arguments: next(iter(arguments)),
)
def test_streams(arguments: dict[str, Any], glyphs: ImageDataset) -> None:
    refused(TaskStream, next(iter(arguments)), dataset=glyphs, **arguments)


def test_any_cap_of_images_is_taken(glyphs: ImageDataset) -> None:
    stream = TaskStream(glyphs, 3, max_per_class=BEYOND_FLOAT)
    assert stream.fingerprint == TaskStream(glyphs, 3).fingerprint


@pytest.mark.parametrize(
    "arguments",
    [
        {"task": RAGGED},
        {"task": MATRIX},
        {"split": MATRIX},
        {"feedback": MATRIX},
        {"render_mode": MATRIX},
        {"abstain_reward": BEYOND_FLOAT},
        {"task_schedule": RAGGED},
        {"task_schedule": BEYOND_FLOAT},
    ],
    ids=lambda arguments: next(iter(arguments)),
)
def test_environments(arguments: dict[str, Any], stream: TaskStream) -> None:
    refused(ClassIncrementalEnv, next(iter(arguments)), dataset=stream, **arguments)


@pytest.mark.parametrize("options", [{1: 2, "a": 3}, {"two\nlines": 1}, MATRIX, {"task": MATRIX}])
def test_options_of_reset(options: Any, stream: TaskStream) -> None:
    refused(ClassIncrementalEnv(stream).reset, "option|task", options=options)


@pytest.mark.parametrize("seed", [np.array(-1), np.ma.masked, np.array(["a"]), -1], ids=repr)
def test_seeds_of_reset(seed: Any, make_vec: Callable[..., Any]) -> None:
    with pytest.raises(gym.error.Error, match="Seed must be"):
        make_vec(2).reset(seed=seed)


def test_schedules() -> None:
    refused(TaskSchedule, "task_schedule", episodes=(BEYOND_FLOAT, 3))
    refused(TaskSchedule, "task_blur", episodes=(2, 3), blur=MATRIX)


def test_agents(make_vec: Callable[..., Any]) -> None:
    refused(EPG, "policy", policy=MATRIX, env=make_vec(8), batch_size=8)
    refused(EPG, "device", policy="ViTPolicy", env=make_vec(8), batch_size=8, device=np.uint64(2**64 - 1))
    refused(PolicyConfig, "blocks", blocks=MATRIX)


def test_errors_of_libraries_are_one_line() -> None:
    refused(make_objective, "objective 'reinforce:samples=", specification=f"reinforce:samples={2**62}")
