"""Image classification as an environment with one-step episodes, over a stream of tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.error import InvalidAction, ResetNeeded
from gymnasium.utils import EzPickle
from numpy.typing import NDArray

from cls_env.envs.episodes import Dataset, Episodes, first_row, make_source
from cls_env.envs.rendering import Answer, HumanWindow, checked_render_mode, render_frame
from cls_env.envs.shared_evaluation import WATCH, WatchedEnv
from cls_env.rewards.model import RewardMatrix
from cls_env.specification import quoted
from cls_env.tasks import TaskStream


class ClassIncrementalEnv(WatchedEnv, gym.Env[NDArray[np.uint8], np.int64], EzPickle):
    """
    ## Description

    Image classification as a Markov decision process with episodes of one step. The state is an image, the action a
    class label, and the reward is 1 if the label is correct, else 0. Maximizing the expected reward minimizes the
    expected 0-1 loss (arXiv 2602.14078, Proposition 1). The images come as a stream of tasks: the classes are split
    into tasks, and the environment shows images of the current task only. `reset(options={"task": t})` or a
    `task_schedule` changes the task. `scenario` sets what differs between tasks.

    ## Action Space

    `Discrete(K)`, where K is the number of classes in the whole stream. Action a predicts class a. Classes are numbered
    in class order: the first task contains 0, 1, ..., the second the next ones. Actions outside the current task are
    valid (and wrong). `info["action_mask"]` marks the actions inside it, and `action_masks()` gives the mask to
    sb3-contrib's `MaskablePPO`. With `abstain_reward` the space is `Discrete(K + 1)`: the last action, K, abstains and
    is never outside. A below is the number of actions.

    ## Observation Space

    `Box(0, 255, (H, W, 3), uint8)`: one RGB image.

    >>> import gymnasium as gym, cls_env
    >>> env = gym.make("cls_env/ClassIncremental-v0", dataset="glyphs", num_tasks=5)
    >>> env.observation_space
    Box(0, 255, (36, 36, 3), uint8)
    >>> env.action_space
    Discrete(50)

    ## Rewards

    R[label, action]: by default 1.0 if the action is the label, else 0.0. Training labels include label noise. These
    arguments change the rewards:

    | Argument                         | Reward                                                                     |
    |----------------------------------|----------------------------------------------------------------------------|
    | `reward_matrix`                  | R itself, or a function of the stream's class names, in class order, that  |
    |                                  | returns it. `cls_env.hierarchical_rewards` gives partial reward for a      |
    |                                  | mistake within a branch of a class tree (Wu and Palmer, 1994),             |
    |                                  | `cls_env.cost_sensitive_rewards` is minus a cost (Elkan, 2001)             |
    | `reward_noise="gaussian"`        | adds a normal variable, `gaussian:deviation=0.1`                           |
    | `reward_noise="flip"`            | with `flip:probability=0.1`, a reward moves to the other end of R's range, |
    |                                  | r -> min + max - r                                                         |
    | `abstain_reward`                 | reward of abstaining, for every label and without noise                    |

    Reward noise is drawn once per image, independently for each class, so `action_rewards[action]` equals the reward
    that `step` returns. The noise is seeded, and does not change which images are shown.

    >>> def by_parity(digits):
    ...     return cls_env.hierarchical_rewards([("odd" if int(digit) % 2 else "even", digit) for digit in digits])
    >>> env = gym.make("cls_env/SplitDigits-v0", reward_matrix=by_parity, abstain_reward=0.25)
    >>> env.unwrapped.stream.class_names
    ('4', '6', '2', '7', '3', '5', '9', '0', '8', '1')
    >>> _, info = env.reset(seed=0)
    >>> info["label"], info["action_rewards"].tolist()
    (1, [0.5, 1.0, 0.5, 0.0, 0.0, 0.0, 0.0, 0.5, 0.5, 0.0, 0.25])

    ## Starting State

    The next image of the current task. Training images come in a seeded random order without replacement, epoch after
    epoch. Validation and test images come in a fixed order, each once per epoch. `reset(seed=...)` and
    `reset(options=...)` start a new epoch, a plain `reset()` continues.
    In the online scenario each training image is shown once. The next task then follows, and after the last task the
    first one.

    With a `task_schedule`, for algorithms that are not told the tasks, the training stream changes its task after a
    given number of episodes, and stays with the last task. With `task_blur` b > 0, a window is centered at each
    boundary, of b times the episodes of the shorter of the two tasks. Within it the probability of the later task rises
    linearly from 0 to 1. The images of each task still come without replacement, epoch after epoch. Every image shown
    counts as an episode. `reset(seed=...)` restarts the schedule, a plain `reset()` continues.

    >>> env = gym.make("cls_env/ClassIncremental-v0", num_tasks=5, task_schedule=[30, 20, 20, 20, 20])
    >>> _, info = env.reset(seed=0)
    >>> tasks = [info["task"], *(env.reset()[1]["task"] for _ in range(59))]
    >>> [tasks.count(task) for task in range(5)]
    [30, 20, 10, 0, 0]

    ## Episode End

    Every step terminates the episode. Episodes are never truncated. The observation that `step` returns is the
    classified image itself, the terminal state. A further `step` without `reset` raises `gymnasium.error.ResetNeeded`.

    ## Evaluation

    With `split="test"` or `"validation"`, as many episodes as there are images show each image once:

    >>> test = gym.make("cls_env/ClassIncremental-v0", num_tasks=5, split="test", task=[0, 1])
    >>> cls_env.evaluation_episodes(test)
    400

    Several single environments, in stable-baselines3's `DummyVecEnv` and `SubprocVecEnv` or Gymnasium's
    `SyncVectorEnv` and `AsyncVectorEnv`, would each iterate over all images. The same function splits the images among
    them: `evaluate_policy(model, envs, n_eval_episodes=cls_env.evaluation_episodes(envs))`. Without it, environments
    that evaluate together in one process raise an error, and environments in worker processes warn. There is also
    a warning if an evaluation ended before it covered all images.

    In the native vector environment each `reset()` starts a new epoch. If the last batch of an epoch has more slots
    than images, the first slots repeat earlier images. `info["padding"]` is True for these, and `num_episodes` and
    `total_regret` do not count them.

    ## Information

    `reset` and `step` return, for the observation that they return:

    | Key              | Type            | Meaning                                                              |
    |------------------|-----------------|----------------------------------------------------------------------|
    | `task`           | int             | task id of the image                                                 |
    | `task_mask`      | int8, (T,)      | 1 for the current tasks, of T. With a schedule, 1 for the tasks that |
    |                  |                 | are possible at this episode. At a blurred boundary these are two    |
    | `action_mask`    | int8, (A,)      | 1 for the classes of the current tasks, and for abstaining. In three |
    |                  |                 | cases it is 1 for the classes of the image's own task only: in       |
    |                  |                 | task-incremental tests, in online training, and with a schedule      |
    | `epoch_length`   | int             | number of images of the current tasks                                |
    | `task_changed`   | bool            | with a schedule only: whether the most probable task differs from    |
    |                  |                 | that of the previous episode                                         |
    | `padding`        | bool            | in validation and test splits only: whether the image does not count |
    |                  |                 | because it only fills a batch, or a share without images             |
    | `image_index`    | int             | row of the image in its split, with full feedback only               |
    | `label`          | int             | the label, with full feedback only                                   |
    | `action_rewards` | float32, (A,)   | R(x, .), the reward of every action, with full feedback only         |

    and `step` also, for the episode it finished:

    | Key              | Type            | Meaning                                                              |
    |------------------|-----------------|----------------------------------------------------------------------|
    | `outcome`        | dict            | `action` (int), `is_success` (bool), `regret` (float32) and, with    |
    |                  |                 | full feedback, `label` (int)                                         |
    | `is_success`     | bool            | whether the action is the label, under the key that                  |
    |                  |                 | stable-baselines3 reads. False when abstaining                       |

    The regret is the best expected reward over all actions minus that of the chosen action, where the expectation is
    over reward noise. With bandit feedback, `info` contains only what the reward reveals: it omits `is_success` with a
    custom reward matrix or reward noise, and `regret` also with abstention. The properties `total_regret` and
    `num_episodes` of the unwrapped environment are for the experimenter and available with any feedback, like bsuite's
    `bsuite_info`.

    ## Arguments

    | Parameter        | Type                              | Default    | Description                                 |
    |------------------|-----------------------------------|------------|---------------------------------------------|
    | `dataset`        | str, `ImageDataset`, arrays,      | `"glyphs"` | dataset name, arrays (images, labels), or a |
    |                  | `TaskStream`                      |            | complete stream                             |
    | `task`           | int, sequence of int              | `0`        | the first task, or tasks                    |
    | `split`          | str                               | `"train"`  | `"train"`, `"validation"` or `"test"`       |
    | `feedback`       | str                               | `"full"`   | `"bandit"` omits the label from `info`      |
    | `reward_matrix`  | array of shape (K, K), function   | `None`     | R[label, action], 0-1 by default            |
    | `reward_noise`   | str                               | `None`     | `"gaussian:deviation=0.1"`,                 |
    |                  |                                   |            | `"flip:probability=0.1"`                    |
    | `abstain_reward` | float                             | `None`     | reward of an additional action, abstaining  |
    | `task_schedule`  | int, sequence of int              | `None`     | episodes per task, after which the training |
    |                  |                                   |            | stream changes its task                     |
    | `task_blur`      | float in [0, 1]                   | `0.0`      | how much the boundaries of a schedule are   |
    |                  |                                   |            | blurred                                     |
    | `render_mode`    | str                               | `None`     | `"rgb_array"` or `"human"`                  |

    The other arguments are those of `TaskStream`: `num_tasks`, `scenario` (`"class-incremental"`; also
    `"task-incremental"`, `"domain-incremental"`, `"online"`), `init_classes`, `increment`, `seed` (0), `class_order`,
    `domains`, `validation_fraction` (0), `max_per_class`, `imbalance_factor` (1), `label_noise` (0), `noise_type`
    (`"symmetric"`), `dataset_options`. They can't be combined with a `TaskStream`, which is complete.

    `reset(options={"task": t})` sets the task, `options={"task": [0, 1, 2]}` several tasks together. Unknown names,
    tasks out of range, unknown options and arguments that can't be combined, such as a schedule with a first task,
    raise `ValueError`. An action outside the space or of another type raises `gymnasium.error.InvalidAction`.

    `copy.deepcopy(env)` copies the full state: the copy shows the same images in the same order. A pickle makes a new
    environment with the same arguments.

    ## Vectorized environment

    `gym.make_vec("cls_env/ClassIncremental-v0", num_envs=256)` makes the native `ClassIncrementalVectorEnv`. It
    supports these vector wrappers of Gymnasium 1.4:

    | Wrapper                                     | With the native environment                                     |
    |---------------------------------------------|-----------------------------------------------------------------|
    | `RecordEpisodeStatistics`, `ClipReward`, `TransformReward`, `TransformAction`, `DictInfoToList` | work |
    | `NormalizeReward` | works, and divides by the running deviation of the rewards, which are the returns |
    | `RecordVideo`                               | works with `video_length`. An episode is one frame, which shows |
    |                                             | the image but not the action: to record that, use the single    |
    |                                             | environment                                                     |
    | observation wrappers, `NumpyToTorch`        | raise an error, because of the reset within the step or because |
    |                                             | `final_obs` is an array                                         |

    Gymnasium 1.1 and 1.2 treat every step after an episode end as a reset: their `RecordEpisodeStatistics` reports the
    first step's rewards, and then returns of 0.

    Observations can be wrapped in separate single environments, each with its own order of images and its own schedule:

    >>> envs = gym.make_vec(
    ...     "cls_env/ClassIncremental-v0",
    ...     num_envs=2,
    ...     vectorization_mode="sync",
    ...     wrappers=[gym.wrappers.GrayscaleObservation],
    ...     vector_kwargs={"autoreset_mode": gym.vector.AutoresetMode.SAME_STEP},
    ... )
    >>> envs.reset(seed=0)[0].shape
    (2, 36, 36)

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
        self._episodes: Episodes | None = None
        self._action: np.int64 | None = None

    def step(self, action: np.int64 | int) -> tuple[NDArray[np.uint8], float, bool, bool, dict[str, Any]]:
        """Classify the image. This ends the episode.

        Raises:
            InvalidAction: The action is not an integer in 0 ... A - 1.
            ResetNeeded: `reset` was not called before this step.
            ValueError: Another environment evaluates on the same images together with this one.
        """
        episode = self._check_step(action)
        self._action = np.int64(action)
        actions = np.array([action], dtype=np.int64)

        observation = episode.images[0].copy()  # the terminal state
        reward = float(self._source.rewards(episode, actions)[0])
        terminated, truncated = True, False
        outcome = self._source.end(episode, actions)
        info = first_row(self._source.observation_info(episode) | outcome)

        self._show()
        return observation, reward, terminated, truncated, info

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.uint8], dict[str, Any]]:
        """Show the next image.

        Args:
            seed: Seeds the order of the training images and starts a new epoch.
            options: `{"task": t}` or `{"task": [t, u]}` sets the task or tasks.

        Raises:
            ValueError: An option is unknown or out of range.
            gymnasium.error.Error: The seed is not a whole number of at least 0.
        """
        seed = int(seed) if isinstance(seed, np.integer) else seed
        super().reset(seed=seed)
        unfinished = self._episodes is not None and self._action is None
        self._source.begin(seed, options)
        self._watch_reset(unfinished)
        self._episodes = self._source.sample(1, self.np_random)
        self._action = None
        self._show()
        return self._episodes.images[0].copy(), first_row(self._source.observation_info(self._episodes))

    def render(self) -> NDArray[np.uint8] | None:
        """Return the current frame, uint8 RGB, in mode `"rgb_array"`. In mode `"human"` the window shows it."""
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
        """Action mask of the current image, bool of shape (A,), under the name that sb3-contrib's MaskablePPO calls.

        Raises:
            ResetNeeded: `reset` was not called before.
        """
        return super().action_masks()[0]

    def _check_step(self, action: np.int64 | int) -> Episodes:
        episode = self._current("step")
        if self._action is not None:
            raise ResetNeeded("the episode ended with its only step: call reset() before the next step()")
        if not self.action_space.contains(action):
            raise InvalidAction(
                f"{quoted(action)} ({type(action).__name__}) is not an action: it must be an integer in "
                f"0 ... {self._source.action_space.n - 1}"
            )
        self._watch_step()
        return episode

    def _show(self) -> None:
        if self._window is not None:
            self._window.show(self._frame())

    def _frame(self) -> NDArray[np.uint8]:
        episode, source, answer = self._current("render"), self._source, None
        if self._action is not None:
            told = source.reveals_success, source.full_feedback
            answer = Answer.told(source.action_names, int(self._action), int(episode.labels[0]), *told)
        return render_frame(episode.images[0], source.num_choices(episode)[0], answer)
