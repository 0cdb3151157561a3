"""SB3's buffers of finished episodes, which are complete whenever somebody reads them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
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


def recent_episodes(agent: BaseAlgorithm) -> dict[str, list[Any]]:
    """SB3's buffers of finished episodes, for a file: returns, lengths, and whether each was right."""
    infos = agent.ep_info_buffer or ()
    return {
        "r": [float(info["r"]) for info in infos],
        "l": [int(info["l"]) for info in infos],
        "success": [bool(success) for success in agent.ep_success_buffer or ()],
    }


def restore_episodes(agent: BaseAlgorithm, episodes: Mapping[str, list[Any]]) -> None:
    """Fill SB3's buffers with what `recent_episodes` returned; times are 0.

    Raises:
        ValueError: It is damaged.
    """
    try:
        pairs = list(zip(map(float, episodes["r"]), map(int, episodes["l"]), strict=True))
        successes = [bool(success) for success in episodes["success"]]
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"the saved episodes are damaged: {error}") from error
    most = agent._stats_window_size
    agent.ep_info_buffer = deque(({"r": reward, "l": length, "t": 0.0} for reward, length in pairs), maxlen=most)
    agent.ep_success_buffer = deque(successes, maxlen=most)
