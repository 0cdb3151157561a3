"""The classes, the task and the data that an agent has learned, compared with those of an environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium as gym
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.utils import check_for_correct_spaces
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from agents.envs.current_task import is_same_task
from agents.envs.stream_identity import class_names_of, image_decoding_of
from agents.networks.class_names import begins_with, check_same_classes, new_positions
from agents.policy import ViTPolicy
from cls_env.datasets.files.decoding import Decoding

_WAY_OUT = (
    "give an environment whose class_order begins with the agent's, or match the classes by name: "
    "load(path, env, match_classes=True) or set_env(env, match_classes=True)"
)


class ClassMemory(BaseAlgorithm):
    """An algorithm that knows the names of its classes and its current task."""

    policy: ViTPolicy
    class_names: tuple[str, ...] | None = None
    """The name of each action, in order; None if the environment did not give them."""
    stream_fingerprint: str | None = None
    """SHA-256 of the stream that was learned last; None if the environment did not give it."""
    images_sha256: str | None = None
    """SHA-256 of the stream's pixels; None if the environment did not give it."""
    image_decoding: Decoding | None = None
    """How the stream's images were decoded from files; None if they were not, or the environment did not say."""
    _current_task: dict[str, Any] | None = None
    """See `task_of`; None before the first task."""

    @property
    def _num_actions(self) -> int:
        assert isinstance(self.action_space, gym.spaces.Discrete)
        return int(self.action_space.n)

    def _name_classes(self, names: Sequence[str] | None) -> None:
        """Store the names of the actions, also in the policy, for its evaluation."""
        self.class_names = self.policy.class_names = None if names is None else tuple(names)

    def _check_classes(self, env: VecEnv) -> None:
        """Check that an environment has the classes that were learned, if the names of both are known.

        Raises:
            ValueError: It has others, or the same in another order.
        """
        names = class_names_of(env)
        if self.class_names is not None and names is not None and self.policy.network.tasks_begun:
            check_same_classes(self.class_names, names, _WAY_OUT)

    def _fit_to(self, env: VecEnv, match_classes: bool) -> None:
        """Make the agent fit the spaces and the classes of an environment.

        Args:
            env: The environment.
            match_classes: Move what is stored for each class to its position in the environment, by name.

        Raises:
            ValueError: Spaces or classes do not fit; nothing has changed then.
        """
        actions = checked_actions(env)
        new_index = self._matched(env) if match_classes else self._extended(env)
        if new_index is None:
            self._check_classes(env)
        self._check_image_size(env)
        check_for_correct_spaces(env, self.observation_space, self.action_space if new_index is None else actions)
        if new_index is not None:
            self._remap_actions(new_index, int(actions.n))
        if new_index is not None or not self.policy.network.tasks_begun:
            self._name_classes(class_names_of(env))

    def _check_image_size(self, env: VecEnv) -> None:
        shown, learned = env.observation_space.shape, self.observation_space.shape
        if shown != learned:
            raise ValueError(
                f"the environment shows images of shape {shown}, and the agent learned on {learned}: make it show such "
                'images; glyphs have 32 pixels with dataset_options={"margin": 0}'
            )

    def _matched(self, env: VecEnv) -> Tensor:
        """The position in an environment's action space of each of the agent's actions, by name."""
        names = class_names_of(env)
        if self.class_names is None or names is None:
            who = "the agent" if self.class_names is None else "the environment"
            raise ValueError(f"match_classes=True needs the names of classes, and {who} has none")
        return new_positions(self.class_names, names, self.policy.network.head.actions.tolist())

    def _extended(self, env: VecEnv) -> Tensor | None:
        """As `_matched`, for an environment whose classes begin with the agent's, in order; None for any other."""
        names = class_names_of(env)
        if self.class_names is None or names is None or not begins_with(names, self.class_names):
            return None
        return torch.arange(self._num_actions)

    def _remap_actions(self, new_index: Tensor, num_actions: int) -> None:
        """Move everything that is stored for each action to its position in another action space.

        Args:
            new_index: The new position of each action, -1 for an unseen one that has none; int64 of shape (A,).
            num_actions: Size of the other action space.
        """
        new_index = new_index.to(self.device)
        self.policy.remap_actions(new_index, num_actions)
        self.action_space = self.policy.action_space
        if self._current_task is not None:
            moved = [int(new_index[action]) for action in self._current_task["classes"]]
            self._current_task = self._current_task | {"classes": sorted(moved)}

    def _remember_task(self, env: VecEnv, task: dict[str, Any]) -> None:
        """Store what is known of a task and of its environment."""
        known = {entry: value for entry, value in task.items() if value is not None}
        self._current_task = (self._current_task or {}) | known if is_same_task(self._current_task, task) else task
        self._name_classes(class_names_of(env) or self.class_names)
        self.stream_fingerprint = task["stream_fingerprint"] or self.stream_fingerprint
        self.images_sha256 = task["images_sha256"] or self.images_sha256
        self.image_decoding = image_decoding_of(env) or self.image_decoding


def checked_actions(env: VecEnv) -> gym.spaces.Discrete:
    """The action space of an environment, one action for each class.

    Raises:
        ValueError: It is not `Discrete`, or does not start at 0.
    """
    space = env.action_space
    if not isinstance(space, gym.spaces.Discrete) or space.start != 0:
        raise ValueError(f"the action space must be Discrete with start=0, not {space}")
    return space
