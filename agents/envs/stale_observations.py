"""Whether a VecEnv still shows the observations that an algorithm has."""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.vec_env import VecEnv

from agents.envs.vec_env import GymnasiumVecEnv, pending_message

Marks = tuple[Any, ...]


def marks_of(env: VecEnv) -> Marks:
    """The infos of the current observations: each reset and each step of a one-step environment makes new objects."""
    base = env.unwrapped
    return (base.batch_info,) if isinstance(base, GymnasiumVecEnv) else tuple(base.reset_infos)


def has_moved(env: VecEnv, marks: Marks) -> bool:
    """Whether the environment was reset or stepped since `marks_of`."""
    now = marks_of(env)
    return len(now) != len(marks) or any(one is not other for one, other in zip(now, marks, strict=True))


def refuse_pending(env: VecEnv) -> None:
    """Check that no options and no seed are pending.

    Raises:
        ValueError: They are, and so have no effect until a reset.
    """
    if message := pending_message(env):
        raise ValueError(message)
