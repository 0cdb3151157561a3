"""Applies options and seeds of an environment at the start of a `learn` call of stable-baselines3."""

from __future__ import annotations

import numpy as np
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback

from agents.envs.vec_env import pending_settings


class ApplyOptions(BaseCallback):
    """Resets the environment at the start of a `learn` call if options or a seed were set since its last reset.

    stable-baselines3 resets the environment only with `reset_num_timesteps=True`. Without this callback, `set_options`
    and `seed` have no effect on a `learn` call with `reset_num_timesteps=False`. It works with every algorithm and
    policy of stable-baselines3 and every `VecEnv`:

        for task in range(5):
            model.get_env().set_options({"task": task})
            model.learn(4_000, callback=ApplyOptions(), reset_num_timesteps=task == 0)

    `EPG` and the other algorithms of this package reset by themselves and do not need it; `TaskByTask` contains it.
    """

    def _on_training_start(self) -> None:
        reset_if_pending(self.model)

    def _on_step(self) -> bool:
        return True


def reset_if_pending(model: BaseAlgorithm) -> None:
    """Reset the environment of an algorithm if options or a seed are pending, as SB3's `_setup_learn` does.

    Args:
        model: Any algorithm of stable-baselines3, after `_setup_learn`.
    """
    env = model.env
    if env is None or not pending_settings(env):
        return
    model._last_obs = env.reset()  # type: ignore[assignment]
    model._last_episode_starts = np.ones((env.num_envs,), dtype=bool)
    if model._vec_normalize_env is not None:
        model._last_original_obs = model._vec_normalize_env.get_original_obs()
