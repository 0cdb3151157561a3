"""Results of steps that stay on the device for a while, so that no step waits for it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from stable_baselines3.common.logger import Logger
from torch import Tensor

from agents.algorithms.batches import Outcome
from agents.algorithms.step_results import ImmediateResults
from agents.algorithms.update_log import Counters, write_row
from agents.envs.deferred import DeferredArray, DeferredInfos

MOST_STEPS = 64
"""Gradient steps after which results are read."""


class Records(NamedTuple):
    """What callbacks have recorded and not written yet: values, counts and exclusions by name."""

    values: dict[str, Any]
    counts: dict[str, int]
    excluded: dict[str, Any]

    @classmethod
    def taken_from(cls, logger: Logger) -> Records:
        """Take the records out of a logger."""
        parts: tuple[dict[str, Any], ...] = (logger.name_to_value, logger.name_to_count, logger.name_to_excluded)
        taken = cls(*(dict(part) for part in parts))
        for part in parts:
            part.clear()
        return taken

    def give_to(self, logger: Logger) -> None:
        """Put the records back."""
        logger.name_to_value.update(self.values)
        logger.name_to_count.update(self.counts)
        logger.name_to_excluded.update(self.excluded)


class _Step(NamedTuple):
    """A gradient step.

    Attributes:
        number: In the task.
        checks: Of each step of the environment in it, on the device.
        infos: Of the same.
        counters: Of its log row, if one is written.
        figures: Of its log row, on the device.
        records: What callbacks have recorded since the row before.
    """

    number: int
    checks: list[Tensor]
    infos: list[DeferredInfos]
    counters: Counters | None
    figures: Tensor | None
    records: Records | None

    @property
    def tensors(self) -> list[Tensor]:
        """All that is on the device, float64 of shape (n,) each, in the order of `DeferredResults._process`."""
        parts = [] if self.figures is None else [self.figures]
        for checks, infos in zip(self.checks, self.infos, strict=True):
            parts += [checks, infos.rewards.double()]
            if infos.success is not None:
                parts.append(infos.success.double())
        return parts


class DeferredResults(ImmediateResults):
    """Reads the results of many steps at once, and processes them in their order, as `ImmediateResults` does.

    A diverged step is found when it is read; the message names it. What callbacks record is written with the row that
    would have held it. Rows that callbacks write by themselves come after those of the steps before them: `close` ends
    this. The arguments are those of `ImmediateResults`.
    """

    _steps: list[_Step]
    _checks: list[Tensor]
    _infos: list[DeferredInfos]

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._steps, self._checks, self._infos = [], [], []
        self._flushing = False
        self._logger = self._agent.logger
        self._dump = self._logger.dump
        self._logger.dump = self._dump_in_order  # type: ignore[method-assign]

    def close(self) -> None:
        """Process what is kept, and give the logger back."""
        try:
            self.flush()
        finally:
            self._logger.dump = self._dump  # type: ignore[method-assign]

    def _dump_in_order(self, step: int = 0) -> None:
        if not self._flushing:
            self.flush()
        self._dump(step)

    def draw(self, probabilities: Tensor, outputs: Tensor, allowed: Tensor) -> tuple[Tensor, Any]:
        """Draw an action for each image."""
        chosen, checks = self._watch.draw_later(probabilities, outputs, allowed, self._generator)
        self._checks.append(checks)
        return chosen, DeferredArray(lambda: chosen.cpu().numpy())

    def note_episodes(self, outcome: Outcome) -> None:
        """Keep the finished episodes."""
        self._infos.append(outcome.infos)

    def add(self, counters: Counters | None, figures: Tensor | None) -> None:
        """Keep the step, and process all steps if there are many."""
        records = None if counters is None else Records.taken_from(self._agent.logger)
        self._steps.append(_Step(self._watch.step, self._checks, self._infos, counters, figures, records))
        self._checks, self._infos = [], []
        if len(self._steps) >= MOST_STEPS:
            self.flush()

    def flush(self) -> None:
        """Read and process what is kept. This waits for the device."""
        waiting = _Step(self._watch.step, self._checks[: len(self._infos)], self._infos, None, None, None)
        steps = [*self._steps, waiting]
        self._steps, self._infos, self._checks = [], [], self._checks[len(self._infos) :]
        later = Records.taken_from(self._agent.logger)
        self._flushing = True
        try:
            for step, numbers in zip(steps, _numbers(steps), strict=True):
                self._process(step, numbers)
        finally:
            self._flushing = False
        later.give_to(self._agent.logger)

    def _process(self, step: _Step, parts: list[list[float]]) -> None:
        figures = [] if step.figures is None else parts.pop(0)
        for infos in step.infos:
            self._watch.judge(step.number, parts.pop(0), self._largest_output())
            rewards = np.array(parts.pop(0))
            success = None if infos.success is None else np.array(parts.pop(0), dtype=np.bool_)
            self._note_rewards(rewards)
            self._agent._update_info_buffer(infos.episodes(rewards, success), np.ones(len(infos), dtype=np.bool_))
        if step.counters is not None and step.records is not None:
            step.records.give_to(self._agent.logger)
            write_row(self._agent, step.counters, figures)


def _numbers(steps: Sequence[_Step]) -> list[list[list[float]]]:
    """The numbers of the tensors of each step, by one copy from the device."""
    tensors = [tensor for step in steps for tensor in step.tensors]
    if not tensors:
        return [[] for _ in steps]
    read = iter(torch.cat(tensors).cpu().split([len(tensor) for tensor in tensors]))
    return [[next(read).tolist() for _ in step.tensors] for step in steps]
