"""Whether a VecEnv still shows what an algorithm saw of it last."""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.vec_env import VecEnv

from agents.envs.vec_env import GymnasiumVecEnv, pending_message

Marks = tuple[Any, ...]


def marks_of(env: VecEnv) -> Marks:
    """The infos of the observations on display, which each reset and each step of a one-step environment renews."""
    base = env.unwrapped
    return (base.batch_info,) if isinstance(base, GymnasiumVecEnv) else tuple(base.reset_infos)


def has_moved(env: VecEnv, marks: Marks) -> bool:
    """Whether the environment was reset or stepped since its marks were taken."""
    now = marks_of(env)
    return len(now) != len(marks) or any(one is not other for one, other in zip(now, marks, strict=True))


def refuse_pending(env: VecEnv) -> None:
    """Check that no options and no seed wait for a reset.

    Raises:
        ValueError: They do, and so have no effect.
    """
    if message := pending_message(env):
        raise ValueError(message)
