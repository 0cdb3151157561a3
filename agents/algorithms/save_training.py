"""A callback that saves the state of a `learn` call every few minutes."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from agents.algorithms.resumable_training import ResumableTraining
from agents.checkpoint.training_file import TrainingStates
from cls_env.arguments import number

_CALLBACK, _LOG, _RUN = "callback", "log/text", "run/name"


@runtime_checkable
class Stateful(Protocol):
    """A callback with a state of its own, which is saved with the training state."""

    def training_state(self) -> dict[str, Tensor]:
        """The state, as tensors."""

    def load_training_state(self, tensors: dict[str, Tensor]) -> None:
        """Go on from what `training_state` returned."""


class SaveTraining(BaseCallback):
    """Saves the state of a `learn` call every few minutes, and continues from it.

    It works with the algorithms of this package, on the native vector environment. Make the agent, or load it as it was
    before the call, then:

        saving = SaveTraining("states", minutes=5)
        saving.resume(model)
        model.learn(24_000, callback=saving)

    The same lines start the call, and go on with it after the process was stopped, to the same numbers on a CPU. Remove
    the folder, or call `clear`, when the call is finished. Let it be the first of several callbacks.

    Args:
        folder: Folder of the states. The newest two are kept.
        minutes: Time between two states, at least 0; 0 saves before each step.
        callbacks: Further callbacks of the call that have a state, such as `KeepBestPass`.
        log: Step log in CSV, whose rows are saved too; see `log_text`.
        run: Name of the run. A state of another run is refused.
        wanted: Whether a state is wanted now; asked before each step.
        on_saved: Called after each state is written.
        warn: Receives a line for each state that is damaged; by default it becomes a warning of Python.

    Attributes:
        log_text: The rows of the log up to the state that `resume` has found; empty without one.
        steps_done: Gradient steps up to that state.
        num_saved: States written so far.
        seconds: Time that writing them took.

    Raises:
        ValueError: `minutes` is out of range.
    """

    def __init__(
        self,
        folder: str | Path,
        minutes: float = 5.0,
        callbacks: Sequence[Stateful] = (),
        log: Path | None = None,
        run: str = "",
        wanted: Callable[[], bool] = lambda: False,
        on_saved: Callable[[], object] = lambda: None,
        warn: Callable[[str], object] = warnings.warn,
    ) -> None:
        super().__init__()
        self.states, self._run = TrainingStates(Path(folder), warn), run
        self.minutes = number("minutes", minutes, "[0, inf)")
        self._callbacks, self._log, self._wanted, self._on_saved = tuple(callbacks), log, wanted, on_saved
        self._pending: dict[int, dict[str, Tensor]] = {}
        self.log_text, self.steps_done, self.num_saved, self.seconds = "", 0, 0, 0.0

    def resume(self, model: BaseAlgorithm) -> bool:
        """Let the next `learn` call of an agent go on from the newest state, if there is one.

        Returns:
            Whether there is one.

        Raises:
            ValueError: The agent is not one of this package, or the state is of another run or version of the format.
        """
        _check_resumable(model)
        state = self.states.newest()
        if state is None:
            return False
        if _text(state.pop(_RUN)) != self._run:
            raise ValueError(f"{self.states.folder} holds a training state of another run: remove the folder")
        text = state.pop(_LOG, None)
        self.log_text = "" if text is None else _text(text)
        for index in range(len(self._callbacks)):
            prefix = f"{_CALLBACK}{index}/"
            own = {name.removeprefix(prefix): state.pop(name) for name in list(state) if name.startswith(prefix)}
            self._pending[index] = own
        self.steps_done = int(state["counters/step"])
        model.continue_from(state)  # type: ignore[attr-defined]
        return True

    def save(self) -> None:
        """Write the state of the `learn` call, between two steps.

        Raises:
            ValueError: A part of it can't be saved.
            OSError: The file can't be written.
        """
        model = self.model
        assert isinstance(model, ResumableTraining)
        started = time.monotonic()
        tensors = model.training_state()
        for index, callback in enumerate(self._callbacks):
            tensors |= {f"{_CALLBACK}{index}/{name}": tensor for name, tensor in callback.training_state().items()}
        tensors[_RUN] = torch.tensor(list(self._run.encode()), dtype=torch.uint8)
        if self._log is not None and self._log.exists():
            tensors[_LOG] = torch.from_numpy(np.fromfile(self._log, dtype=np.uint8))
        self.states.save(tensors, int(tensors["counters/step"]))
        self._last = time.monotonic()
        self.num_saved, self.seconds = self.num_saved + 1, self.seconds + self._last - started

    def clear(self) -> None:
        """Remove the states."""
        self.states.clear()

    def _on_training_start(self) -> None:
        _check_resumable(self.model)
        self._last = time.monotonic()

    def _on_rollout_start(self) -> None:
        for index, tensors in self._pending.items():
            self._callbacks[index].load_training_state(tensors)
        self._pending.clear()
        if self._wanted() or time.monotonic() - self._last >= 60 * self.minutes:
            if not self._is_finite():
                return  # the step that follows stops the training; the state before stays
            try:
                self.save()
            except ValueError as error:  # of an objective or an optimizer of your own, for example
                warnings.warn(f"{error}: training can be resumed at the beginning of the task only", stacklevel=2)
                self.minutes = float("inf")
            self._on_saved()

    def _is_finite(self) -> bool:
        trained = [tensor for tensor in self.model.policy.parameters() if tensor.requires_grad]
        return all(bool(torch.isfinite(tensor).all()) for tensor in trained)

    def _on_step(self) -> bool:
        return True


def _text(tensor: Tensor) -> str:
    return bytes(tensor.numpy()).decode()


def _check_resumable(model: BaseAlgorithm) -> None:
    if not isinstance(model, ResumableTraining):
        raise ValueError(f"SaveTraining works with the algorithms of this package, not with {type(model).__name__}")
