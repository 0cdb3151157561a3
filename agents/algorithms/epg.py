"""EPG: learning from the rewards of all actions, by any objective."""

from __future__ import annotations

import warnings

import numpy as np
from stable_baselines3.common.type_aliases import Schedule
from torch import Tensor
from typing_extensions import Unpack

from agents.algorithms.agent_arguments import EnvArgument, PolicyArgument
from agents.algorithms.one_step import OneStepAlgorithm
from agents.envs.observation_info import ObservationInfo, Rewards, check_rewards
from agents.envs.stream_identity import reward_noise_of
from agents.methods import NO_OBJECTIVE, TaskInfo
from agents.objectives import Objective, ResumableObjective, TaskObjective, is_linear_in_rewards, make_objective
from agents.objectives.checked import check_losses
from agents.objectives.schedules import unfrozen_progress
from agents.optimization.divergence import Advice
from agents.optimization.learning_arguments import FurtherLearnerKwargs
from cls_env.arguments import one_of, word

ANNEALS = ("task", "unfrozen")


class EPG(OneStepAlgorithm):
    """Expected policy gradient, or another objective, on one-step environments that report the reward of each action.

    A `learn` call is one task, see `OneStepAlgorithm`. It learns from `info["action_rewards"]`: a wrapper that changes
    the reward of `step` alone changes what is logged, not what is learned.

    The progress of the objective runs from 0 to 1 over the call. With the usual `freeze_fraction` of 0.6, aEPG's alpha
    has fallen to 0.23 when the PEFT module of a later task is unfrozen: the head starts as under cross-entropy, and the
    module learns almost by EPG alone. With `anneal="unfrozen"` alpha falls while the module learns.

    A method without gradients takes `objective="none"`, and reads each image of the task once, whatever
    `total_timesteps` is.

    Args:
        policy: `"ViTPolicy"`, or a subclass of it.
        env: An environment id, a Gymnasium environment, a Gymnasium vector environment with SAME_STEP autoreset, or a
            `VecEnv` of SB3. An id with a native vector environment is made with `batch_size` sub-environments.
        objective: A name in `agents.objectives.OBJECTIVES`, with parameters or without (`"focal:gamma=2"`), or a
            function of the same form. One with a state (`TaskObjective`) serves one agent at a time. `"none"` for a
            method without gradients. Default `"aepg"`.
        learning_rate: Rate of the optimizer, at least 0, or a function from the remaining progress of the task (1 to 0)
            to the rate. Default 5e-4.
        batch_size: Images of one gradient step, a multiple of the number of sub-environments. Default 32.
        anneal: `"task"`: the progress of the objective runs over the whole `learn` call (arXiv 2602.14078).
            `"unfrozen"`: it runs over the part in which the PEFT module learns, and is 0 before. Default `"task"`.
        **learning: The further arguments of all one-step algorithms:

            - freeze_fraction: Share of a later task's steps during which the PEFT module is frozen and only the head
              learns, in [0, 1]. Default 0.6.
            - crop_scale: Smallest and largest area of random crops, as shares of the image's area in (0, 1]; they are
              drawn anew each time, and flipped at random (see `TrainView`). The paper's is (0.05, 1). Default None:
              the view of the test.
            - cache_features: Compute the features of each image (`info["image_index"]`) once while the PEFT module is
              frozen, on a CPU its patch embeddings too, and again if its pixels have changed. Exact, and faster; not
              with `crop_scale`. Default False.
            - precision: In which the backbone computes, in training and at test: `"float32"`, `"bfloat16"` (mixed
              precision), `"tf32"` on a GPU, or `"auto"`, which is bfloat16 on a GPU that computes in it and float32
              elsewhere. The head and the objective are computed in float32. Default `"auto"`.
            - compile: Compile the backbone's blocks with `torch.compile`: faster steps, after a minute or so of
              compiling at the first ones. Not with inflora and sd-lora, which add modules in each task. Default False.
            - device_images: `"yes"` keeps the images of the current tasks on the policy's device, `"no"` does not, and
              `"auto"` does so on a GPU if the environment is the native vector environment without wrappers, and the
              images fit in half of the free memory. A step then does not wait for the device: rows of the log
              are written up to 64 steps late, and diverged training is found as late. Default `"auto"`.
            - micro_batch: The most images whose activations are in memory at once, at least 1, for a GPU with little
              memory. A step gives the same result up to rounding, and takes one more forward pass. Images that a method
              replays pass all at once. Default None: the whole batch.
            - on_divergence: `"stop"` raises `DivergedError` if loss, outputs or weights are NaN or infinite. `"skip"`
              leaves out a gradient step if its loss or a gradient is NaN or infinite. The column `train/skipped_steps`
              of the log counts these steps. `"skip"` waits for the device in each step. Default `"stop"`.
            - policy_kwargs: Entries of `PolicyConfig` (`model`, `peft`, `method`, ...), and `optimizer_class` and
              `optimizer_kwargs`. Default None: those of `PolicyConfig`, and Adam.
            - stats_window_size: Episodes over which the `rollout/` averages are taken, at least 1. Default 100.
            - tensorboard_log: Folder for TensorBoard, or None. Default None.
            - verbose: 0 silent, 1 informative. Default 0.
            - seed: In [0, 2**32). Determines the initial PEFT module and head, a random backbone, sampled actions and
              crops. Default None: not reproducible.
            - device: `"auto"` (an NVIDIA GPU if there is one), `"cpu"`, `"cuda"`, `"mps"` or a `torch.device`. Default
              `"auto"`.
            - _init_setup_model: Whether to build the policy at once, as in SB3. Default True.

    Raises:
        ValueError: An argument is unknown, of a wrong type or out of range, or does not fit the environment; in
            `learn`, the environment withholds the rewards of the actions.
    """

    own_arguments = ("objective", "anneal")
    knows_all_rewards = True
    _objective: Objective | None = None
    _made_of: str | Objective | None = None

    def __init__(
        self,
        policy: PolicyArgument,
        env: EnvArgument,
        objective: str | Objective = "aepg",
        learning_rate: float | Schedule = 5e-4,
        batch_size: int = 32,
        anneal: str = "task",
        **learning: Unpack[FurtherLearnerKwargs],
    ) -> None:
        self.objective, self.anneal = objective, anneal
        super().__init__(policy, env, learning_rate, batch_size, **learning)

    def _check_arguments(self) -> None:
        self.anneal = one_of("anneal", self.anneal, ANNEALS)
        self.objective = self.objective if callable(self.objective) else word("objective", self.objective)
        if self.objective != self._made_of:
            self._objective = None if self.objective == NO_OBJECTIVE else make_objective(self.objective)
            self._made_of = self.objective
            if self._current_task is not None:
                self._reset_task_state(self._action_seed + self.policy.network.tasks_begun)
        super()._check_arguments()

    def _full_feedback(self, info: ObservationInfo) -> Rewards:
        if info.action_rewards is None:
            raise ValueError(
                "the expectation over actions needs info['action_rewards'], the reward of every action, which this "
                "environment does not give (feedback='bandit' withholds it); use an algorithm that learns from the "
                "reward of the chosen action, such as Reinforce, PPO or A2C"
            )
        if isinstance(info.action_rewards, np.ndarray):  # those on a device are the environment's own
            check_rewards(info.action_rewards)
        return info.action_rewards

    def _begin_task(self) -> TaskInfo:
        assert self.env is not None
        noise = reward_noise_of(self.env)
        named = isinstance(self.objective, str)  # a function may have a state, and is not called to find out
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

    def _task_state(self) -> dict[str, Tensor]:
        if not isinstance(self._objective, TaskObjective):
            return {}
        if not isinstance(self._objective, ResumableObjective):
            raise ValueError(f"objective {self.objective!r} keeps a state, and has no training_state to save it")
        return self._objective.training_state()

    def _load_task_state(self, tensors: dict[str, Tensor]) -> None:
        if isinstance(self._objective, ResumableObjective):
            self._objective.load_training_state(tensors, self.device)
