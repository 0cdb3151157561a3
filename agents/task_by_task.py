"""stable-baselines3's own algorithms, task by task, under the rules of `EPG`."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from agents.apply_options import ApplyOptions
from agents.class_names import check_same_classes
from agents.divergence import DivergedError, largest_size
from agents.identity import class_names_of
from agents.number_arguments import share
from agents.task_policies import TaskPolicy
from agents.vec_env import observation_info


class CurrentActions(spaces.Discrete):
    """Discrete actions of which only some are sampled, so that random exploration keeps to the current task.

    Args:
        count: Size of the space.
        allowed: Which actions are sampled, indices.
        seed: Of the samples.
    """

    def __init__(self, count: int, allowed: NDArray[np.int64], seed: int | None = None) -> None:
        super().__init__(count, seed=seed)
        self._allowed = allowed

    def sample(self, mask: Any = None, probability: Any = None) -> np.int64:
        """One of the allowed actions; with a mask or probabilities, as `Discrete` does it."""
        if mask is not None or probability is not None:
            return super().sample(mask, probability)
        return self._allowed[self.np_random.integers(len(self._allowed))]


class TaskByTask(ApplyOptions):
    """Makes each `learn` call of PPO, A2C or DQN one task, as `EPG` does.

        for task in range(5):
            model.get_env().set_options({"task": task})
            model.learn(4_000, callback=TaskByTask())

    At the beginning it resets the environment where options or a seed were set, as `ApplyOptions` does. It reads the
    classes of `info["action_mask"]`, lets the policy choose among them, renews the optimizer, and empties a replay
    buffer, since old data never returns. From the second task on the PEFT module stays frozen for the first steps, and
    the head learns alone. `model.class_names` holds the names of the classes, where the environment gives them; a later
    call on an environment of other classes is refused.

    Args:
        freeze_fraction: Share of a later task's steps during which only the head learns, in [0, 1].

    Raises:
        ValueError: `freeze_fraction` is out of range; or on `learn`, the policy is not made for tasks, or the
            environment's classes are not those that were learned.
        DivergedError: After `learn`, the parameters hold NaN or infinity.
    """

    def __init__(self, freeze_fraction: float = 0.6) -> None:
        super().__init__()
        self.freeze_fraction = share("freeze_fraction", freeze_fraction, "the steps")

    def _on_training_start(self) -> None:
        policy = self.model.policy
        if not isinstance(policy, TaskPolicy):
            raise ValueError(
                "TaskByTask needs a policy that can be told the task's classes, ViTActorCriticPolicy or ViTQPolicy, "
                f"not {type(policy).__name__}"
            )
        space = self.model.action_space
        assert isinstance(space, spaces.Discrete)
        self._check_classes(policy)
        super()._on_training_start()
        info = observation_info(self.training_env, int(space.n))
        actions, task = np.flatnonzero(info.action_mask.any(axis=0)), int(info.task.max())
        first = not policy.met_actions.numel()
        policy.choose_among(actions.tolist())
        self._policy = policy
        self._begun = self.num_timesteps
        self._task = task
        self._require_gradients(first or self.freeze_fraction == 0)
        if isinstance(self.model, OffPolicyAlgorithm):
            seed = int(space.np_random.integers(2**31))
            self.model.action_space = CurrentActions(int(space.n), actions, seed)
            assert self.model.replay_buffer is not None
            self.model.replay_buffer.reset()

    def _on_rollout_start(self) -> None:
        total = self.locals["total_timesteps"] - self._begun
        if self._frozen and self.num_timesteps - self._begun >= self.freeze_fraction * total:
            self._require_gradients(True)

    def _on_training_end(self) -> None:
        largest = largest_size([tensor for tensor in self._policy.parameters() if tensor.is_floating_point()])
        if not isfinite(largest):
            rate = self.model.policy.optimizer.param_groups[0]["lr"]
            raise DivergedError(
                "training diverged: the parameters hold NaN or infinity after "
                f"{self.model.num_timesteps - self._begun} steps of task {self._task} with learning "
                f"rate {rate:g}; lower the learning rate"
            )

    def _check_classes(self, policy: TaskPolicy) -> None:
        """Note the names of the environment's classes; refuse others than those that were learned."""
        model: Any = self.model
        names, learned = class_names_of(self.training_env), getattr(model, "class_names", None)
        if names is None:
            return
        if learned is not None and policy.met_actions.numel():
            check_same_classes(tuple(learned), names, "give an environment whose class_order is the agent's")
        model.class_names = names
        setattr(policy, "class_names", names)  # noqa: B010  # test_tasks looks there; the protocol does not name it

    def _require_gradients(self, wanted: bool) -> None:
        self._frozen = not wanted
        for parameter in self._policy.peft_parameters():
            parameter.requires_grad_(wanted)
