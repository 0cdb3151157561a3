"""How an agent is made from its arguments: checks, environment and policy. An argument is an attribute of its name."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar, TypeAlias, cast

import gymnasium as gym
import torch
from gymnasium.vector import VectorEnv
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.type_aliases import GymEnv, Schedule
from stable_baselines3.common.vec_env import VecEnv

from agents.algorithms.checkpointed import CheckpointedAlgorithm, constructor_arguments
from agents.algorithms.class_memory import checked_actions
from agents.algorithms.device_batches import DEVICE_IMAGES
from agents.algorithms.divided_training import check_division
from agents.algorithms.saved_memory import check_micro_batch
from agents.checkpoint.parameters import check_parameters
from agents.envs.stream_identity import class_names_of
from agents.envs.vec_env import as_vec_env, native_vector_env
from agents.methods import check_compilable, check_method, check_objective
from agents.networks.compiled_blocks import compile_blocks, undo_compilation
from agents.networks.config import AgentSeeds, PolicyConfig
from agents.networks.devices import checked_device
from agents.networks.feature_cache import FeatureCache
from agents.networks.precision import checked_precision
from agents.networks.views import TrainView
from agents.objectives import Objective
from agents.optimization import learning_arguments as arguments
from agents.optimization.divergence import ON_DIVERGENCE
from agents.policy import ViTPolicy
from cls_env.arguments import number, one_of, range_of_areas, truth_value, whole_number, word
from cls_env.specification import lookup, quoted

PolicyArgument: TypeAlias = str | type[ViTPolicy]
EnvArgument: TypeAlias = GymEnv | VectorEnv[Any, Any, Any] | str | None


class AgentArguments(CheckpointedAlgorithm):
    """The constructor of all one-step algorithms. `EPG` describes the arguments.

    Arguments are kept as attributes. The next `learn` checks and applies those that were set since.
    """

    policy_aliases: ClassVar[dict[str, type[BasePolicy]]] = {"ViTPolicy": ViTPolicy}
    saved_arguments = (
        "batch_size",
        "freeze_fraction",
        "crop_scale",
        "cache_features",
        "precision",
        "compile",
        "device_images",
        "micro_batch",
        "on_divergence",
        "seed",
    )
    objective: str | Objective = ""
    """What is minimized."""
    learning_rate: float | Schedule
    batch_size: int
    freeze_fraction: float
    crop_scale: tuple[float, float] | None
    cache_features: bool
    precision: str
    compile: bool
    device_images: str
    micro_batch: int | None
    on_divergence: str
    _views_generator: torch.Generator
    _scheduled: float | Schedule | None = None
    _compiled: bool = False

    def __init__(
        self,
        policy: PolicyArgument,
        env: EnvArgument,
        learning_rate: float | Schedule = 5e-4,
        batch_size: int = 32,
        freeze_fraction: float = 0.6,
        crop_scale: tuple[float, float] | None = None,
        cache_features: bool = False,
        precision: str = "auto",
        compile: bool = False,
        device_images: str = "auto",
        micro_batch: int | None = None,
        on_divergence: str = "stop",
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
        self.compile, self.device_images, self.micro_batch = compile, device_images, micro_batch
        self.on_divergence = on_divergence
        self._feature_cache = FeatureCache()
        self._check_arguments()
        self._check_policy(policy)
        super().__init__(
            policy,
            self._made_env(env, truth_value("_init_setup_model", _init_setup_model)),  # type: ignore[arg-type]
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

    def _refuse_unknown(self, names: Iterable[str]) -> None:
        for name in names:
            one_of(f"argument of {type(self).__name__}", name, [*constructor_arguments(type(self)), "env", "device"])

    def _check_arguments(self) -> None:
        """Replace the arguments by checked plain Python values; subclasses extend this to their own arguments.

        Raises:
            ValueError: One is of a wrong type or out of range.
        """
        self.batch_size = whole_number("batch_size", self.batch_size, least=1)
        self.freeze_fraction = number("freeze_fraction", self.freeze_fraction, "[0, 1]")
        self.crop_scale = None if self.crop_scale is None else range_of_areas("crop_scale", self.crop_scale)
        self.cache_features = truth_value("cache_features", self.cache_features)
        if self.cache_features and self.crop_scale is not None:
            raise ValueError(
                "cache_features=True and crop_scale can't be combined: crops change the features of an image each time"
            )
        self.precision = checked_precision(self.precision)
        self.compile = truth_value("compile", self.compile)
        self.micro_batch = None if self.micro_batch is None else whole_number("micro_batch", self.micro_batch, least=1)
        self.on_divergence = one_of("on_divergence", word("on_divergence", self.on_divergence), ON_DIVERGENCE)
        self.device_images = one_of("device_images", word("device_images", self.device_images), DEVICE_IMAGES)
        self.learning_rate = arguments.learning_rate(self.learning_rate)

    def _apply_changes(self) -> None:
        """Check and apply arguments that were set as attributes since the agent was made.

        Raises:
            ValueError: One is of a wrong type, out of range, or does not fit the others.
        """
        self._check_arguments()
        self._check_batches(self.n_envs)
        check_objective(self.policy.config.method, self.policy.method, self.objective)
        if self._scheduled != self.learning_rate:
            self._setup_lr_schedule()
        self.policy.lr_schedule = self.lr_schedule
        check_micro_batch(self.micro_batch, self.policy.network)
        check_division(self.policy, self.n_envs)
        self._use_precision()
        self._compile()
        self._choose_view()

    def _check_batches(self, num_envs: int) -> None:
        if self.batch_size % num_envs:
            raise ValueError(f"batch_size {self.batch_size} is not a multiple of the {num_envs} environments")

    def _check_policy(self, policy: PolicyArgument) -> None:
        if isinstance(policy, str):
            lookup("policy", policy, self.policy_aliases)
        elif not (isinstance(policy, type) and issubclass(policy, ViTPolicy)):
            raise ValueError(f"policy must be 'ViTPolicy' or a subclass of ViTPolicy, not {quoted(policy)}")

    def _check_config(self, config: PolicyConfig) -> None:
        """Check that method, PEFT module, objective and compilation can be combined, before anything is built.

        Raises:
            ValueError: They can't.
        """
        method = check_method(config.method, config.peft, self.objective)
        if self.compile:
            check_compilable(config.method, method)

    def _made_env(self, env: EnvArgument, required: bool) -> EnvArgument:
        """The environment, made with `batch_size` sub-environments if it is an id with a native vector environment."""
        if isinstance(env, str):
            return native_vector_env(env, self.batch_size) or env
        if env is None and required:
            name = type(self).__name__
            raise ValueError(
                f"{name} needs an environment to learn its spaces from; without one, use {name}.load(path)"
            )
        return env

    @staticmethod
    def _wrap_env(env: GymEnv, verbose: int = 0, monitor_wrapper: bool = True) -> VecEnv:
        """As SB3, but images stay channels last: the policy transposes them on its device."""
        return as_vec_env(env)

    def set_env(
        self, env: GymEnv | VectorEnv[Any, Any, Any] | str, force_reset: bool = True, match_classes: bool = False
    ) -> None:
        """Set the environment of the next `learn`, of any number of sub-environments that divides the batch size.

        Args:
            env: As in the constructor. Its classes (`action_names`, if it has them) must be those that were learned, in
                the same order; further ones may follow.
            force_reset: As in SB3; `learn` resets in any case.
            match_classes: Match classes by name instead of refusing another order: everything that the agent stores for
                each class moves to the position that the environment gives the class. The environment may have further
                classes, and must have all that the agent has seen.

        Raises:
            ValueError: Its spaces, its number of sub-environments or its classes do not fit.
        """
        if isinstance(env, str):
            env = native_vector_env(env, self.batch_size) or gym.make(env)
        wrapped = self._wrap_env(env, self.verbose)  # type: ignore[arg-type]
        self._check_batches(wrapped.num_envs)
        self._fit_to(wrapped, truth_value("match_classes", match_classes))
        self.n_envs = wrapped.num_envs
        super().set_env(wrapped, force_reset)
        self._feature_cache.forget()

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
        check_micro_batch(self.micro_batch, self.policy.network)
        self._use_precision()
        self._compile()
        self._choose_view()

    def _use_precision(self) -> None:
        if self.policy.precision != self.precision:
            self.policy.precision = self.precision
            self._feature_cache.forget()

    def _compile(self) -> None:
        if self.compile:
            check_compilable(self.policy.config.method, self.policy.method)
            compile_blocks(self.policy.network.backbone)
        elif self._compiled:
            undo_compilation(self.policy.network.backbone)
        self._compiled = self.compile

    def _choose_view(self) -> None:
        """Choose the view of images in training: the center, or random crops if `crop_scale` is set."""
        self.train_view = self.crop_scale and TrainView(self.policy.network.preprocessing.view.size, self.crop_scale)
        view = self.train_view and partial(self.train_view, generator=self._views_generator)
        self._view = partial(self.policy.network.preprocessing, view=view)

    def _setup_lr_schedule(self) -> None:
        super()._setup_lr_schedule()
        self._scheduled = self.learning_rate

    def _update_learning_rate(self, optimizers: list[torch.optim.Optimizer] | torch.optim.Optimizer) -> None:
        arguments.rate_at(self.lr_schedule, self._current_progress_remaining)
        super()._update_learning_rate(optimizers)

    def set_parameters(
        self, load_path_or_dict: Any, exact_match: bool = True, device: torch.device | str = "auto"
    ) -> None:
        """Copy the parameters of an agent that learned the same classes; files are read by `load`.

        Args:
            load_path_or_dict: The dict that `get_parameters` returns.
            exact_match: Whether all parameters must be given.
            device: As in SB3.

        Raises:
            ValueError: They do not fit; nothing has changed then.
        """
        check_parameters(load_path_or_dict, self.get_parameters(), type(self).__name__, exact_match)
        super().set_parameters(load_path_or_dict, exact_match, device)
        self._feature_cache.forget()
