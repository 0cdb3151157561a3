"""Stopping and resuming within a `learn` call, to the same numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from agents.algorithms.agent_arguments import AgentArguments
from agents.algorithms.batches import BatchSource
from agents.algorithms.episode_buffers import EpisodeBuffers, recent_episodes, restore_episodes
from agents.optimization.optimizer_state import load_optimizer_state, optimizer_state
from agents.optimization.random_states import global_states, set_global_states
from agents.optimization.rows_without_gradient import load_rows_state, rows_state

TrainingState = dict[str, Tensor]
"""Tensors by `PART/NAME`."""


class ResumableTraining(EpisodeBuffers, AgentArguments):
    """Mixin of the one-step algorithms: `training_state` and `continue_from`.

    `save` keeps an agent between tasks. The training state keeps the rest, within a task: an agent as it was before the
    `learn` call repeats the call, which goes on at the step before which the state was taken.
    """

    _batches: BatchSource
    skipped_steps: int = 0
    """Gradient steps of the last `learn` call that were left out, with `on_divergence="skip"`."""
    _steps_taken: int = 0
    _steps_in_call: int = 0
    _continuation: TrainingState | None = None
    _largest_reward: float | None

    def training_state(self) -> TrainingState:
        """All that the rest of the current `learn` call depends on. Call it between two steps, from a callback.

        It holds head, PEFT module and method, the optimizer, the objective's state, random states, cached features,
        counters and the position in the stream. Tensors are not copied: save them before the next step.

        Raises:
            ValueError: A part keeps something that can't be saved, or the environment can't be resumed within a task.
        """
        self._process_results()
        self._batches.check_resumable()
        policy = self.policy
        parts: dict[str, Mapping[str, Tensor]] = {
            "network": _numbered([*policy.network.head.parameters(), *policy.network.module_tensors()]),
            "method": policy.method.training_state(),
            "optimizer": optimizer_state(policy.optimizer),
            "rows": rows_state(policy.optimizer),
            "features": self._feature_cache.state(),
            "algorithm": self._state(),
            "task": self._task_state(),
            "random": self._random_states(),
            "shared_random": global_states(),
            "counters": self._counters(),
            "episodes": {name: torch.tensor(kept).double() for name, kept in recent_episodes(self).items()},
        }
        return {f"{part}/{name}": tensor.detach() for part, kept in parts.items() for name, tensor in kept.items()}

    def continue_from(self, state: TrainingState) -> None:
        """Let the next `learn` call go on where `training_state` was taken.

        The agent must be as it was before the `learn` call in which the state was taken, and the call must be the same,
        also in the seed and the task of the environment. It then gives the same result as the call that was stopped:
        on a CPU the same numbers, bit for bit.

        Args:
            state: Of `training_state`.
        """
        self._continuation = dict(state)

    def _skip_step(self) -> None:
        """Count a gradient step that is left out."""
        self.skipped_steps += 1
        self.logger.record("train/skipped_steps", self.skipped_steps)

    def _task_state(self) -> dict[str, Tensor]:
        """What the algorithm and the objective keep from step to step within a task."""
        return {}

    def _load_task_state(self, tensors: dict[str, Tensor]) -> None:
        """Load what `_task_state` returned."""

    def _random_states(self) -> dict[str, Tensor]:
        return {"actions": self._actions_generator.get_state(), "views": self._views_generator.get_state()}

    def _counters(self) -> dict[str, Tensor]:
        counts = {
            "step": self._steps_taken,
            "steps_in_call": self._steps_in_call,
            "batch_size": self.batch_size,
            "tasks_begun": self.policy.network.tasks_begun,
            "peft_frozen": self.policy.network.peft_frozen,
            "num_timesteps": self.num_timesteps,
            "n_updates": self._n_updates,
            "skipped_steps": self.skipped_steps,
        }
        reward = torch.tensor(np.nan if self._largest_reward is None else self._largest_reward, dtype=torch.float64)
        return {name: torch.tensor(int(count)) for name, count in counts.items()} | {"largest_reward": reward}

    def _continued(self, steps: int) -> int:
        """Load the state of `continue_from`, if there is one, and return the number of steps that are done.

        Raises:
            ValueError: It is of another call, or damaged.
        """
        self._steps_in_call, state = steps, self._continuation
        if state is None:
            return 0
        self._continuation = None
        parts: dict[str, dict[str, Tensor]] = {}
        for path, tensor in state.items():
            part, _, name = path.partition("/")
            parts.setdefault(part, {})[name] = tensor
        counts = {name: int(count) for name, count in parts["counters"].items() if name != "largest_reward"}
        self._check_same_call(counts)
        self._load_learner(parts, unfreeze=not counts["peft_frozen"])
        self.num_timesteps, self._n_updates = counts["num_timesteps"], counts["n_updates"]
        self.skipped_steps = counts["skipped_steps"]
        reward = parts["counters"]["largest_reward"].item()
        self._largest_reward = None if np.isnan(reward) else reward
        restore_episodes(self, {name: tensor.tolist() for name, tensor in parts["episodes"].items()})
        assert self.env is not None
        self._batches.skip(self.env, counts["step"] * (self.batch_size // self.n_envs))
        set_global_states(parts["shared_random"])
        return counts["step"]

    def _check_same_call(self, counts: dict[str, int]) -> None:
        here = {
            "steps_in_call": self._steps_in_call,
            "batch_size": self.batch_size,
            "tasks_begun": self.policy.network.tasks_begun,
        }
        for name, number in here.items():
            if counts[name] != number:
                raise ValueError(
                    f"the saved training state is of another learn call: {name} is {counts[name]} there, {number} here"
                )

    def _load_learner(self, parts: dict[str, dict[str, Tensor]], unfreeze: bool) -> None:
        policy = self.policy
        if unfreeze:
            policy.unfreeze_peft()
        own = [*policy.network.head.parameters(), *policy.network.module_tensors()]
        saved = [parts["network"][str(index)] for index in range(len(parts["network"]))]
        if [tensor.shape for tensor in own] != [tensor.shape for tensor in saved]:
            raise ValueError("the saved training state does not fit the network of this agent")
        with torch.no_grad():
            for tensor, kept in zip(own, saved, strict=True):
                tensor.copy_(kept)
        policy.method.load_training_state(parts.get("method", {}))
        load_optimizer_state(policy.optimizer, parts.get("optimizer", {}))
        load_rows_state(policy.optimizer, parts.get("rows", {}))
        self._feature_cache.load_state(parts["features"], self.device)
        if "algorithm" in parts:
            self._resume(parts["algorithm"])
        self._load_task_state(parts.get("task", {}))
        self._actions_generator.set_state(parts["random"]["actions"].cpu())
        self._views_generator.set_state(parts["random"]["views"].cpu())


def _numbered(tensors: list[Tensor]) -> dict[str, Tensor]:
    return {str(index): tensor for index, tensor in enumerate(tensors)}
