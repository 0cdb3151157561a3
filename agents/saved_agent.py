"""An agent in a file, and out of it again, as stable-baselines3's users save and load one."""

from __future__ import annotations

import io
import pathlib
from abc import abstractmethod
from collections.abc import Iterable
from typing import Any, ClassVar, TypeVar

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import VectorEnv
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.type_aliases import GymEnv
from stable_baselines3.common.utils import check_for_correct_spaces
from torch import Tensor

from agents.checkpoint import (
    describe_policy,
    load_weights,
    read_description,
    read_state,
    save_checkpoint,
    saved_agent_arguments,
)
from agents.policy import ViTPolicy

SelfSaved = TypeVar("SelfSaved", bound="SavedAgent")


class SavedAgent(BaseAlgorithm):
    """`save` and `load` of an algorithm with a `ViTPolicy`, without running code that a file holds."""

    policy: ViTPolicy
    own_arguments: ClassVar[tuple[str, ...]] = ()
    """Constructor arguments of a subclass, kept as attributes of their names and in checkpoints."""
    batch_size: int
    freeze_fraction: float
    crop_scale: tuple[float, float] | None
    cache_features: bool
    precision: str
    _action_seed: int
    _view_seed: int
    _current_task: dict[str, list[int]] | None

    def _state(self) -> dict[str, Tensor]:
        """What a checkpoint keeps beside the policy; none."""
        return {}

    def _resume(self, tensors: dict[str, Tensor]) -> None:
        """Take on a saved state."""

    @abstractmethod
    def _seed_task(self) -> None:
        """Let the task's random numbers follow from the agent's seeds."""

    @property
    def _num_actions(self) -> int:
        assert isinstance(self.action_space, gym.spaces.Discrete)
        return int(self.action_space.n)

    def save(
        self,
        path: str | pathlib.Path | io.BufferedIOBase,
        exclude: Iterable[str] | None = None,
        include: Iterable[str] | None = None,
    ) -> None:
        """Save head, PEFT module and method in a zip of safetensors and JSON, from which `load` rebuilds the agent.

        The frozen backbone is named with its hash, not copied. The optimizer is not saved, since every task renews it:
        a checkpoint taken within a task goes on with a fresh one, an unfrozen PEFT module and the random numbers of the
        task's beginning.
        A learning-rate schedule or an objective given as a function, and an optimizer or a policy of one's own, are
        code, which is not saved either: pass them to `load` again.

        Args:
            path: The file; `.zip` is added where it has no suffix.
            exclude: Must be None: the format has no optional parts.
            include: Must be None.

        Raises:
            ValueError: `exclude` or `include` is given, or `path` is a stream.
        """
        if exclude is not None or include is not None or isinstance(path, io.IOBase):
            raise ValueError("save writes one file of a fixed form: give a path, and neither exclude nor include")
        description = {
            "algorithm": type(self).__name__,
            **{name: _unless_code(getattr(self, name)) for name in self.own_arguments},
            "learning_rate": _unless_code(self.learning_rate),
            "batch_size": self.batch_size,
            "freeze_fraction": self.freeze_fraction,
            "crop_scale": self.crop_scale,
            "cache_features": self.cache_features,
            "precision": self.precision,
            "seed": self.seed,
            "observation_shape": list(self.observation_space.shape or ()),
            "num_actions": self._num_actions,
            "num_timesteps": self.num_timesteps,
            "n_updates": self._n_updates,
            "action_seed": self._action_seed,
            "view_seed": self._view_seed,
            "current_task": self._current_task,
            "tasks_begun": self.policy.tasks_begun,
            **describe_policy(self.policy),
        }
        save_checkpoint(path, self.policy, description, self._state())

    @classmethod
    def load(  # type: ignore[override]
        cls: type[SelfSaved],
        path: str | pathlib.Path,
        env: GymEnv | VectorEnv[Any, Any, Any] | None = None,
        device: torch.device | str = "auto",
        **kwargs: Any,
    ) -> SelfSaved:
        """Rebuild an agent from `save`'s file.

        Args:
            path: The file, with or without `.zip`.
            env: To go on learning; predicting needs none.
            device: Where the policy runs.
            **kwargs: Constructor arguments that replace the saved ones.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is damaged, does not fit the environment, or belongs to other backbone weights.
        """
        saved = read_description(path)
        if saved["algorithm"] not in [kind.__name__ for kind in (*cls.__mro__, *cls.__subclasses__())]:
            raise ValueError(
                f"{path} was saved by {saved['algorithm']}, not by {cls.__name__}: load it with its own class"
            )
        policy = kwargs.pop("policy", "ViTPolicy")
        arguments = saved_agent_arguments(path, saved, kwargs, cls.own_arguments)
        make: Any = cls  # whose subclasses all take these
        model: SelfSaved = make(policy, env, device=device, _init_setup_model=False, **arguments)
        observation_space = gym.spaces.Box(0, 255, tuple(saved["observation_shape"]), np.uint8)
        action_space = gym.spaces.Discrete(saved["num_actions"])
        if model.env is not None:
            check_for_correct_spaces(model.env, observation_space, action_space)
        model.observation_space, model.action_space = observation_space, action_space
        model._setup_model()
        if not model.policy.trains_whole_backbone and model.policy.backbone_hash != saved["backbone_sha256"]:
            raise ValueError(
                f"{path} was trained on other weights of {saved['policy']['model']}: the backbone here has SHA-256 "
                f"{model.policy.backbone_hash[:12]}, the saved one {saved['backbone_sha256'][:12]}"
            )
        model.policy.tasks_begun = saved["tasks_begun"]
        load_weights(path, model.policy)
        model._resume(read_state(path))
        model.policy.to(model.device)
        model.policy.renew_optimizer()
        model._current_task = saved["current_task"]
        model.num_timesteps, model._n_updates = saved["num_timesteps"], saved["n_updates"]
        model._action_seed = saved["action_seed"]
        model._view_seed = saved.get("view_seed", model._view_seed)
        model._seed_task()
        return model


def _unless_code(value: Any) -> Any:
    return None if callable(value) else value
