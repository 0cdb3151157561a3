"""Episodes of one image each, drawn from the current tasks of a stream: the part that both environments share."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from inspect import signature
from typing import Any, NamedTuple, cast

import gymnasium as gym
import numpy as np
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from cls_env.arguments import whole_number, word
from cls_env.datasets import ImageDataset
from cls_env.datasets.storage.row_reader import RowReader
from cls_env.rewards.matrices import Rewards, reward
from cls_env.rewards.model import RewardMatrix, RewardModel
from cls_env.specification import lookup
from cls_env.tasks import TaskStream
from cls_env.tasks.samplers import make_sampler

Dataset = str | ImageDataset | tuple[ArrayLike, ...]
FEEDBACKS = {"full": True, "bandit": False}


class Episodes(NamedTuple):
    """A batch of images shown to the agent.

    Attributes:
        images: uint8 of shape (N, H, W, 3).
        labels: int64 of shape (N,), as the learner sees them.
        tasks: The task each image belongs to, int64 of shape (N,).
        rows: The row of each image in its split, int64 of shape (N,).
        numbers: The images since the stream began, counted on: int64 of shape (N,).
        action_rewards: What each action pays, float32 of shape (N, A).
        padding: True for images that only fill up the last batch of a pass, bool of shape (N,).
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    tasks: NDArray[np.int64]
    rows: NDArray[np.int64]
    numbers: NDArray[np.int64]
    action_rewards: Rewards
    padding: NDArray[np.bool_]


