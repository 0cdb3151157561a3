"""What all algorithms for one-step environments share, as a stable-baselines3 algorithm: a `learn` call is a task."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, ClassVar, TypeVar, cast

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, MaybeCallback, Schedule
from stable_baselines3.common.vec_env import VecEnv
from stable_baselines3.common.vec_env.base_vec_env import VecEnvObs
from torch import Tensor

from agents.algorithms.agent_arguments import AgentArguments
from agents.algorithms.class_memory import checked_actions
from agents.algorithms.devices import checked_device
from agents.algorithms.update_log import log_update
from agents.envs.current_task import is_same_task, task_of
from agents.envs.epoch import Epoch
from agents.envs.stale_observations import Marks, has_moved, marks_of, refuse_pending
from agents.envs.stream_identity import class_names_of
from agents.envs.vec_env import ObservationInfo, as_vec_env, check_rewards, native_vector_env, observation_info
from agents.methods import Batch, TaskInfo, check_method
from agents.networks.config import AgentSeeds, PolicyConfig
from agents.networks.feature_cache import FeatureCache
from agents.objectives import mask_logits
from agents.optimization import learning_arguments as arguments
from agents.optimization.divergence import LARGEST_LOGIT, Advice, DivergenceWatch
from agents.optimization.rows_without_gradient import hold_rows_without_gradient
from agents.policy import ViTPolicy
from cls_env.arguments import truth_value, whole_number, word
from cls_env.specification import lookup

SelfOneStep = TypeVar("SelfOneStep", bound="OneStepAlgorithm")


class OneStepAlgorithm(AgentArguments, ABC):
    """Learns on one-step environments, with one forward pass for acting and learning.

    A `learn` call is one task: it resets the environment, grows the policy's head by the classes of
    `info["action_mask"]`, renews the optimizer, and trains on `total_timesteps` images, one environment step each. From
    the second task on the PEFT module stays frozen for the first 60 % of the steps, and the head learns alone (LAE's
    protocol, arXiv 2602.14078). The usual loop:

        for task in range(5):
            model.get_env().set_options({"task": task})
            model.learn(4_000, reset_num_timesteps=task == 0)

    What else is done about earlier tasks is the policy's method: `policy_kwargs={"method": "lae"}`, see
    `agents.methods`. A call on the same tasks as the one before goes on with head, module and optimizer as they are.

    An argument may be changed as an attribute, `model.learning_rate = 1e-4`; the next `learn` checks and takes it.

    A subclass says what it learns from (`_full_feedback` or `_observe_bandit_reward`), how it explores
    (`_behavior_policy`) and what it minimizes (`_loss`).

    Args:
        policy: `"ViTPolicy"`, or a subclass of it.
        env: An environment id, a Gymnasium env, a Gymnasium vector env with SAME_STEP autoreset, or a SB3 `VecEnv`.
            An id with a native vector env is made with `batch_size` environments.
        learning_rate: Adam's rate, or a function of the remaining progress of the task (1 to 0).
        batch_size: Images of one gradient step; a multiple of the number of environments.
        freeze_fraction: Share of a later task's steps during which only the head learns, in [0, 1].
        crop_scale: Learn from random crops, of this share of an image's area, with flips (see `TrainView`), drawn
            anew each time; by default from what is seen at test. The paper's is (0.05, 1).
        cache_features: In the head-only phase, compute the features of each image (`info["image_index"]`) once, and
            anew where its pixels have changed. Exact, and faster; not together with `crop_scale`.
        precision: `"float32"`, or `"bfloat16"` to run the backbone in mixed precision.
        policy_kwargs: Entries of `PolicyConfig`, and `optimizer_class`, `optimizer_kwargs`.
        stats_window_size: Episodes over which `rollout/` averages are taken.
        tensorboard_log: Folder for TensorBoard, or None.
        verbose: 0 silent, 1 informative.
        seed: Fixes PEFT and head initialisation, a random backbone, and sampled actions.
        device: `"auto"`, `"cpu"`, `"cuda"`.
        _init_setup_model: Whether to build the policy at once, as in SB3.

    Attributes:
        class_names: The name of each action, in order, so that `agent.class_names[action]` names a prediction; also
            after `load` without an environment. None where the environment has no `action_names`.

    Raises:
        ValueError: An argument is unknown, of a wrong type or out of range, or does not fit the environment.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"ViTPolicy": ViTPolicy}
    knows_all_rewards: ClassVar[bool] = False
    """Whether a batch holds the true rewards of all actions."""

    def __init__(
        self,
        policy: str | type[ViTPolicy],
        env: GymEnv | VectorEnv[Any, Any, Any] | str | None,
        learning_rate: float | Schedule = 5e-4,
        batch_size: int = 32,
        freeze_fraction: float = 0.6,
        crop_scale: tuple[float, float] | None = None,
        cache_features: bool = False,
        precision: str = "float32",
        policy_kwargs: dict[str, Any] | None = None,
        stats_window_size: int = 100,
        tensorboard_log: str | None = None,
        verbose: int = 0,
        seed: int | None = None,
        device: torch.device | str = "auto",
        _init_setup_model: bool = True,
        **unknown: Any,
    ) -> None:
        self._refuse_unknown(unknown)
        self.batch_size, self.freeze_fraction, self.crop_scale = batch_size, freeze_fraction, crop_scale
        self.cache_features, self.precision, self.learning_rate = cache_features, precision, learning_rate
        self._feature_cache = FeatureCache()
        self._take_arguments()
        self._largest_reward: float | None = None
        self._marks: Marks = ()
        self._frozen_share = 0.0
        self._check_policy(policy)
        if isinstance(env, str):
            env = native_vector_env(env, self.batch_size) or env
        elif env is None and truth_value("_init_setup_model", _init_setup_model):
            name = type(self).__name__
            raise ValueError(
                f"{name} needs an environment to learn its spaces from; without one, use {name}.load(path)"
            )
        super().__init__(
            policy,
            env,  # type: ignore[arg-type]  # _wrap_env takes vector envs too
            self.learning_rate,
            policy_kwargs=arguments.policy_arguments(policy_kwargs),
            stats_window_size=whole_number("stats_window_size", stats_window_size, least=1),
            tensorboard_log=arguments.log_folder(tensorboard_log),
            verbose=whole_number("verbose", verbose),
            device=checked_device(device),
            support_multi_env=True,
            seed=arguments.agent_seed(seed),
        )
        if self.env is not None:
            checked_actions(self.env)
            self._check_batches(self.n_envs)
            self.class_names = class_names_of(self.env)
        if _init_setup_model:
            self._setup_model()

    @abstractmethod
    def _loss(self, logits: Tensor, action_rewards: Tensor, progress: float) -> Tensor:
        """What is minimised: the loss of each sample, shape (B,).

        Args:
            logits: Masked, shape (B, A).
            action_rewards: As observed or estimated, shape (B, A).
            progress: Share of the task's steps that are done, in [0, 1).
        """

    def _behavior_policy(self, logits: Tensor, progress: float) -> Tensor:
        """The probabilities with which actions are chosen in training, shape (B, A): the policy's own."""
        return logits.softmax(dim=1)

    def _full_feedback(self, info: ObservationInfo) -> NDArray[np.float32]:
        """What is known of the rewards of all actions before one is taken, shape (N, A)."""
        return np.zeros(info.action_mask.shape, dtype=np.float32)

    def _observe_bandit_reward(self, batch: Batch, probabilities: Tensor, actions: Tensor, rewards: Tensor) -> None:
        """Learn what an action was paid, of shape (N,) each; subclasses of bandit feedback note it in the batch."""

    def _reset_task_state(self, seed: int) -> None:
        """Forget what was remembered of earlier tasks."""

    @staticmethod
    def _wrap_env(env: GymEnv, verbose: int = 0, monitor_wrapper: bool = True) -> VecEnv:
        """As SB3, but images stay channels last: the policy transposes them on its device."""
        return as_vec_env(env)

    def set_env(
        self, env: GymEnv | VectorEnv[Any, Any, Any] | str, force_reset: bool = True, match_classes: bool = False
    ) -> None:
        """As SB3's, for any number of environments of which the batch is a multiple.

        Args:
            env: As the constructor takes it. Its classes (`action_names`, where it has them) must be those that were
                learned, in the same order.
            force_reset: As in SB3; `learn` resets in any case.
            match_classes: Match classes by name instead of refusing another order: everything that the agent keeps for
                each class moves to the place that the environment gives the class. The environment may have further
                classes, and must have all that the agent has seen.

        Raises:
            ValueError: Their spaces, their number or their classes do not fit.
        """
        if isinstance(env, str):
            env = native_vector_env(env, self.batch_size) or gym.make(env)
        wrapped = self._wrap_env(env, self.verbose)  # type: ignore[arg-type]
        self._check_batches(wrapped.num_envs)
        self._take_classes(wrapped, truth_value("match_classes", match_classes))
        self.n_envs = wrapped.num_envs
        super().set_env(wrapped, force_reset)
        self._feature_cache.forget()

    def _check_policy(self, policy: str | type[ViTPolicy]) -> None:
        if isinstance(policy, str):
            lookup("policy", policy, self.policy_aliases)
        elif not (isinstance(policy, type) and issubclass(policy, ViTPolicy)):
            raise ValueError(f"policy must be 'ViTPolicy' or a subclass of ViTPolicy, not {policy!r}")

    def _setup_model(self) -> None:
        self._setup_lr_schedule()
        self.set_random_seed(self.seed)
        seeds = AgentSeeds.of(self.seed)
        self._action_seed, self._view_seed = seeds.actions, seeds.views
        config = PolicyConfig(
            backbone_seed=seeds.backbone, peft_seed=seeds.peft, head_seed=seeds.head, method_seed=seeds.method
        )
        kwargs = {"config": config} | self.policy_kwargs
        given = kwargs["config"] if isinstance(kwargs["config"], PolicyConfig) else config
        given = replace(given, **{name: kwargs[name] for name in ("method", "peft") if name in kwargs})
        if kwargs.get("made_method") is None:
            self._check_config(given)
        make_policy = cast(type[ViTPolicy], self.policy_class)
        policy = make_policy(self.observation_space, self.action_space, self.lr_schedule, **kwargs)
        self.policy = policy.to(self.device)
        self._name_classes(self.class_names)
        self._actions_generator = torch.Generator(device=self.device)
        self._views_generator = torch.Generator()
        self._choose_view()

    def _check_config(self, config: PolicyConfig) -> None:
        """Check that method, PEFT module and objective go together, before anything is built.

        Raises:
            ValueError: They do not.
        """
        check_method(config.method, config.peft, self.objective)

    def learn(
        self: SelfOneStep,
        total_timesteps: int,
        callback: MaybeCallback = None,
        log_interval: int = 10,
        tb_log_name: str | None = None,
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
    ) -> SelfOneStep:
        """Train on one task.

        Args:
            total_timesteps: Images to train on, rounded up to whole batches.
            callback: SB3 callbacks, called after every step of the environments. One that resets or steps the
                environment of the agent, as `EvalCallback` on it does, has training go on from a further reset.
            log_interval: Gradient steps from one log row to the next.
            tb_log_name: Name of the run for TensorBoard; by default the algorithm's.
            reset_num_timesteps: Count steps from 0 again.
            progress_bar: Show one.

        Returns:
            The agent itself.

        Raises:
            ValueError: The environment does not say what is learned from, its episodes have several steps, or its
                classes are not those that were learned; a callback set options without a reset; or an argument, also
                one set as an attribute since, is out of range.
            DivergedError: Training diverged.
        """
        if isinstance(total_timesteps, float) and total_timesteps % 1 == 0:
            total_timesteps = int(total_timesteps)  # 1e5, as it is often written
        total_timesteps = whole_number("total_timesteps", total_timesteps, least=1)
        log_interval = whole_number("log_interval", log_interval, least=1)
        reset_num_timesteps = truth_value("reset_num_timesteps", reset_num_timesteps)
        progress_bar = truth_value("progress_bar", progress_bar)
        callback = arguments.callbacks(callback)
        if self.env is None:
            raise ValueError("the agent has no environment to learn on: give it one by set_env(env) or load(path, env)")
        self._check_classes(self.env)
        self._take_changes()
        self._one_pass = Epoch(self.env, self._num_actions)
        self._last_obs = None  # begin with the images of the task that was set, also with reset_num_timesteps=False
        log_name = type(self).__name__ if tb_log_name is None else word("tb_log_name", tb_log_name)
        _, listener = self._setup_learn(total_timesteps, callback, reset_num_timesteps, log_name, progress_bar)
        task = self._begin_task()
        method = self.policy.method
        updates = math.ceil(total_timesteps / self.batch_size) if method.learns_by_gradient else 0
        self._frozen_share = self.freeze_fraction if self.policy.network.peft_frozen else 0.0
        hold_rows_without_gradient(self.policy.optimizer)  # a copied agent has a copied optimizer
        listener.on_training_start(locals(), globals())
        self._watch = DivergenceWatch(self.policy, self._task_number, self._advice())
        for update in range(updates):
            self._watch.step = update + 1
            progress = update / updates
            self._current_progress_remaining = 1.0 - progress
            if progress >= self.freeze_fraction and self.policy.network.peft_frozen:
                self.policy.unfreeze_peft()
                self._feature_cache.forget()
            if not self._train_on_batch(progress, listener, log=(update + 1) % log_interval == 0):
                break
        self.policy.set_training_mode(False)
        if updates:
            self._check_end_of_task()
        method.end_task(self.policy.network, task)
        if not method.learns_by_gradient:
            self.num_timesteps += self._one_pass.count
        listener.on_training_end()
        return self

    def _init_callback(self, callback: MaybeCallback, progress_bar: bool = False) -> BaseCallback:
        """As SB3's, which follows the reset that begins a call; the callback may move the environment already."""
        assert self.env is not None
        self._marks = marks_of(self.env)
        return super()._init_callback(callback, progress_bar)

    def _begin_task(self) -> TaskInfo:
        """Begin the environment's task, if it is a new one, and return it."""
        assert self.env is not None
        info = observation_info(self.env, self._num_actions)
        current = task_of(self.env, info)
        new = not is_same_task(self._current_task, current)
        index = self.policy.network.tasks_begun - (not new)
        task = TaskInfo(
            index,
            current["classes"],
            num_tasks=info.task_mask.shape[1] or None,
            seed=(self.policy.config.method_seed + index) % 2**32,
            images=self._task_images,
        )
        if new:
            if self.policy.method.needs_task_data and info.epoch_length is None:
                raise ValueError(
                    f"method {self.policy.config.method!r} reads all images of a task and needs their number, "
                    "info['epoch_length'], which the environment does not provide"
                )
            self._feature_cache.forget()
            self._seed_task(self.policy.network.tasks_begun + 1)
            self.policy.begin_task(task.classes, freeze_peft=index > 0 and self.freeze_fraction > 0, task=task)
        self._remember_task(self.env, current)
        return task

    @property
    def _task_number(self) -> int:
        """The last of the current tasks; where the environment does not number them, how many came before."""
        assert self._current_task is not None
        return max(self._current_task["tasks"], default=self.policy.network.tasks_begun - 1)

    def _task_images(self) -> Iterator[Batch]:
        """The images of the current tasks, each once and as at test; the environment begins them anew afterwards."""
        try:
            for images, info, rows in self._one_pass:
                yield self._batch(images, info, self.policy.network.preprocessing, rows)
        finally:
            self._see(self._one_pass.begin_again())

    def _see(self, observations: VecEnvObs) -> None:
        """Keep what the environment shows, with the marks by which a reset or a step of others is noticed."""
        assert self.env is not None
        self._last_obs, self._marks = observations, marks_of(self.env)  # type: ignore[assignment]

    def _batch(
        self, images: Any, info: ObservationInfo, view: Callable[[Tensor], Tensor], rows: Any = slice(None)
    ) -> Batch:
        """Observed images, all or some, with what is known of them, on the policy's device."""
        return Batch(
            self._to_device(images[rows]),
            self._to_device(self._full_feedback(info)[rows]),
            self._to_device(info.action_mask[rows]),
            None if info.image_index is None else info.image_index[rows],
            view,
            self._feature_cache if self.cache_features else None,
        )

    def _seed_task(self, number: int) -> None:
        for generator, seed in ((self._actions_generator, self._action_seed), (self._views_generator, self._view_seed)):
            generator.manual_seed(seed + number)
        self._reset_task_state(self._action_seed + number)

    def _train_on_batch(self, progress: float, listener: BaseCallback, log: bool) -> bool:
        """Collect a batch and learn from it; False where a callback ends the training."""
        self.policy.set_training_mode(True)  # a callback or a method may have evaluated it since the last batch
        self._update_learning_rate(self.policy.optimizer)
        self._last_batch = None
        collected = self._collect(progress, listener)
        if collected is None:
            return False
        batches, logits, action_rewards = collected
        self._last_batch = batches[-1]
        loss = self._update(batches, logits, action_rewards, progress)
        self._n_updates += 1
        if log:
            known = action_rewards if self.knows_all_rewards else None
            log_update(self, self._task_number, progress, loss, logits.detach(), known)
        return True

    def _collect(self, progress: float, listener: BaseCallback) -> tuple[list[Batch], Tensor, Tensor] | None:
        """See a batch and act on it, with the one forward pass that learning uses too.

        Returns:
            The batches, their masked logits and rewards, of shape (B, A); None where a callback ends the training.
        """
        assert self.env is not None
        masked: list[Tensor] = []
        rewards: list[Tensor] = []
        batches: list[Batch] = []
        listener.on_rollout_start()
        for _ in range(self.batch_size // self.n_envs):
            batches.append(self._current_batch())
            mask = self.policy.method.loss_mask(self.policy.network, batches[-1])
            masked.append(mask_logits(self._logits(batches[-1]), mask))
            if not self._act(batches[-1], masked[-1], mask, progress, listener):
                return None
            rewards.append(batches[-1].action_rewards * mask)
        listener.on_rollout_end()
        return batches, torch.cat(masked), torch.cat(rewards)

    def _update(self, batches: list[Batch], logits: Tensor, action_rewards: Tensor, progress: float) -> Tensor:
        """Take a gradient step, and return the loss, a scalar without gradient."""
        method = self.policy.method
        loss = self._loss(logits, action_rewards, progress).mean()
        with self._autocast():
            further = method.additional_loss(
                self.policy.network, batches, lambda others, values: self._loss(others.float(), values, progress).mean()
            )
        total = loss if further is None else loss + further
        self._watch.note_loss(total)
        self.policy.optimizer.zero_grad(set_to_none=True)
        total.backward()
        self.policy.optimizer.step()
        method.after_step(self.policy.network, batches)
        return total.detach()

    def _current_batch(self) -> Batch:
        """The images on display; where a callback has reset or stepped the environment, those of a new reset."""
        assert self.env is not None and self._current_task is not None
        refuse_pending(self.env)
        if has_moved(self.env, self._marks):
            self._see(self.env.reset())
        info = observation_info(self.env, self._num_actions)
        for what, mask in (("classes", info.action_mask), ("tasks", info.task_mask)):
            if set(np.flatnonzero(mask.any(axis=0))) - set(self._current_task[what]):
                raise ValueError(
                    f"the environment moved on to new {what} during learn: set the task before each call of learn, "
                    "and let total_timesteps be at most the images of the task where scenario='online'"
                )
        return self._batch(self._last_obs, info, self._view)

    def _logits(self, batch: Batch) -> Tensor:
        with self._autocast():
            logits = self.policy.method.training_logits(self.policy.network, batch).float()
        batch.logits = logits.detach()
        return logits

    def _autocast(self) -> torch.autocast:
        dtype = self._precision
        return torch.autocast(self.device.type, dtype=dtype, enabled=dtype != torch.float32)

    def _act(self, batch: Batch, logits: Tensor, mask: Tensor, progress: float, listener: BaseCallback) -> bool:
        """Sample actions and step the environments; False where a callback ends the training."""
        assert self.env is not None
        outputs = logits.detach()
        probabilities = self._behavior_policy(outputs, progress)
        limit = self._largest_output()
        chosen, actions = self._watch.draw(probabilities, outputs, mask, limit, self._actions_generator)
        new_obs, rewards, dones, infos = self.env.step(actions)
        self._see(new_obs)
        if not dones.all():
            name = type(self).__name__
            raise ValueError(f"{name} learns from the reward of one action: every episode must end after one step")
        check_rewards(rewards)
        self._largest_reward = max(self._largest_reward or 0.0, float(np.abs(rewards).max()))
        self._observe_bandit_reward(batch, probabilities, chosen, self._to_device(rewards))
        self.num_timesteps += self.n_envs
        listener.update_locals(locals())
        if not listener.on_step():
            return False
        self._update_info_buffer(infos, dones)
        return True

    def _advice(self) -> Advice | None:
        """What to name and to change where training diverges; by default, the learning rate."""
        return None

    def _largest_output(self) -> float:
        """The largest sensible size of an output of the network in training."""
        return LARGEST_LOGIT

    def _check_end_of_task(self) -> None:
        """Check that the last gradient steps left finite parameters and, where these are large, sensible outputs.

        Raises:
            DivergedError: They did not.
        """
        if not self._watch.check_parameters() and self._last_batch is not None:
            mask = self.policy.method.loss_mask(self.policy.network, self._last_batch)
            with torch.no_grad():
                self._watch.check_outputs(self._logits(self._last_batch), mask, self._largest_output())
        self._last_batch = None

    def _to_device(self, array: Any) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device, non_blocking=True)
