"""Image classification as an environment of one-step episodes, over a stream of tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.utils import EzPickle
from numpy.typing import NDArray

from cls_env.envs.episodes import Dataset, Episodes, copy_environment, make_source
from cls_env.envs.rendering import HumanWindow, checked_render_mode, render_frame
from cls_env.envs.shared_evaluation import WATCH
from cls_env.rewards.model import RewardMatrix
from cls_env.tasks import TaskStream


class ClassIncrementalEnv(gym.Env[NDArray[np.uint8], np.int64], EzPickle):
    """
    ## Description

    Classifying an image is an episode of one step: the image is the state, a class label the action, and the reward
    1 if the label is right. Maximising the expected reward is minimising the expected 0-1 loss (arXiv 2602.14078,
    Proposition 1). The images come as a stream of tasks: the classes are split into tasks, the environment shows
    images of the current task only, and `reset(options={"task": t})` moves on, or a `task_schedule` does. `scenario`
    tells what changes from task to task.

    ## Action Space

    `Discrete(K)`, K being the classes of the whole stream. Action a says "the image shows class a", a counting the
    classes in their order of arrival: the first task holds 0, 1, ..., the second the next ones. Actions outside the
    current task are valid (and wrong); `info["action_mask"]` tells which ones are inside, and `action_masks()` gives it
    to sb3-contrib's `MaskablePPO`. With `abstain_reward` the space is `Discrete(K + 1)`: the last action, K, says
    nothing of the image and is never outside. A below is the number of actions.

    ## Observation Space

    `Box(0, 255, (H, W, 3), uint8)`: one RGB image.

    >>> import gymnasium as gym, cls_env
    >>> env = gym.make("cls_env/ClassIncremental-v0", dataset="glyphs", num_tasks=5)
    >>> env.observation_space
    Box(0, 255, (32, 32, 3), uint8)
    >>> env.action_space
    Discrete(50)

    ## Rewards

    R[label, action]: by default 1.0 if the action is the label, else 0.0. The label of a training image is the one
    the learner sees, which label noise may have flipped. What changes the rewards:

    | Argument                         | Reward                                                                     |
    |----------------------------------|----------------------------------------------------------------------------|
    | `reward_matrix`                  | R itself, or a function that makes it of the stream's class names in order |
    |                                  | of arrival: `cls_env.hierarchical_rewards` gives a mistake within a branch |
    |                                  | of a tree of classes a part of the reward (Wu and Palmer, 1994),           |
    |                                  | `cls_env.cost_sensitive_rewards` is minus a cost (Elkan, 2001)             |
    | `reward_noise="gaussian"`        | a normal variable is added, `gaussian:deviation=0.1`                       |
    | `reward_noise="flip"`            | with `flip:probability=0.1` a reward goes to the other end of R's range,   |
    |                                  | r -> min + max - r                                                         |
    | `abstain_reward`                 | of abstaining, whatever the label, and without noise                       |

    The noise of an image is drawn once, for each class by itself, so that `action_rewards[action]` is exactly the
    reward paid; it is seeded, and the images that come are the same with it and without.

    >>> def by_parity(digits):
    ...     return cls_env.hierarchical_rewards([("odd" if int(digit) % 2 else "even", digit) for digit in digits])
    >>> env = gym.make("cls_env/SplitDigits-v0", reward_matrix=by_parity, abstain_reward=0.25)
    >>> env.unwrapped.stream.class_names
    ('4', '6', '2', '7', '3', '5', '9', '0', '8', '1')
    >>> _, info = env.reset(seed=0)
    >>> info["label"], info["action_rewards"].tolist()
    (1, [0.5, 1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.25])

    ## Starting State

    The next image of the current task. Training images come in a seeded shuffle without replacement, pass after pass;
    test and validation images in order, each once a pass. `reset(seed=...)` and `reset(options=...)` begin a new pass,
    a plain `reset()` goes on.
    In the online scenario each training image is shown once: the next task follows by itself, and after the last one
    the first again.

    With a `task_schedule`, for algorithms that know of no tasks, the training stream moves on by itself after so many
    episodes, and stays with the last task. With `task_blur` b > 0 a window of b times the shorter of two neighbouring
    tasks' episodes is centred at their boundary, in which an image is of the later task with a probability that rises
    on a line from 0 to 1. The images of each task still come pass after pass without replacement. Every image shown
    counts as an episode; `reset(seed=...)` begins the schedule anew, a plain `reset()` goes on.

    >>> env = gym.make("cls_env/ClassIncremental-v0", num_tasks=5, task_schedule=[30, 20, 20, 20, 20])
    >>> _, info = env.reset(seed=0)
    >>> tasks = [info["task"], *(env.reset()[1]["task"] for _ in range(59))]
    >>> [tasks.count(task) for task in range(5)]
    [30, 20, 10, 0, 0]

    ## Episode End

    Every step terminates the episode; none is truncated. The observation that `step` returns is the classified image
    itself, the terminal state. A further `step` without `reset` raises `gymnasium.error.ResetNeeded`.

    ## Evaluation

    With `split="test"` or `"validation"` an evaluation of as many episodes as there are images sees each image once:

    >>> test = gym.make("cls_env/ClassIncremental-v0", num_tasks=5, split="test", task=[0, 1])
    >>> cls_env.evaluation_episodes(test)
    400

    Several single environments, in stable-baselines3's `DummyVecEnv` and `SubprocVecEnv` or Gymnasium's
    `SyncVectorEnv` and `AsyncVectorEnv`, would each iterate over all images. The same function splits the images among
    them: `evaluate_policy(model, envs, n_eval_episodes=cls_env.evaluation_episodes(envs))`. Without it, environments
    that evaluate side by side in one process raise an error, and environments in worker processes warn. There is also
    a warning where an evaluation ended before it covered all images.

    In the native vector environment each `reset()` begins a new pass. If the last batch of a pass has more slots than
    images, the first slots repeat earlier images. `info["padding"]` is True for these, and `num_episodes` and
    `total_regret` do not count them.

    ## Information

    `reset` and `step` return, of the observation that comes with them:

    | Key              | Type            | Meaning                                                              |
    |------------------|-----------------|----------------------------------------------------------------------|
    | `task`           | int             | the task to which the image belongs                                  |
    | `task_mask`      | int8, (T,)      | 1 for the current tasks, of T; with a schedule those that are        |
    |                  |                 | possible at this episode, two where a boundary is blurred            |
    | `action_mask`    | int8, (A,)      | 1 for the classes of the current tasks; for those of the image's own |
    |                  |                 | task in task-incremental tests, in online training and with a        |
    |                  |                 | schedule; 1 for abstaining                                           |
    | `epoch_length`   | int             | images in one pass over the current tasks                            |
    | `task_changed`   | bool            | with a schedule only: whether the most probable task is another one  |
    |                  |                 | than at the episode before                                           |
    | `padding`        | bool            | in validation and test splits only: whether the image only fills a   |
    |                  |                 | batch, or a share without images, and is not counted                 |
    | `image_index`    | int             | the row of the image in its split, with full feedback only           |
    | `label`          | int             | the label, with full feedback only                                   |
    | `action_rewards` | float32, (A,)   | R(x, .), the reward of every action, with full feedback only         |

    and `step` beside it, of the episode it finished:

    | Key              | Type            | Meaning                                                              |
    |------------------|-----------------|----------------------------------------------------------------------|
    | `outcome`        | dict            | `action` (int), `is_success` (bool), `regret` (float32) and, with    |
    |                  |                 | full feedback, `label` (int)                                         |
    | `is_success`     | bool            | whether action and label agree, where stable-baselines3 looks for    |
    |                  |                 | it; False when abstaining                                            |

    The regret is the best expected reward of all actions less that of the action taken, expected being without reward
    noise. With bandit feedback, `info` holds nothing that the reward does not reveal: `is_success` is left out with a
    custom reward matrix and with reward noise, `regret` also with abstention. The experimenter has the properties
    `total_regret` and `num_episodes` of the unwrapped environment, whatever the feedback, as with bsuite's
    `bsuite_info`.

    ## Arguments

    | Parameter        | Type                              | Default    | Description                                 |
    |------------------|-----------------------------------|------------|---------------------------------------------|
    | `dataset`        | str, `ImageDataset`, arrays,      | `"glyphs"` | images by name, as arrays (images, labels), |
    |                  | `TaskStream`                      |            | or a whole stream                           |
    | `task`           | int, sequence of int              | `0`        | the task, or tasks, to begin with           |
    | `split`          | str                               | `"train"`  | `"train"`, `"validation"` or `"test"`       |
    | `feedback`       | str                               | `"full"`   | `"bandit"` keeps the label out of `info`    |
    | `reward_matrix`  | array of shape (K, K), function   | `None`     | R[label, action]; by default 0-1            |
    | `reward_noise`   | str                               | `None`     | `"gaussian:deviation=0.1"`,                 |
    |                  |                                   |            | `"flip:probability=0.1"`                    |
    | `abstain_reward` | float                             | `None`     | what one more action pays, to abstain       |
    | `task_schedule`  | int, sequence of int              | `None`     | episodes of each task, after which the      |
    |                  |                                   |            | training stream moves on by itself          |
    | `task_blur`      | float in [0, 1]                   | `0.0`      | how far neighbouring tasks of a schedule    |
    |                  |                                   |            | run into each other                         |
    | `render_mode`    | str                               | `None`     | `"rgb_array"` or `"human"`                  |

    The further arguments are `TaskStream`'s: `num_tasks`, `scenario` (`"class-incremental"`; also `"task-incremental"`,
    `"domain-incremental"`, `"online"`), `init_classes`, `increment`, `seed` (0), `class_order`, `domains`,
    `validation_fraction` (0), `max_per_class`, `imbalance_factor` (1), `label_noise` (0), `noise_type`
    (`"symmetric"`), `dataset_options`. They go with a dataset, not with a `TaskStream`, which is complete.

    `reset(options={"task": t})` moves the stream to a task, `options={"task": [0, 1, 2]}` to several together. A
    `ValueError` answers an unknown name, a task out of range, an option that does not exist, and what does not go
    together, such as a schedule with a task to begin with; `gymnasium.error.InvalidAction` an action outside the space
    or of another type.

    `copy.deepcopy(env)` copies the full state: the copy shows the same images in the same order. A pickle makes a new
    environment of the same arguments.

    ## Vectorized environment

    `gym.make_vec("cls_env/ClassIncremental-v0", num_envs=256)` makes the native `ClassIncrementalVectorEnv`. Of
    Gymnasium's wrappers for vector environments, as of Gymnasium 1.4:

    | Wrapper                                     | On the native environment                                       |
    |---------------------------------------------|-----------------------------------------------------------------|
    | `RecordEpisodeStatistics`, `ClipReward`, `TransformReward`, `TransformAction`, `DictInfoToList` | work |
    | `NormalizeReward` | works; it divides by the running deviation of the rewards, which are the returns |
    | `RecordVideo`                               | works with `video_length`; an episode by itself is one frame,   |
    |                                             | of the image and not yet of the choice: for that record the     |
    |                                             | single environment                                              |
    | those of observations, `NumpyToTorch`       | refuse the reset within the step, or its array of `final_obs`   |

    Gymnasium 1.1 and 1.2 take every step after an end for a reset: their `RecordEpisodeStatistics` reports the first
    step's rewards, and then returns of 0.

    Observations can be wrapped one by one, where each environment has a shuffle, and a schedule, of its own:

    >>> envs = gym.make_vec(
    ...     "cls_env/ClassIncremental-v0",
    ...     num_envs=2,
    ...     vectorization_mode="sync",
    ...     wrappers=[gym.wrappers.GrayscaleObservation],
    ...     vector_kwargs={"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP},
    ... )
    >>> envs.reset(seed=0)[0].shape
    (2, 32, 32)

    ## Version History

    * v0: initial version.
    """

    metadata = {"render_modes": ["human", "rgb_array"], "render_fps": 4}

    def __init__(
        self,
        dataset: Dataset | TaskStream = "glyphs",
        *,
        task: int | Sequence[int] = 0,
        split: str = "train",
        feedback: str = "full",
        reward_matrix: RewardMatrix | None = None,
        reward_noise: str | None = None,
        abstain_reward: float | None = None,
        task_schedule: int | Sequence[int] | None = None,
        task_blur: float = 0.0,
        render_mode: str | None = None,
        **stream_options: Any,
    ) -> None:
        arguments = {
            "task": task,
            "split": split,
            "feedback": feedback,
            "reward_matrix": reward_matrix,
            "reward_noise": reward_noise,
            "abstain_reward": abstain_reward,
            "task_schedule": task_schedule,
            "task_blur": task_blur,
            **stream_options,
        }
        EzPickle.__init__(self, dataset, render_mode=render_mode, **arguments)
        self._source = make_source(dataset, **arguments)
        self.stream = self._source.stream
        self.observation_space, self.action_space = self._source.observation_space, self._source.action_space
        self.render_mode = checked_render_mode(render_mode, self.metadata)
        self._window = HumanWindow(self.metadata["render_fps"]) if render_mode == "human" else None
        self._image_share: tuple[int, int] | None = None
        self._episode: Episodes | None = None
        self._action: np.int64 | None = None

    def step(self, action: np.int64 | int) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Classify the image: the episode ends.

        Raises:
            InvalidAction: The action is not an integer in 0 ... K - 1.
            ResetNeeded: No episode has begun, or the last one has ended.
            ValueError: Another environment evaluates on the same images side by side with this one.
        """
        if self._episode is None:
            raise ResetNeeded("call reset() before step()")
        if self._action is not None:
            raise ResetNeeded("the episode ended with its only step: call reset() before the next step()")
        if not self.action_space.contains(action):
            raise InvalidAction(
                f"{action!r} ({type(action).__name__}) is not an action: it must be an integer in "
                f"0 ... {self._source.action_space.n - 1}"
            )
        if self._source.evaluates and self._image_share is None:
            WATCH.check_step(self)
        self._action = np.int64(action)
        actions = np.array([action], dtype=np.int64)
        rewards, outcome = self._source.finish(self._episode, actions)
        if self._window is not None:
            self._window.show(self._frame())
        return self._episode.images[0].copy(), float(rewards[0]), True, False, self._info() | _first_row(outcome)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Show the next image.

        Args:
            seed: Seeds the order of the training images, and begins a new pass.
            options: `{"task": t}` or `{"task": [t, u]}` moves the stream.

        Raises:
            ValueError: An option is unknown or out of range.
        """
        number = int(seed) if isinstance(seed, np.integer) else seed
        super().reset(seed=number)
        unanswered = self._episode is not None and self._action is None
        self._source.begin(number, options)
        if self._source.evaluates and self._image_share is None:
            WATCH.note_reset(self)
        if unanswered and self._source.evaluates:
            self._source.warn_of_early_end(spare=0 if self._image_share is None else 1)
            if self._image_share is not None:
                self._source.begin_pass()
        self._episode = self._source.draw(1, self.np_random)
        self._action = None
        if self._window is not None:
            self._window.show(self._frame())
        return self._episode.images[0].copy(), self._info()

    def render(self) -> NDArray[np.uint8] | None:
        """The current frame, uint8 RGB, in mode `"rgb_array"`; the window draws itself in mode `"human"`."""
        if self.render_mode is None:
            gym.logger.warn('render() needs a mode: gym.make(..., render_mode="rgb_array")')
            return None
        return self._frame() if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """Close the window, if there is one."""
        WATCH.forget(self)
        if self._window is not None:
            self._window.close()

    def action_masks(self) -> NDArray[np.bool_]:
        """The action mask of the image on display, bool of shape (A,), where sb3-contrib's MaskablePPO looks for it.

        Raises:
            ResetNeeded: No episode has begun.
        """
        if self._episode is None:
            raise ResetNeeded("call reset() before action_masks()")
        return self._source.action_masks(self._episode)[0]

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """A copy that goes on where this environment is; a pickle makes a new one of the same arguments."""
        return copy_environment(self, memo)

    def share_images(self, index: int, count: int) -> int:
        """Show only one of `count` shares of the validation or test images; `cls_env.evaluation_episodes` calls this.

        The environment keeps its share until this is called again; `share_images(0, 1)` shows all images. A new share
        needs a reset before the next step.

        Args:
            index: Which share, 0 ... count - 1.
            count: How many environments share the images out.

        Returns:
            How many images all shares have together.

        Raises:
            ValueError: There is no such share, or the split is for training.
        """
        before = self._source.share
        total = self._source.share_out(index, count)
        self._image_share = self._source.share
        if self._image_share != before:
            self._episode = None  # the image on display belongs to the share before
        WATCH.forget(self)
        return total

    @property
    def image_share(self) -> tuple[int, int] | None:
        """`(index, count)` of `share_images`, or None; can be set, for Gymnasium's vector environments."""
        return self._image_share

    @image_share.setter
    def image_share(self, share: tuple[int, int]) -> None:
        self.share_images(*share)

    @property
    def epoch_length(self) -> int:
        """The images of the current tasks."""
        return self._source.epoch_length

    @property
    def image_selection(self) -> tuple[object, ...]:
        """Stream fingerprint, split and current tasks: equal where two environments show the same images."""
        return self._source.image_selection

    @property
    def action_names(self) -> tuple[str, ...]:
        """The name of each action: the classes in class order and, with `abstain_reward`, `"abstain"`."""
        return self._source.action_names

    @property
    def reward_noise(self) -> str | None:
        """The specification of the noise on the rewards, or None."""
        return self._source.reward_noise

    @property
    def stream_fingerprint(self) -> str:
        """SHA-256 of the stream's class order, tasks, index lists and labels."""
        return self.stream.fingerprint

    @property
    def images_sha256(self) -> str:
        """SHA-256 of the stream's pixels, training images first."""
        return self.stream.dataset.images_sha256

    @property
    def total_regret(self) -> float:
        """The sum of the regrets of all episodes finished since construction, for the experimenter.

        It is kept whatever the feedback; the agent's `info` may withhold it.
        Source: `bsuite_info` of Osband et al., "Behaviour suite for reinforcement learning", ICLR 2020.
        """
        return self._source.total_regret

    @property
    def num_episodes(self) -> int:
        """The episodes finished since construction."""
        return self._source.num_episodes

    def _info(self) -> dict[str, Any]:
        assert self._episode is not None
        return _first_row(self._source.observation_info(self._episode))

    def _frame(self) -> NDArray[np.uint8]:
        if self._episode is None:
            raise ResetNeeded("call reset() before render()")
        names = self._source.action_names
        chosen = None if self._action is None else names[self._action]
        return render_frame(self._episode.images[0], names[self._episode.labels[0]], chosen)


def _first_row(info: dict[str, Any]) -> dict[str, Any]:
    """The info of one episode out of a batch: Python's int and bool, NumPy's float32, and copies of array rows."""
    return {key: _first_row(value) if isinstance(value, dict) else _row(value[0]) for key, value in info.items()}


def _row(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return value.copy()
    return value if isinstance(value, np.floating) else value.item()
