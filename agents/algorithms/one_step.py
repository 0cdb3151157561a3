"""The training loop of all algorithms for one-step environments: a `learn` call is one task."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from functools import partial
from typing import Any, ClassVar, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.type_aliases import MaybeCallback
from torch import Tensor

from agents.algorithms.batches import BatchSource
from agents.algorithms.classification import Classification
from agents.algorithms.deferred_results import DeferredResults
from agents.algorithms.device_batches import DeviceBatchSource, source_kind
from agents.algorithms.divided_training import backward, divided_logits
from agents.algorithms.resumable_training import ResumableTraining
from agents.algorithms.step_results import ImmediateResults
from agents.algorithms.update_log import Counters, figures
from agents.envs.current_task import is_same_task, task_of
from agents.envs.observation_info import ObservationInfo, Rewards, observation_info
from agents.methods import Batch, TaskInfo
from agents.networks.feature_cache import FeatureCache
from agents.networks.precision import precision_on, tensor_float_32
from agents.objectives import mask_logits
from agents.optimization import learning_arguments as arguments
from agents.optimization.divergence import LARGEST_LOGIT, Advice, DivergenceWatch, is_finite_step
from agents.optimization.rows_without_gradient import hold_rows_without_gradient
from cls_env.arguments import truth_value, whole_number, word

SelfOneStep = TypeVar("SelfOneStep", bound="OneStepAlgorithm")


class OneStepAlgorithm(ResumableTraining, Classification, ABC):
    """Trains a policy on images: one action for each, and one forward pass for acting and learning.

    A `learn` call is one task, of K = `total_timesteps` / `batch_size` gradient steps:

        env.reset()
        method.begin_task()                         # add new classes to the head, freeze the PEFT module
        for k in range(K):
            if k / K >= freeze_fraction: unfreeze the PEFT module
            x, mask = observe(env)                  # batch_size images, the classes of the task
            logits = mask(head(backbone(x)))        # `_logits`
            actions ~ behavior_policy(logits)       # `_behavior_policy`, by default softmax
            rewards = env.step(actions)             # `_observe_bandit_reward`; `_full_feedback` without acting
            loss = mean(L(logits, rewards, k / K))  # `_loss`
            optimizer.step(loss + method.additional_loss())
        method.end_task()

    The first task trains the PEFT module from the start (LAE's protocol, arXiv 2602.14078). The usual loop:

        for task in range(5):
            model.get_env().set_options({"task": task})
            model.learn(4_000, reset_num_timesteps=task == 0)

    A call on the same task as the one before does not begin a task: head, PEFT module and optimizer are continued.
    `policy_kwargs={"method": "lae"}` chooses the continual-learning method, see `agents.methods`.

    Subclasses define what is observed (`_full_feedback` or `_observe_bandit_reward`), how actions are chosen
    (`_behavior_policy`) and what is minimized (`_loss`). The base classes, from the bottom:

    - `ClassMemory` knows the names of the classes and the current task, and matches those of another environment;
    - `Classification` adds `classify`, for images of any kind;
    - `CheckpointedAlgorithm` adds `save` and `load`;
    - `ResumableTraining` adds `training_state` and `continue_from`, to stop and resume within a call;
    - `AgentArguments` adds the constructor, whose arguments `EPG` describes, and the attributes that `learn` applies.

    Attributes:
        class_names: The name of each action, in order, so that `agent.class_names[action]` names a prediction; also
            after `load` without an environment. None if the environment has no `action_names`.
    """

    knows_all_rewards: ClassVar[bool] = False
    """Whether a batch holds the true rewards of all actions."""
    _largest_reward: float | None = None
    _frozen_share: float = 0.0
    _last_batch: Batch | None = None
    _batches: BatchSource
    _watch: DivergenceWatch

    @abstractmethod
    def _loss(self, logits: Tensor, action_rewards: Tensor, progress: float) -> Tensor:
        """The loss of each sample, shape (B,).

        Args:
            logits: Masked, shape (B, A).
            action_rewards: As observed or estimated, shape (B, A).
            progress: Share of the task's steps that are done, in [0, 1).
        """

    def _behavior_policy(self, logits: Tensor, progress: float) -> Tensor:
        """The probabilities of the actions in training, shape (B, A): by default the policy's own."""
        return logits.softmax(dim=1)

    def _full_feedback(self, info: ObservationInfo) -> Rewards | None:
        """The rewards of all actions that are known without acting, shape (N, A); None, the default, if none is."""
        return None

    def _observe_bandit_reward(self, batch: Batch, probabilities: Tensor, actions: Tensor, rewards: Tensor) -> None:
        """Receive the rewards of the chosen actions, shape (B,).

        Bandit algorithms write their reward estimates to `batch.action_rewards`.
        """

    def _reset_task_state(self, seed: int) -> None:
        """Forget what was learned about the rewards of earlier tasks; `seed` is for random numbers of the new one."""

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
            total_timesteps: Images to train on, at least 1; rounded up to whole batches.
            callback: SB3 callbacks, called after every step of the environment. If one resets or steps the environment
                of the agent, as `EvalCallback` on it does, training continues from a further reset.
            log_interval: Gradient steps from one log row to the next, at least 1.
            tb_log_name: Name of the run for TensorBoard; by default the algorithm's.
            reset_num_timesteps: Whether steps are counted from 0 again.
            progress_bar: Whether to show one.

        Raises:
            ValueError: The environment does not report what the algorithm learns from, its episodes have several steps,
                or its classes are not those that were learned; a callback set options without a reset; or an argument,
                also one set as an attribute since, is out of range.
            DivergedError: Training diverged.
        """
        total_timesteps = arguments.timesteps(total_timesteps)
        log_interval = whole_number("log_interval", log_interval, least=1)
        listener = self._start(total_timesteps, callback, tb_log_name, reset_num_timesteps, progress_bar)
        task = self._begin_task()
        method = self.policy.method
        updates = math.ceil(total_timesteps / self.batch_size) if method.learns_by_gradient else 0
        listener.on_training_start(locals(), globals())
        with tensor_float_32(precision_on(self.precision, self.device) == "tf32"):
            self._train(updates, log_interval, listener)
        self.policy.set_training_mode(False)
        if updates:
            self._check_end_of_task()
        method.end_task(self.policy.network, task)
        if not method.learns_by_gradient:
            self.num_timesteps += self._batches.num_read
        listener.on_training_end()
        return self

    def _start(
        self, total_timesteps: int, callback: Any, log_name: str | None, reset_num_timesteps: bool, progress_bar: bool
    ) -> BaseCallback:
        """Check the arguments of a `learn` call, reset the environment and return the callback."""
        reset_num_timesteps = truth_value("reset_num_timesteps", reset_num_timesteps)
        progress_bar = truth_value("progress_bar", progress_bar)
        callback = arguments.callbacks(callback)
        if self.env is None:
            raise ValueError("the agent has no environment to learn on: give it one by set_env(env) or load(path, env)")
        self._check_classes(self.env)
        self._apply_changes()
        log_name = type(self).__name__ if log_name is None else word("tb_log_name", log_name)
        source = source_kind(self.device_images, self.env, self.device)
        if self._feature_cache.digests is not source.digests:
            self._feature_cache = FeatureCache(source.digests)
        cache = self._feature_cache if self.cache_features else None
        self._batches = source(self.env, self._num_actions, self._full_feedback, cache, self.device)
        self._last_obs = None  # begin with the images of the task that was set, also with reset_num_timesteps=False
        return self._setup_learn(total_timesteps, callback, reset_num_timesteps, log_name, progress_bar)[1]

    def _init_callback(self, callback: MaybeCallback, progress_bar: bool = False) -> BaseCallback:
        """As SB3's. It follows the reset that begins a call, and the callback may step the environment already."""
        assert self.env is not None and self._last_obs is not None
        self._batches.show(self.env, self._last_obs)
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
            images=partial(self._batches.task_images, self.policy.network.preprocessing),
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
        """The last of the current tasks; if the environment does not number them, how many came before."""
        assert self._current_task is not None
        return max(self._current_task["tasks"], default=self.policy.network.tasks_begun - 1)

    def _seed_task(self, number: int) -> None:
        for generator, seed in ((self._actions_generator, self._action_seed), (self._views_generator, self._view_seed)):
            generator.manual_seed(seed + number)
        self._reset_task_state(self._action_seed + number)

    def _train(self, updates: int, log_interval: int, listener: BaseCallback) -> None:
        """Take the gradient steps of a `learn` call."""
        self._frozen_share = self.freeze_fraction if self.policy.network.peft_frozen else 0.0
        hold_rows_without_gradient(self.policy.optimizer)  # a copied agent has a copied optimizer
        self._watch, self.skipped_steps = DivergenceWatch(self.policy, self._task_number, self._advice()), 0
        kind = DeferredResults if isinstance(self._batches, DeviceBatchSource) else ImmediateResults
        self._results = kind(self, self._watch, self._actions_generator, self._largest_output, self._note_rewards)
        try:
            self._take_steps(range(self._continued(updates), updates), log_interval, listener)
        finally:
            self._results.close()
            self._results = None

    def _take_steps(self, steps: range, log_interval: int, listener: BaseCallback) -> None:
        for update in steps:
            self._steps_taken, self._watch.step = update, update + 1
            progress = update / steps.stop
            self._current_progress_remaining = 1.0 - progress
            if progress >= self.freeze_fraction and self.policy.network.peft_frozen:
                self.policy.unfreeze_peft()
                self._feature_cache.forget()
            if not self._train_on_batch(progress, listener, log=(update + 1) % log_interval == 0):
                return

    def _train_on_batch(self, progress: float, listener: BaseCallback, log: bool) -> bool:
        """Collect a batch and learn from it; False if a callback ends the training."""
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
        assert self._results is not None
        if log:
            known = action_rewards if self.knows_all_rewards else None
            counters = Counters.of(self, self._task_number, progress)
            self._results.add(counters, figures(loss, logits.detach(), known))
        else:
            self._results.add(None, None)
        return True

    def _collect(self, progress: float, listener: BaseCallback) -> tuple[list[Batch], Tensor, Tensor] | None:
        """Observe images and act on them, with the one forward pass that learning uses too.

        Returns:
            The batches, one for each step of the environment, with their masked logits and their rewards, both of shape
            (B, A); None if a callback ends the training.
        """
        assert self.env is not None and self._current_task is not None
        masked: list[Tensor] = []
        rewards: list[Tensor] = []
        batches: list[Batch] = []
        listener.on_rollout_start()
        for _ in range(self.batch_size // self.n_envs):
            batches.append(self._batches.observe(self.env, self._current_task, self._view))
            mask = self.policy.method.loss_mask(self.policy.network, batches[-1])
            masked.append(mask_logits(self._logits(batches[-1]), mask))
            if not self._act(batches[-1], masked[-1], mask, progress, listener):
                return None
            rewards.append(batches[-1].action_rewards * mask)
        listener.on_rollout_end()
        return batches, torch.cat(masked), torch.cat(rewards)

    def _logits(self, batch: Batch) -> Tensor:
        with self.policy.network.autocast():
            logits = divided_logits(self.policy.method, self.policy.network, batch, self.micro_batch)
        batch.logits = logits.detach()
        return logits

    def _act(self, batch: Batch, logits: Tensor, mask: Tensor, progress: float, listener: BaseCallback) -> bool:
        """Sample actions and step the environment; False if a callback ends the training."""
        assert self.env is not None and self._results is not None
        outputs = logits.detach()
        probabilities = self._behavior_policy(outputs, progress)
        chosen, actions = self._results.draw(probabilities, outputs, mask)
        outcome = self._batches.step(self.env, chosen, actions)
        new_obs, rewards, dones, infos, paid = outcome  # names that SB3's callbacks look up
        self._observe_bandit_reward(batch, probabilities, chosen, paid)
        self.num_timesteps += self.n_envs
        listener.update_locals(locals())
        if not listener.on_step():
            return False
        self._results.note_episodes(outcome)
        return True

    def _note_rewards(self, rewards: NDArray[Any]) -> None:
        self._largest_reward = max(self._largest_reward or 0.0, float(np.abs(rewards).max()))

    def _update(self, batches: list[Batch], logits: Tensor, action_rewards: Tensor, progress: float) -> Tensor:
        """Take a gradient step, and return the loss, a scalar without gradient."""
        method = self.policy.method
        loss = self._loss(logits, action_rewards, progress).mean()
        with self.policy.network.autocast():
            further = method.additional_loss(
                self.policy.network, batches, lambda others, values: self._loss(others.float(), values, progress).mean()
            )
        total = loss if further is None else loss + further
        self.policy.optimizer.zero_grad(set_to_none=True)
        backward(total, self.policy)
        if self.on_divergence == "skip" and not is_finite_step(total, self.policy.trainable_parameters):
            self._skip_step()
            return total.detach()
        self._watch.note_loss(total)
        self.policy.optimizer.step()
        method.after_step(self.policy.network, batches)
        return total.detach()

    def _advice(self) -> Advice | None:
        """Setting and remedy that the message on diverged training names; by default the learning rate."""
        return None

    def _largest_output(self) -> float:
        """The largest plausible size of an output of the network in training."""
        return LARGEST_LOGIT

    def _check_end_of_task(self) -> None:
        """Check that the last gradient steps left finite parameters and, if these are large, plausible outputs.

        Raises:
            DivergedError: They did not.
        """
        if not self._watch.check_parameters() and self._last_batch is not None:
            mask = self.policy.method.loss_mask(self.policy.network, self._last_batch)
            with torch.no_grad():
                self._watch.check_outputs(self._logits(self._last_batch), mask, self._largest_output())
        self._last_batch = None
