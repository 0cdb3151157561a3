"""Early stopping: keep the policy of the best pass over the images of a task."""

from __future__ import annotations

from collections.abc import Callable
from math import isnan

import torch
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from agents.policy import ViTPolicy
from cls_env.arguments import number, whole_number


class KeepBestPass(BaseCallback):
    """Restores the policy at the end of `learn`, as it was after the pass with the highest measure.

    The measure is computed after each pass over the task's images. Of equally good passes the first is kept. The last
    pass is measured one gradient step before its end, and this step is left out unless the pass is the best. Progress
    of the objective and learning rate follow the whole `learn` call, whichever pass is kept. If another callback ends
    `learn` early, nothing is restored.

    It works with `EPG`, `Reinforce` and `ValueBandit`:

        model.learn(4_000, callback=KeepBestPass(held_out_accuracy, images_per_pass=200))

    Args:
        measure: A function whose value is to be maximized, such as the accuracy on held-out images.
        images_per_pass: Number of images in a pass, at least 1.

    Raises:
        ValueError: An argument is of a wrong type or out of range; in `learn`, the measure is not a number, or the
            algorithm is not one of this package.

    Attributes:
        measures: Values for the passes of this `learn` call so far.
        best_pass: Index of the best pass so far, from 0; None before the first measure.
    """

    def __init__(self, measure: Callable[[], float], images_per_pass: int) -> None:
        super().__init__()
        if not callable(measure):
            raise ValueError(f"measure must be a function without arguments that returns a number, not {measure!r}")
        self.measure, self.images_per_pass = measure, whole_number("images_per_pass", images_per_pass, least=1)
        self.measures: list[float] = []
        self.best_pass: int | None = None
        self._kept: list[Tensor] = []

    @property
    def _policy(self) -> ViTPolicy:
        policy = self.model.policy
        assert isinstance(policy, ViTPolicy)
        return policy

    def _on_training_start(self) -> None:
        if "updates" not in self.locals or not isinstance(self.model.policy, ViTPolicy):
            name = type(self.model).__name__
            raise ValueError(f"KeepBestPass works with EPG, Reinforce and ValueBandit, not with {name}")
        self.measures, self.best_pass, self._kept = [], None, []
        self._first_update = self.model._n_updates
        self._updates: int = self.locals["updates"]
        self._restored = False

    def training_state(self) -> dict[str, Tensor]:
        """The measures so far and the tensors of the best pass, for `SaveTraining`."""
        kept = {f"kept{index}": tensor for index, tensor in enumerate(self._kept)}
        best = -1 if self.best_pass is None else self.best_pass
        return kept | {
            "measures": torch.tensor(self.measures, dtype=torch.float64),
            "best_pass": torch.tensor(best),
            "first_update": torch.tensor(self._first_update),
        }

    def load_training_state(self, tensors: dict[str, Tensor]) -> None:
        """Go on within a `learn` call from what `training_state` returned."""
        self.measures, best = tensors["measures"].tolist(), int(tensors["best_pass"])
        self.best_pass = None if best < 0 else best
        self._first_update = int(tensors["first_update"])
        kept = [tensors[f"kept{index}"] for index in range(sum(name.startswith("kept") for name in tensors))]
        self._kept = [tensor.to(self._policy.device, copy=True) for tensor in kept]

    def _on_rollout_start(self) -> None:
        update = self.model._n_updates - self._first_update
        images = update * self.model.batch_size  # type: ignore[attr-defined]
        last = update == self._updates - 1
        if not last and images < (len(self.measures) + 1) * self.images_per_pass:
            return
        self.measures.append(number("what measure returns", self.measure()))
        if isnan(self.measures[-1]):
            raise ValueError(f"measure returned nan after pass {len(self.measures)}: it must return a number")
        self._policy.set_training_mode(True)  # the measure has evaluated it
        if self.best_pass is None or self.measures[-1] > self.measures[self.best_pass]:
            self.best_pass = len(self.measures) - 1
            self._kept = [tensor.detach().clone() for tensor in self._policy.learned_tensors()]
        elif last:
            self._restore()

    def _on_step(self) -> bool:
        return not self._restored

    @torch.no_grad()
    def _restore(self) -> None:
        for tensor, kept in zip(self._policy.learned_tensors(), self._kept, strict=True):
            tensor.copy_(kept)
        self._restored = True
