"""All algorithms act on equally many images: the last rollout of a task is shortened where it does not fit."""

from __future__ import annotations

from typing import Any

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm


class ShortenLastRollout(BaseCallback):
    """Ends a `learn` call of SB3's algorithms at its number of images, which they round up to whole rollouts.

    PPO with `n_steps=5` and 32 environments learns from rollouts of 160 images, and would take 320 images where the
    others take 224. With this callback its last rollout of the call has 64. Where rollouts fit, nothing changes.
    """

    def _on_training_start(self) -> None:
        self._end: int = self.locals["total_timesteps"]
        self._own_steps = self._get_steps()
        self._fit()

    def _on_rollout_start(self) -> None:
        model: Any = self.model
        if isinstance(model, OnPolicyAlgorithm) and model.rollout_buffer.buffer_size != model.n_steps:
            model.rollout_buffer.buffer_size = model.n_steps
            model.rollout_buffer.reset()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self._fit()

    def _on_training_end(self) -> None:
        self._set_steps(self._own_steps)

    def _fit(self) -> None:
        """Let the next rollout have as many steps as are left, at most as many as the algorithm's own."""
        left = -(-(self._end - self.model.num_timesteps) // self.model.n_envs)
        if left > 0:
            self._set_steps(min(self._own_steps, left))

    @property
    def _is_off_policy(self) -> bool:
        return isinstance(self.model, OffPolicyAlgorithm)

    def _get_steps(self) -> int:
        """Steps of a rollout in each environment."""
        model: Any = self.model
        steps: int = model.train_freq.frequency if self._is_off_policy else model.n_steps
        return steps

    def _set_steps(self, steps: int) -> None:
        model: Any = self.model
        if self._is_off_policy:
            model.train_freq = model.train_freq._replace(frequency=steps)  # its unit is steps: there are many envs
        else:
            model.n_steps = steps
