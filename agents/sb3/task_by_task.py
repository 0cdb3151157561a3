"""Train stable-baselines3's own algorithms task by task, with the protocol of `EPG`."""

from __future__ import annotations

from math import isfinite
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm

from agents.envs.apply_options import ApplyOptions
from agents.envs.current_task import is_same_task, task_of
from agents.envs.observation_info import check_rewards, observation_info
from agents.envs.stream_identity import class_names_of
from agents.networks.class_names import check_same_classes
from agents.optimization.divergence import DivergedError, largest_size
from agents.optimization.rows_without_gradient import hold_rows_without_gradient
from agents.sb3.policies import TaskPolicy
from cls_env.arguments import number


class MaskedDiscrete(spaces.Discrete):
    """Discrete actions of which only some are sampled, so that random exploration is restricted to the current task.

    Args:
        count: Size of the space.
        allowed: Indices of the actions that are sampled.
        seed: Seed of the samples.
    """

    def __init__(self, count: int, allowed: NDArray[np.int64], seed: int | None = None) -> None:
        super().__init__(count, seed=seed)
        self._allowed = allowed

    def sample(self, mask: Any = None, probability: Any = None) -> np.int64:
        """One of the allowed actions; with a mask or probabilities, same as `Discrete`."""
        if mask is not None or probability is not None:
            return super().sample(mask, probability)
        return self._allowed[self.np_random.integers(len(self._allowed))]


class TaskByTask(ApplyOptions):
    """Makes each `learn` call of PPO, A2C or DQN one task, as `EPG` does.

        for task in range(5):
            model.get_env().set_options({"task": task})
            model.learn(4_000, callback=TaskByTask())

    At the beginning of a call it resets the environment if options or a seed were set, as `ApplyOptions` does. It sets
    the policy's action mask to the classes of `info["action_mask"]`, renews the optimizer, and empties a replay buffer,
    since old data never returns. From the second task on the PEFT module is frozen for the first steps, in which the
    head is trained alone. At the end of a call it is unfrozen, also if a callback ended the call. A further call on the
    same task continues without freezing, with the same optimizer and replay buffer. `model.class_names` holds the names
    of the classes, if the environment has them; a later call on an environment of other classes is refused.

    Args:
        freeze_fraction: Share of a later task's steps in which only the head is trained, in [0, 1].

    Raises:
        ValueError: `freeze_fraction` is out of range. In `learn`: the policy has no action mask, the environment's
            classes are not those that were learned, or a reward is NaN or infinite.
        DivergedError: In `learn`, the parameters hold NaN or infinity.
    """

    def __init__(self, freeze_fraction: float = 0.6) -> None:
        super().__init__()
        self.freeze_fraction = number("freeze_fraction", freeze_fraction, "[0, 1]")

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
        actions, current = np.flatnonzero(info.action_mask.any(axis=0)), task_of(self.training_env, info)
        model: Any = self.model
        continued = is_same_task(getattr(model, "current_task", None), current)
        model.current_task = current
        self._policy = policy
        self._begun = self.num_timesteps
        self._task = int(info.task.max())
        first = not policy.seen_classes.numel()
        if not continued:
            policy.set_action_mask(actions.tolist())
        hold_rows_without_gradient(self.model.policy.optimizer)  # a copied model has a copied optimizer
        self._require_gradients(continued or first or self.freeze_fraction == 0)
        self._set_place()
        if isinstance(self.model, OffPolicyAlgorithm):
            seed = int(space.np_random.integers(2**31))
            self.model.action_space = MaskedDiscrete(int(space.n), actions, seed)
            assert self.model.replay_buffer is not None
            if not continued:
                self.model.replay_buffer.reset()

    def _on_rollout_start(self) -> None:
        self._check_parameters()
        total = self.locals["total_timesteps"] - self._begun
        if self._frozen and self.num_timesteps - self._begun >= self.freeze_fraction * total:
            self._require_gradients(True)

    def _on_step(self) -> bool:
        check_rewards(self.locals["rewards"])
        self._set_place()
        return True

    def _on_training_end(self) -> None:
        self._require_gradients(True)  # a callback may have ended the call while they were frozen
        self._check_parameters()
        setattr(self._policy, "place", "")  # noqa: B010  # as in _set_place

    def _set_place(self) -> None:
        """Set the position of training in the policy, for its messages."""
        place = f" at step {self.num_timesteps - self._begun} of task {self._task}"
        setattr(self._policy, "place", place)  # noqa: B010  # the protocol does not name it

    def _check_parameters(self) -> None:
        learning = (tensor for tensor in self._policy.parameters() if tensor.requires_grad)
        if not isfinite(largest_size([tensor.detach() for tensor in learning])):
            self._require_gradients(True)
            rate = self.model.policy.optimizer.param_groups[0]["lr"]
            raise DivergedError(
                f"training diverged at step {self.num_timesteps - self._begun} of task {self._task} with learning rate "
                f"{rate:g}: the parameters hold NaN or infinity; lower the learning rate"
            )

    def _check_classes(self, policy: TaskPolicy) -> None:
        """Store the names of the environment's classes; refuse others than those that were learned."""
        model: Any = self.model
        names, learned = class_names_of(self.training_env), getattr(model, "class_names", None)
        if names is None:
            return
        if learned is not None and policy.seen_classes.numel():
            check_same_classes(tuple(learned), names, "give an environment whose class_order is the agent's")
        model.class_names = names
        setattr(policy, "class_names", names)  # noqa: B010  # evaluate_tasks looks there; the protocol does not name it

    def _require_gradients(self, wanted: bool) -> None:
        self._frozen = not wanted
        for parameter in self._policy.peft_parameters():
            parameter.requires_grad_(wanted)
