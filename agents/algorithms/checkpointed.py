"""`save` and `load` of agents, with the interface of stable-baselines3."""

from __future__ import annotations

import io
import pathlib
from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import asdict
from inspect import Parameter, signature
from typing import Any, ClassVar, TypeVar

import gymnasium as gym
import numpy as np
import torch
from gymnasium.vector import VectorEnv
from stable_baselines3.common.type_aliases import GymEnv
from torch import Tensor

from agents.algorithms.class_memory import ClassMemory
from agents.algorithms.episode_buffers import recent_episodes, restore_episodes
from agents.checkpoint.card import CardNotes, model_card
from agents.checkpoint.description import saved_decoding
from agents.checkpoint.policy_file import (
    load_weights,
    policy_to_json,
    read_agent,
    read_state,
    save_checkpoint,
    saved_agent_arguments,
)
from agents.policy import ViTPolicy
from cls_env.arguments import one_of

SelfSaved = TypeVar("SelfSaved", bound="CheckpointedAlgorithm")


class CheckpointedAlgorithm(ClassMemory):
    """`save` and `load` of an algorithm with a `ViTPolicy`, without running code that a file holds."""

    own_arguments: ClassVar[tuple[str, ...]] = ()
    """Constructor arguments of a subclass, kept as attributes of their names and in checkpoints."""
    saved_arguments: ClassVar[tuple[str, ...]] = ()
    """Constructor arguments that all algorithms share, likewise."""
    card_notes: CardNotes = {}
    """Notes that `save` adds to the model card, by heading: entries by name, or Markdown. They are only in the card."""
    _action_seed: int
    _view_seed: int

    def _state(self) -> dict[str, Tensor]:
        """State of the algorithm that a checkpoint holds; by default none."""
        return {}

    def _resume(self, tensors: dict[str, Tensor]) -> None:
        """Load a saved state."""

    @abstractmethod
    def _seed_task(self, number: int) -> None:
        """Seed the random numbers of a task from the agent's seeds and the number of tasks begun, from 1 on."""

    def save(
        self,
        path: str | pathlib.Path | io.BufferedIOBase,
        exclude: Iterable[str] | None = None,
        include: Iterable[str] | None = None,
    ) -> None:
        """Save head, PEFT module and method in a zip of safetensors and JSON, from which `load` rebuilds the agent.

        The file names the classes, holds the hashes of the stream, and says how its images were decoded. Its
        `README.md` is a model card in the form of the Hugging Face hub, to which `card_notes` adds. The frozen backbone
        is named with its hash, not copied. The optimizer is not saved, since every task renews it: a checkpoint taken
        within a task goes on with a fresh one, an unfrozen PEFT module and the random numbers of the task's beginning.
        A learning-rate schedule or an objective given as a function, and an optimizer or a policy class of yours, are
        code, which is not saved either: pass them to `load` again.

        Args:
            path: The file; `.zip` is added where it has no suffix.
            exclude: Must be None: the format has no optional parts.
            include: Must be None.

        Raises:
            ValueError: `exclude` or `include` is given, `path` is a stream, or an argument of the agent is a value that
                JSON can't hold.
        """
        if exclude is not None or include is not None or isinstance(path, io.IOBase):
            raise ValueError("save() needs the path of a file; file objects, exclude and include are not supported")
        description = {
            "algorithm": type(self).__name__,
            **{name: _unless_code(getattr(self, name)) for name in self.own_arguments},
            "learning_rate": _unless_code(self.learning_rate),
            **{name: getattr(self, name) for name in self.saved_arguments},
            "observation_shape": list(self.observation_space.shape or ()),
            "num_actions": self._num_actions,
            "num_timesteps": self.num_timesteps,
            "n_updates": self._n_updates,
            "recent_episodes": recent_episodes(self),
            "class_names": self.class_names,
            "stream_fingerprint": self.stream_fingerprint,
            "images_sha256": self.images_sha256,
            "image_decoding": None if self.image_decoding is None else asdict(self.image_decoding),
            "policy_class": self.policy_class.__name__,
            "action_seed": self._action_seed,
            "view_seed": self._view_seed,
            "current_task": self._current_task,
            "tasks_begun": self.policy.network.tasks_begun,
            **policy_to_json(self.policy),
        }
        card = model_card(description, self.policy, self.card_notes)
        save_checkpoint(path, self.policy, description, self._state(), card)

    @classmethod
    def load(  # type: ignore[override]
        cls: type[SelfSaved],
        path: str | pathlib.Path,
        env: GymEnv | VectorEnv[Any, Any, Any] | None = None,
        device: torch.device | str = "auto",
        match_classes: bool = False,
        **kwargs: Any,
    ) -> SelfSaved:
        """Rebuild an agent from `save`'s file.

        Args:
            path: The file, with or without `.zip`.
            env: To go on learning; predicting needs none. Its classes must be those of the agent, in the same order;
                further ones may follow.
            device: Where the policy runs.
            match_classes: Match the classes of `env` by name instead, see `set_env`.
            **kwargs: Constructor arguments that replace the saved ones.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is damaged, does not fit the environment, or belongs to other backbone weights.
        """
        if isinstance(path, io.IOBase):
            raise ValueError("load reads a file by its path, not a stream")
        for name in kwargs:
            one_of(f"argument of {cls.__name__}", name, constructor_arguments(cls))
        saved = read_agent(path)
        model = cls._rebuilt(path, saved, device, kwargs)
        model._load_state(path, saved)
        if env is not None:
            model.set_env(env, match_classes=match_classes)  # type: ignore[call-arg, arg-type]
            if model.seed is not None and model.env is not None:
                model.env.seed(model.seed)
        return model

    @classmethod
    def _rebuilt(
        cls: type[SelfSaved],
        path: str | pathlib.Path,
        saved: dict[str, Any],
        device: torch.device | str,
        given: dict[str, Any],
    ) -> SelfSaved:
        """An untrained agent as a checkpoint describes it.

        Args:
            path: Of the checkpoint, for messages.
            saved: Its description.
            device: Where the policy runs.
            given: Constructor arguments that replace the saved ones.

        Raises:
            ValueError: It is of another class, can't be made, or has other backbone weights.
        """
        if saved["algorithm"] not in [kind.__name__ for kind in (*cls.__mro__, *cls.__subclasses__())]:
            raise ValueError(
                f"{path} was saved by {saved['algorithm']}, not by {cls.__name__}: load it with its own class"
            )
        policy = given.pop("policy", None) or _policy_class(path, saved, cls)
        arguments = saved_agent_arguments(path, saved, given, cls.own_arguments, cls.saved_arguments)
        make: Any = cls  # whose subclasses all take these
        try:
            model: SelfSaved = make(policy, None, device=device, _init_setup_model=False, **arguments)
            model.observation_space = gym.spaces.Box(0, 255, tuple(saved["observation_shape"]), np.uint8)
            model.action_space = gym.spaces.Discrete(saved["num_actions"])
            model._setup_model()
        except ValueError as error:
            raise ValueError(f"can't rebuild the agent of {path}: {error}") from error
        network = model.policy.network
        if not network.trains_whole_backbone and network.backbone_hash != saved["backbone_sha256"]:
            raise ValueError(
                f"{path} was trained on other weights of {saved['policy']['model']}: the backbone here has SHA-256 "
                f"{network.backbone_hash[:12]}, the saved one {saved['backbone_sha256'][:12]}"
            )
        return model

    def _load_state(self, path: str | pathlib.Path, saved: dict[str, Any]) -> None:
        """Load what a checkpoint holds into an agent made from its description.

        Raises:
            ValueError: The checkpoint is damaged.
        """
        network = self.policy.network
        network.tasks_begun = saved["tasks_begun"]
        load_weights(path, self.policy)
        try:
            self._resume(read_state(path))
            if "recent_episodes" in saved:
                restore_episodes(self, saved["recent_episodes"])
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        if lost := set((saved["current_task"] or {}).get("classes", [])) - set(network.head.actions.tolist()):
            raise ValueError(
                f"model.json in {path}: 'current_task' is damaged: the head has no row for its classes {sorted(lost)}"
            )
        self.policy.to(self.device)
        self.policy.renew_optimizer()
        self._name_classes(saved.get("class_names"))
        self.stream_fingerprint, self.images_sha256 = saved.get("stream_fingerprint"), saved.get("images_sha256")
        decoding = saved.get("image_decoding")
        self.image_decoding = None if decoding is None else saved_decoding(decoding, path)
        self._current_task = saved["current_task"]
        self.num_timesteps, self._n_updates = saved["num_timesteps"], saved["n_updates"]
        self._action_seed = saved["action_seed"]
        self._view_seed = saved.get("view_seed", self._view_seed)
        self._seed_task(network.tasks_begun)


def constructor_arguments(algorithm: type[CheckpointedAlgorithm]) -> list[str]:
    """The arguments that an algorithm and the classes it is made from take, but for those that `load` sets itself."""
    kinds = [kind for kind in algorithm.__mro__ if issubclass(kind, CheckpointedAlgorithm) and "__init__" in vars(kind)]
    parameters = [parameter for kind in kinds for parameter in signature(kind.__init__).parameters.values()]
    names = {parameter.name for parameter in parameters if parameter.kind is not Parameter.VAR_KEYWORD}
    return sorted(names - {"self", "env", "device", "_init_setup_model"})


def _policy_class(path: str | pathlib.Path, saved: dict[str, Any], algorithm: type[CheckpointedAlgorithm]) -> type[Any]:
    """The class of a saved policy, which is code and so must be one that the algorithm knows by itself."""
    known = {kind.__name__: kind for kind in algorithm.policy_aliases.values()}
    name = saved.get("policy_class", ViTPolicy.__name__)
    if name not in known:
        raise ValueError(f"{path} was saved with a policy of its own, {name}: pass it again, load(path, policy={name})")
    return known[name]


def _unless_code(value: Any) -> Any:
    return None if callable(value) else value
