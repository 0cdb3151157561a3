"""What becomes of the results of a step: actions, checks, finished episodes and log rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from stable_baselines3.common.base_class import BaseAlgorithm
from torch import Generator, Tensor

from agents.algorithms.batches import Outcome
from agents.algorithms.update_log import Counters, write_row
from agents.optimization.divergence import DivergenceWatch


class StepResults(Protocol):
    """Receives the results of the steps of a `learn` call, in their order."""

    def draw(self, probabilities: Tensor, outputs: Tensor, allowed: Tensor) -> tuple[Tensor, Any]:
        """Draw an action for each image.

        Args:
            probabilities: Of the actions, shape (B, A).
            outputs: Logits or predicted rewards, shape (B, A).
            allowed: Non-zero for outputs that are checked, shape (B, A) or (1, A).

        Returns:
            The actions, int64 of shape (B,), on the device and as an array.

        Raises:
            DivergedError: Training diverged.
        """

    def note_episodes(self, outcome: Outcome) -> None:
        """Add the finished episodes to SB3's buffers."""

    def add(self, counters: Counters | None, figures: Tensor | None) -> None:
        """Finish a gradient step.

        Args:
            counters: Of its log row; None if no row is written.
            figures: Of its log row, on the device.
        """

    def flush(self) -> None:
        """Process what is not processed yet."""

    def close(self) -> None:
        """Process what is not processed yet, at the end of the `learn` call."""


class ImmediateResults:
    """Reads the results of each step at once, which waits for the device.

    Args:
        agent: Its logger and buffers are used.
        watch: Checks outputs and losses.
        generator: Draws the actions.
        largest_output: Returns the largest plausible size of an output.
        note_rewards: Receives the rewards of finished episodes.
    """

    def __init__(
        self,
        agent: BaseAlgorithm,
        watch: DivergenceWatch,
        generator: Generator,
        largest_output: Callable[[], float],
        note_rewards: Callable[[NDArray[Any]], None],
    ) -> None:
        self._agent, self._watch, self._generator = agent, watch, generator
        self._largest_output, self._note_rewards = largest_output, note_rewards

    def draw(self, probabilities: Tensor, outputs: Tensor, allowed: Tensor) -> tuple[Tensor, NDArray[np.int64]]:
        """Draw an action for each image, and check the outputs."""
        return self._watch.draw(probabilities, outputs, allowed, self._largest_output(), self._generator)

    def note_episodes(self, outcome: Outcome) -> None:
        """Add the finished episodes to SB3's buffers."""
        self._note_rewards(outcome.rewards)
        self._agent._update_info_buffer(outcome.infos, outcome.dones)

    def add(self, counters: Counters | None, figures: Tensor | None) -> None:
        """Write the step's row."""
        if counters is not None and figures is not None:
            write_row(self._agent, counters, figures.tolist())

    def flush(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""
