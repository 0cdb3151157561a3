"""The arguments of an agent, kept as attributes; what is set there is taken on by the next `learn`."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from stable_baselines3.common.type_aliases import Schedule

from agents.checkpoint.parameters import check_parameters
from agents.checkpoint.saved_agent import CheckpointedAlgorithm, constructor_arguments
from agents.methods import check_objective
from agents.networks.feature_cache import FeatureCache
from agents.networks.views import TrainView
from agents.objectives import Objective
from agents.optimization import learning_arguments as arguments
from cls_env.arguments import number, one_of, range_of_areas, truth_value, whole_number, word
from cls_env.specification import lookup


class AgentArguments(CheckpointedAlgorithm):
    """Checks the arguments that all one-step algorithms share, and makes of them what is worked with."""

    objective: str | Objective = ""
    """What is minimised."""
    learning_rate: float | Schedule
    _views_generator: torch.Generator
    _feature_cache: FeatureCache
    _scheduled: float | Schedule | None = None
    _precision: torch.dtype = torch.float32

    def _take_arguments(self) -> None:
        """Check the arguments; a subclass does so with its own.

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
        self.precision = word("precision", self.precision)
        dtype = lookup("precision", self.precision, arguments.PRECISIONS)
        if dtype != self._precision:
            self._precision, self._feature_cache = dtype, FeatureCache()
        self.learning_rate = arguments.learning_rate(self.learning_rate)

    def _take_changes(self) -> None:
        """Take on arguments that were set as attributes since the agent was made.

        Raises:
            ValueError: One is of a wrong type, out of range, or does not fit the others.
        """
        self._take_arguments()
        self._check_batches(self.n_envs)
        check_objective(self.policy.config.method, self.policy.method, self.objective)
        if self._scheduled != self.learning_rate:
            self._setup_lr_schedule()
        self.policy.lr_schedule = self.lr_schedule
        self._choose_view()

    def _refuse_unknown(self, names: Any) -> None:
        for name in names:
            one_of(f"argument of {type(self).__name__}", name, [*constructor_arguments(type(self)), "env", "device"])

    def _check_batches(self, num_envs: int) -> None:
        if self.batch_size % num_envs:
            raise ValueError(f"batch_size {self.batch_size} is not a multiple of the {num_envs} environments")

    def _choose_view(self) -> None:
        """What is seen of an image in training: the centre, or crops where `crop_scale` says so."""
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
        """As SB3's, for the parameters of an agent that learned the same classes; files are for `load`.

        Args:
            load_path_or_dict: What `get_parameters` gave.
            exact_match: Whether all parameters must be given.
            device: As in SB3.

        Raises:
            ValueError: They do not fit; nothing has changed then.
        """
        check_parameters(load_path_or_dict, self.get_parameters(), type(self).__name__, exact_match)
        super().set_parameters(load_path_or_dict, exact_match, device)
        self._feature_cache.forget()
