"""Expected policy gradient, for any objective of full feedback."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from torch import Tensor
from typing_extensions import Unpack

from agents.algorithms.one_step import OneStepAlgorithm
from agents.envs.stream_identity import reward_noise_of
from agents.envs.vec_env import ObservationInfo, check_rewards
from agents.methods import NO_OBJECTIVE, TaskInfo
from agents.objectives import Objective, TaskObjective, is_linear_in_rewards, make_objective
from agents.objectives.checked import check_losses
from agents.objectives.schedules import unfrozen_progress
from agents.optimization.divergence import Advice
from agents.optimization.learning_arguments import Learning
from agents.policy import ViTPolicy
from cls_env.arguments import one_of, word

ANNEALS = ("task", "unfrozen")


class EPG(OneStepAlgorithm):
    """Expected policy gradient and its relatives on one-step environments that tell the reward of every action.

    A `learn` call is one task, see `OneStepAlgorithm`; the objective's progress runs from 0 to 1 over the call. With
    the usual `freeze_fraction` of 0.6, aEPG's alpha has fallen to 0.23 when the PEFT module of a later task begins to
    learn: the head begins as under cross-entropy, and the module learns almost by EPG alone. With `anneal="unfrozen"`
    alpha falls while the module learns.

    A method that learns without gradients takes `objective="none"`, and looks once at each image of the task, whatever
    `total_timesteps` is.

    It learns from `info["action_rewards"]`: a wrapper that changes the reward of a step alone changes what is logged,
    not what is learned.

    Args:
        policy: `"ViTPolicy"`, or a subclass of it.
        env: As `OneStepAlgorithm` takes it.
        objective: A name in `agents.objectives.OBJECTIVES`, with parameters or without (`"focal:gamma=2"`), or a
            function of the same form. One with a state (`TaskObjective`) serves one agent at a time. `"none"` where the
            method learns without gradients.
        anneal: Over what the objective's progress runs: `"task"`, the whole `learn` call, as arXiv 2602.14078 has it;
            `"unfrozen"`, its part in which the PEFT module learns, before which progress is 0. They differ where a
            later task begins with a frozen module.
        learning_rate: As in `OneStepAlgorithm`.
        batch_size: As in `OneStepAlgorithm`.
        **learning: The further arguments of `OneStepAlgorithm`: `policy_kwargs`, `seed`, `device` ...

    Raises:
        ValueError: An argument is unknown or out of range, or does not fit the environment; on `learn`, the
            environment withholds the rewards of the actions.
    """

    own_arguments = ("objective", "anneal")
    knows_all_rewards = True
    _objective: Objective | None = None
    _made_of: str | Objective | None = None

    def __init__(
        self,
        policy: str | type[ViTPolicy],
        env: GymEnv | VectorEnv[Any, Any, Any] | str | None,
        objective: str | Objective = "aepg",
        learning_rate: float | Schedule = 5e-4,
        batch_size: int = 32,
        anneal: str = "task",
        **learning: Unpack[Learning],
    ) -> None:
        self.objective, self.anneal = objective, anneal
        super().__init__(policy, env, learning_rate, batch_size, **learning)

    def _take_arguments(self) -> None:
        self.anneal = one_of("anneal", self.anneal, ANNEALS)
        self.objective = self.objective if callable(self.objective) else word("objective", self.objective)
        if self.objective != self._made_of:
            self._objective = None if self.objective == NO_OBJECTIVE else make_objective(self.objective)
            self._made_of = self.objective
            if self._current_task is not None:
                self._reset_task_state(self._action_seed + self.policy.network.tasks_begun)
        super()._take_arguments()

    def _full_feedback(self, info: ObservationInfo) -> NDArray[np.float32]:
        if info.action_rewards is None:
            raise ValueError(
                "the expectation over actions needs info['action_rewards'], the reward of every action, which this "
                "environment does not give (feedback='bandit' withholds it); use an algorithm that learns from the "
                "reward of the chosen action, such as Reinforce, PPO or A2C"
            )
        check_rewards(info.action_rewards)
        return info.action_rewards

    def _begin_task(self) -> TaskInfo:
        assert self.env is not None
        noise = reward_noise_of(self.env)
        named = isinstance(self.objective, str)  # an objective of the user's own may have a state, and is not tried
        if (
            noise == "gaussian"
            and named
            and self.objective != NO_OBJECTIVE
            and not is_linear_in_rewards(self.objective)
        ):
            warnings.warn(
                f"objective {self.objective!r} is not linear in the rewards, so Gaussian noise on them biases its "
                "gradient, towards wrong actions too: use objective='epg' or 'reinforce'",
                stacklevel=3,
            )
        return super()._begin_task()

    def _loss(self, logits: Tensor, action_rewards: Tensor, progress: float) -> Tensor:
        assert self._objective is not None
        clock = progress if self.anneal == "task" else unfrozen_progress(progress, self._frozen_share)
        return check_losses(self._objective(logits, action_rewards, clock), logits, self.objective)

    def _advice(self) -> Advice | None:
        if isinstance(self.objective, str):
            return None
        return Advice(remedy="lower the learning rate, or check that your objective gives finite numbers")

    def _reset_task_state(self, seed: int) -> None:
        if isinstance(self._objective, TaskObjective):
            self._objective.begin_task(seed)