class EpisodeSource:
    """Hands out a stream's images: training in a seeded shuffle without replacement, else in order, each once a pass.

    Passes over the current tasks follow on one another. In an online stream a pass of training images is the only one:
    the next task follows, and after the last the first again. With a schedule each task has its number of episodes.

    Args:
        stream: Where images and labels come from.
        split: `"train"`, `"validation"` or `"test"`.
        task: The task drawn from, or several.
        feedback: `"full"` puts label and rewards of all actions into `info`, `"bandit"` neither.
        reward_matrix: R[label, action] of shape (K, K), or a function of the class names that returns it; by default 1
            on the diagonal, else 0.
        reward_noise: A specification of `REWARD_NOISES`, or None.
        abstain_reward: What an additional action pays whatever the label; None for no such action.
        task_schedule: Training episodes of each task, or one number for all; by default the stream stays where it is.
        task_blur: In [0, 1]: how far neighbouring tasks of a schedule run into each other.

    Attributes:
        evaluates: Whether the split is for evaluation: validation or test.
        num_episodes: Episodes finished since construction, without those that only filled up a batch.
        total_regret: The sum of their regrets.

    Raises:
        ValueError: An argument is unknown, out of range, or of another shape, or two don't go together.
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
        self._full_feedback = lookup("feedback", feedback, FEEDBACKS)
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
        self._order = make_sampler(stream, split, task, task_schedule, task_blur, action_masks)
        self._shown = 0
        self._answered = 0
        self.share = 0, 1
        self._noise_generator: np.random.Generator | None = None
        self.num_episodes = 0
        self.total_regret = 0.0

    @property
    def epoch_length(self) -> int:
        """The images of the current tasks, shared out or not."""
        return int(self._order.info(np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64))["epoch_length"][0])

    @property
    def image_selection(self) -> tuple[object, ...]:
        """Stream fingerprint, split and current tasks: equal where two sources show the same images."""
        return self.stream.fingerprint, self._split, self._order.tasks

    def share_out(self, index: int, count: int) -> int:
        """Show only one of several shares of an evaluation split; how many images all shares have together.

        Raises:
            ValueError: There is no such share, or the split is for training.
        """
        total = whole_number("count", count, 1)
        if whole_number("index", index, 0) >= total:
            raise ValueError(f"index must be in 0 ... {total - 1}, not {index}")
        before = self.share
        images = self._order.share_out(int(index), total)
        self.share = int(index), total
        if self.share != before:
            self._answered = 0
        return images

    @property
    def action_names(self) -> tuple[str, ...]:
        """The classes in order of arrival and, where abstaining is a choice, that too."""
        return (*self.stream.class_names, "abstain")[: self._rewards.num_actions]

    def begin(self, seed: object, options: dict[str, Any] | None) -> None:
        """Apply what was passed to an environment's `reset`: a seed begins anew, an option `task` moves on.

        Raises:
            ValueError: An option does not exist, or a task is out of range or not to be chosen.
        """
        if options is not None and not isinstance(options, Mapping):
            raise ValueError(f"options must be a dict such as {{'task': 1}}, not {options!r}")
        if unknown := set(options or {}) - {"task"}:
            raise ValueError(f"unknown reset option {', '.join(sorted(unknown))}; the only one is 'task'")
        if options:
            self._order.move_to(options["task"])
            self._answered = 0
        if seed is not None:
            self.begin_pass()
            self._shown = 0
            self._noise_generator = None

    def begin_pass(self) -> None:
        """Begin a new pass over the current tasks with the next image."""
        self._order.rewind()
        self._answered = 0

    def warn_of_early_end(self, spare: int = 0) -> None:
        """Warn where an evaluation begins and the previous one did not cover all images.

        Args:
            spare: How many answers beyond the last pass mean nothing: where environments of unequal shares step
                together, some step once more than is counted.
        """
        if spare < self._answered < self._order.pass_length:
            gym.logger.warn(
                f"the previous evaluation covered only {self._answered} of {self._order.pass_length} {self._split} "
                "images; evaluate_policy covers each image once with "
                "n_eval_episodes=cls_env.evaluation_episodes(env)"
            )
            self._answered = 0

    def draw(self, count: int, generator: np.random.Generator) -> Episodes:
        """The next images; passes, and tasks that move on by themselves, follow on one another within a batch."""
        numbers = np.arange(self._shown, self._shown + count)
        rows, padding = self._order.take(numbers, generator)
        self._shown += count
        labels = self._labels[rows]
        # Noise is drawn from a generator of its own: with it and without, the same images come.
        if self._noise_generator is None and self._rewards.is_noisy:
            (self._noise_generator,) = generator.spawn(1)
        action_rewards = self._rewards.draw(labels, self._noise_generator or generator)
        return Episodes(self._read(rows), labels, self._task_of[rows], rows, numbers, action_rewards, padding)

    def observation_info(self, episodes: Episodes) -> dict[str, Any]:
        """What `info` says of images on display, as arrays with a row for each."""
        info: dict[str, Any] = {"task": episodes.tasks} | self._order.info(episodes.numbers, episodes.tasks)
        if self.evaluates:
            info["padding"] = episodes.padding.copy()
        if self._full_feedback:
            info["image_index"] = episodes.rows
            info["label"] = episodes.labels.copy()
            info["action_rewards"] = episodes.action_rewards.copy()
        return info

    def action_masks(self, episodes: Episodes) -> NDArray[np.bool_]:
        """The `action_mask` of `observation_info`, bool of shape (N, A)."""
        return self._order.info(episodes.numbers, episodes.tasks)["action_mask"].astype(np.bool_)

    def finish(self, episodes: Episodes, actions: NDArray[np.int64]) -> tuple[Rewards, dict[str, Any]]:
        """End episodes.

        Returns:
            What each pays, float32 of shape (N,); and what `info` says of them, as arrays with a row for each.
        """
        correct, regret = actions == episodes.labels, self._rewards.regret(episodes.labels, actions)
        counted = ~episodes.padding
        self.num_episodes += int(counted.sum())
        self.total_regret += float(regret[counted].sum(dtype=np.float64))
        self._answered = (self._answered + int(counted.sum())) % max(self._order.pass_length, 1)
        outcome: dict[str, Any] = {"action": actions}
        info: dict[str, Any] = {"outcome": outcome}
        if self._full_feedback:
            outcome["label"] = episodes.labels.copy()
        if self._full_feedback or self._rewards.reward_reveals_success:
            outcome["is_success"] = info["is_success"] = correct
        if self._full_feedback or self._rewards.reward_reveals_regret:
            outcome["regret"] = regret
        return reward(episodes.action_rewards, actions), info


def copy_environment(env: Any, memo: dict[int, Any]) -> Any:
    """A copy of an environment that goes on where it is, for its `__deepcopy__`.

    The stream and the arguments of the constructor are shared, since nothing changes them.
    """
    twin: Any = object.__new__(type(env))
    memo[id(env)] = twin
    for name, value in vars(env).items():
        setattr(twin, name, value if name.startswith("_ezpickle") else copy.deepcopy(value, memo))
    return twin


def make_source(dataset: Dataset | TaskStream, **arguments: Any) -> EpisodeSource:
    """A source over a stream, or over one made of a data set.

    Args:
        dataset: A complete stream, or images by name or as arrays.
        **arguments: `EpisodeSource`'s, and `TaskStream`'s where `dataset` is not a stream already.

    Raises:
        ValueError: An argument does not fit.
    """
    own = set(signature(EpisodeSource).parameters) - {"stream"}
    source_arguments = {name: arguments.pop(name) for name in own & set(arguments)}
    if not isinstance(dataset, TaskStream):
        known = {**signature(TaskStream).parameters, **signature(EpisodeSource).parameters}
        for name in arguments:
            lookup("argument of the environment", name, known)
        dataset = TaskStream(dataset, **arguments)
    elif arguments:
        raise ValueError(
            f"{', '.join(arguments)} can't be combined with a TaskStream: give them to TaskStream, or pass a dataset"
        )
    return EpisodeSource(dataset, **source_arguments)
