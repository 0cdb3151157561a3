"""The MDP that both environments share: episodes of one image each, their rewards and their info."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from inspect import signature
from typing import Any, SupportsFloat, cast

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from cls_env.arguments import whole_number, word
from cls_env.datasets import DATASETS, ImageDataset
from cls_env.datasets.image_dataset import Images
from cls_env.datasets.storage.row_reader import RowReader
from cls_env.rewards.matrices import Rewards, reward
from cls_env.rewards.model import RewardMatrix, RewardModel
from cls_env.specification import lookup, quoted
from cls_env.tasks import TaskStream
from cls_env.tasks.samplers import make_sampler

Dataset = str | ImageDataset | tuple[ArrayLike, ...]
FEEDBACKS = {"full": True, "bandit": False}


@dataclass(frozen=True, eq=False)
class Episodes:
    """A batch of episodes: the images shown to the agent, and what belongs to them.

    Attributes:
        labels: Labels with label noise, int64 of shape (N,).
        tasks: Task id of each image, int64 of shape (N,).
        rows: Row of each image in its split, int64 of shape (N,).
        steps: Step number of each image, counted from the last seed, int64 of shape (N,).
        action_rewards: Reward of each action, float32 of shape (N, A).
        padding: True for images that only fill the last batch of an epoch, bool of shape (N,).
        read: Reads rows of the split.
    """

    labels: NDArray[np.int64]
    tasks: NDArray[np.int64]
    rows: NDArray[np.int64]
    steps: NDArray[np.int64]
    action_rewards: Rewards
    padding: NDArray[np.bool_]
    read: RowReader

    @cached_property
    def images(self) -> NDArray[np.uint8]:
        """The images, uint8 of shape (N, H, W, 3); read at the first access."""
        return self.read(self.rows)


class EpisodeSource:
    """Samples images of a stream, pays rewards, and describes both for `info`.

    Training images come in random order, others in a fixed order, both without replacement within an epoch.

    Args:
        stream: The stream of tasks.
        split: `"train"`, `"validation"` or `"test"`.
        task: The first task, or tasks.
        feedback: `"full"` puts the label and the rewards of all actions into `info`. `"bandit"` omits them.
        reward_matrix: R[label, action] of shape (K, K), or a function of the class names that returns it. Defaults to
            1 on the diagonal, else 0.
        reward_noise: A specification of `REWARD_NOISES`, or None.
        abstain_reward: Reward of an additional action, abstaining. With None there is no such action.
        task_schedule: Training episodes per task, or one number for all tasks. With None only `begin` sets the task.
        task_blur: In [0, 1]: how much the boundaries of the schedule are blurred.

    Attributes:
        full_feedback: Whether `info` has the label and the rewards of all actions.
        evaluates: Whether the split is `"validation"` or `"test"`.
        share: `(index, count)`: the share of the images that is shown.
        num_episodes: Number of episodes finished since construction, without padding.

    Raises:
        ValueError: An argument is unknown, out of range, or of the wrong shape, or two arguments can't be combined.
    """

    def __init__(
        self,
        stream: TaskStream,
        split: str = "train",
        task: int | Sequence[int] = 0,
        feedback: str = "full",
        reward_matrix: RewardMatrix | None = None,
        reward_noise: str | None = None,
        abstain_reward: float | None = None,
        task_schedule: int | Sequence[int] | None = None,
        task_blur: float = 0.0,
    ) -> None:
        self.stream = stream
        self.evaluates = word("split", split) != "train"
        self._split = split
        self.observation_space = cast(
            spaces.Space[NDArray[np.uint8]],
            spaces.Box(0, 255, stream.dataset.train_images.shape[1:], np.uint8),
        )
        self.full_feedback = lookup("feedback", feedback, FEEDBACKS)
        self._read, self._labels = RowReader(stream.images(split)), stream.labels(split)
        self._rewards = RewardModel(stream.class_names, reward_matrix, reward_noise, abstain_reward)
        self.reward_noise = reward_noise
        self.action_space = spaces.Discrete(self._rewards.num_actions)
        self._task_of = np.full(len(self._labels), -1)
        action_masks = np.zeros((len(stream.tasks), self._rewards.num_actions), dtype=np.int8)
        action_masks[:, stream.num_classes :] = 1
        for member in stream.tasks:
            self._task_of[member.indices(split)] = member.index
            action_masks[member.index, member.classes] = 1
        self._sampler = make_sampler(stream, split, task, task_schedule, task_blur, action_masks)
        self._num_sampled = 0
        self._num_answered = 0
        self.share = 0, 1
        self._noise_generator: np.random.Generator | None = None
        self.num_episodes = 0
        self._total_regret: Any = 0.0

    @property
    def epoch_length(self) -> int:
        """Number of images of the current tasks, in all shares."""
        first = np.zeros(1, dtype=np.int64)
        return int(self._sampler.info(first, first)["epoch_length"][0])

    @property
    def total_regret(self) -> float:
        """Sum of the regrets of the episodes finished since construction."""
        self._total_regret = float(self._total_regret)
        return self._total_regret

    def add_regret(self, regret: SupportsFloat, to: float | None = None) -> None:
        """Add to `total_regret`, or `to` another sum; a number on a device is read when `total_regret` is."""
        self._total_regret = (self._total_regret if to is None else float(to)) + regret  # type: ignore[operator]

    @property
    def rewards_of_labels(self) -> Rewards | None:
        """R[label, action], float32 of shape (K, A); None if the rewards of an image are drawn."""
        return None if self._rewards.is_noisy else self._rewards.expected

    @property
    def regrets_of_labels(self) -> Rewards:
        """The regret of each action by label, float32 of shape (K, A)."""
        return self._rewards.expected.max(axis=1, keepdims=True) - self._rewards.expected

    @property
    def reveals_success(self) -> bool:
        """Whether `info` may report if a choice was right."""
        return self.full_feedback or self._rewards.reward_reveals_success

    @property
    def images(self) -> Images:
        """The images of all tasks in the split, uint8 of shape (R, H, W, 3)."""
        return self.stream.images(self._split)

    @property
    def tasks(self) -> tuple[int, ...]:
        """The current tasks."""
        return self._sampler.tasks

    def rows_of(self, tasks: Sequence[int]) -> NDArray[np.int64]:
        """The rows of the images of some tasks in their split, in ascending order."""
        return np.unique(np.concatenate([self.stream.tasks[task].indices(self._split) for task in tasks]))

    @property
    def image_selection(self) -> tuple[object, ...]:
        """Stream fingerprint, split and current tasks. Equal if two sources show the same images."""
        return self.stream.fingerprint, self._split, self._sampler.tasks

    def set_share(self, index: int, count: int) -> int:
        """Show only share `index` of `count` shares of an evaluation split.

        Returns:
            The number of images in all shares.

        Raises:
            ValueError: The index is out of range, or the split is for training.
        """
        total = whole_number("count", count, 1)
        if whole_number("index", index, 0) >= total:
            raise ValueError(f"index must be in 0 ... {total - 1}, not {index}")
        before = self.share
        images = self._sampler.set_share(int(index), total)
        self.share = int(index), total
        if self.share != before:
            self._num_answered = 0
        return images

    @property
    def action_names(self) -> tuple[str, ...]:
        """Name of each action: the classes in class order and, with `abstain_reward`, `"abstain"`."""
        return (*self.stream.class_names, "abstain")[: self._rewards.num_actions]

    def begin(self, seed: object, options: dict[str, Any] | None) -> None:
        """Apply the arguments of an environment's `reset`: the option `task` sets the task, a seed restarts.

        Raises:
            ValueError: An option is unknown, or the task is out of range or set by a schedule.
        """
        if options is not None and not isinstance(options, Mapping):
            raise ValueError(f"options must be a dict such as {{'task': 1}}, not {quoted(options)}")
        if unknown := set(options or {}) - {"task"}:
            raise ValueError(f"unknown reset option {', '.join(sorted(map(quoted, unknown)))}; the only one is 'task'")
        if options:
            self._sampler.set_tasks(options["task"])
            self._num_answered = 0
        if seed is not None:
            self.begin_epoch()
            self._num_sampled = 0
            self._noise_generator = None

    def begin_epoch(self) -> None:
        """Start a new epoch of the current tasks with the next image."""
        self._sampler.reset()
        self._num_answered = 0

    def warn_of_early_end(self, spare: int = 0) -> None:
        """Warn if the previous evaluation did not cover all images.

        Args:
            spare: Number of episodes after the last epoch to ignore: of environments with unequal shares that step
                together, some take one step that is not counted.
        """
        length = self._sampler.own_epoch_length
        if spare < self._num_answered < length:
            gym.logger.warn(
                f"the previous evaluation covered only {self._num_answered} of {length} {self._split} "
                "images; evaluate_policy covers each image once with "
                "n_eval_episodes=cls_env.evaluation_episodes(env)"
            )
            self._num_answered = 0

    def sample(self, count: int, generator: np.random.Generator) -> Episodes:
        """Return the next episodes. A batch may contain the end of an epoch or a change of task."""
        steps = np.arange(self._num_sampled, self._num_sampled + count)
        rows, padding = self._sampler.next_indices(steps, generator)
        self._num_sampled += count
        labels = self._labels[rows]
        # Reward noise has its own generator, so that it does not change which images come.
        if self._noise_generator is None and self._rewards.is_noisy:
            (self._noise_generator,) = generator.spawn(1)
        action_rewards = self._rewards.draw(labels, self._noise_generator or generator)
        return Episodes(labels, self._task_of[rows], rows, steps, action_rewards, padding, self._read)

    def observation_info(self, episodes: Episodes) -> dict[str, Any]:
        """Entries of `info` for the images of episodes, as arrays of N rows."""
        info: dict[str, Any] = {"task": episodes.tasks} | self._sampler.info(episodes.steps, episodes.tasks)
        if self.evaluates:
            info["padding"] = episodes.padding.copy()
        if self.full_feedback:
            info["image_index"] = episodes.rows
            info["label"] = episodes.labels.copy()
            info["action_rewards"] = episodes.action_rewards.copy()
        return info

    def action_masks(self, episodes: Episodes) -> NDArray[np.bool_]:
        """The `action_mask` of `observation_info`, bool of shape (N, A)."""
        return self._sampler.info(episodes.steps, episodes.tasks)["action_mask"].astype(np.bool_)

    def num_choices(self, episodes: Episodes) -> list[int]:
        """For each episode the number of classes that its action mask allows."""
        return self.action_masks(episodes)[:, : self.stream.num_classes].sum(axis=1).tolist()

    def rewards(self, episodes: Episodes, actions: NDArray[np.int64]) -> Rewards:
        """Rewards R(x, a) of the chosen actions, float32 of shape (N,)."""
        return reward(episodes.action_rewards, actions)

    def count(self, episodes: Episodes) -> None:
        """Count finished episodes."""
        count = int((~episodes.padding).sum())
        self.num_episodes += count
        self._num_answered = (self._num_answered + count) % max(self._sampler.own_epoch_length, 1)

    def end(self, episodes: Episodes, actions: NDArray[np.int64]) -> dict[str, Any]:
        """Count episodes and their regret, and return the entries of `info` for their ends, as arrays of N rows."""
        correct, regret = actions == episodes.labels, self._rewards.regret(episodes.labels, actions)
        self.count(episodes)
        self.add_regret(float(regret[~episodes.padding].sum(dtype=np.float64)))
        outcome: dict[str, Any] = {"action": actions}
        info: dict[str, Any] = {"outcome": outcome}
        if self.full_feedback:
            outcome["label"] = episodes.labels.copy()
        if self.reveals_success:
            outcome["is_success"] = info["is_success"] = correct
        if self.full_feedback or self._rewards.reward_reveals_regret:
            outcome["regret"] = regret
        return info


def first_row(info: dict[str, Any]) -> dict[str, Any]:
    """Entries of `info` for the first episode of a batch: Python's int and bool, NumPy's float32, copies of arrays."""
    return {key: first_row(value) if isinstance(value, dict) else _first(value[0]) for key, value in info.items()}


def _first(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.copy()
    return value if isinstance(value, np.floating) else value.item()


def copy_environment(env: Any, memo: dict[int, Any]) -> Any:
    """Copy an environment with its full state, for its `__deepcopy__`.

    The copy shares the stream and the constructor's arguments, which are immutable.
    """
    twin: Any = object.__new__(type(env))
    memo[id(env)] = twin
    for name, value in vars(env).items():
        setattr(twin, name, value if name.startswith("_ezpickle") else copy.deepcopy(value, memo))
    return twin


def make_source(dataset: Dataset | TaskStream, **arguments: Any) -> EpisodeSource:
    """Make an `EpisodeSource` over a stream, or over a stream made of a dataset.

    Args:
        dataset: A complete stream, or a dataset, its name or its arrays.
        **arguments: Arguments of `EpisodeSource` and, if `dataset` is not a stream, of `TaskStream`.

    Raises:
        ValueError: An argument does not fit.
    """
    own = set(signature(EpisodeSource).parameters) - {"stream"}
    source_arguments = {name: arguments.pop(name) for name in own & set(arguments)}
    if not isinstance(dataset, TaskStream):
        known = {**signature(TaskStream).parameters, **signature(EpisodeSource).parameters}
        del known["stream"]
        for name in arguments:
            _refuse_loader_argument(name, known, dataset)
            lookup("argument of the environment", name, known)
        dataset = TaskStream(dataset, **arguments)
    elif arguments:
        raise ValueError(
            f"{', '.join(arguments)} can't be combined with a TaskStream: give them to TaskStream, or pass a dataset"
        )
    return EpisodeSource(dataset, **source_arguments)


def _refuse_loader_argument(name: str, known: Mapping[str, Any], dataset: Dataset) -> None:
    """Raise ValueError if a name that the environment does not know is an argument of the dataset's loader."""
    if name in known or not isinstance(dataset, str) or dataset not in DATASETS:
        return
    if name in signature(DATASETS[dataset].load_function()).parameters:
        raise ValueError(
            f"{name} is an argument of the loader of dataset {dataset!r}: give dataset_options={{{name!r}: ...}}"
        )
