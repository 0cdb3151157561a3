"""SB3's buffers of finished episodes, which are complete whenever somebody reads them."""

from __future__ import annotations

from collections import deque
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm

from agents.algorithms.step_results import StepResults


class EpisodeBuffers(BaseAlgorithm):
    """Mixin of an algorithm whose steps hand their results to `_results`."""

    _results: StepResults | None = None
    _episode_infos: deque[dict[str, Any]] | None = None
    _episode_successes: deque[bool] | None = None

    @property
    def ep_info_buffer(self) -> deque[dict[str, Any]] | None:
        """Monitor's entry of the last finished episodes."""
        self._process_results()
        return self._episode_infos

    @ep_info_buffer.setter
    def ep_info_buffer(self, buffer: deque[dict[str, Any]] | None) -> None:
        self._episode_infos = buffer

    @property
    def ep_success_buffer(self) -> deque[bool] | None:
        """Whether the last finished episodes were right."""
        self._process_results()
        return self._episode_successes

    @ep_success_buffer.setter
    def ep_success_buffer(self, buffer: deque[bool] | None) -> None:
        self._episode_successes = buffer

    def _process_results(self) -> None:
        if self._results is not None:
            self._results.flush()
