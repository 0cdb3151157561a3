"""How much two finished runs differ."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from agents import EPG
from cls_env import TaskStream
from experiments.runs.run_folder import RunFolder


@dataclass(frozen=True)
class Difference:
    """The largest absolute differences of two runs.

    Attributes:
        weights: Of an entry of a tensor of the policy, also of those that the method keeps, after the last task.
        probabilities: Of the probability of a class for a test image, after the last task.
        accuracies: Of an entry of the accuracy matrix.
        predictions: Number of predictions that differ, of all tasks and moments.
    """

    weights: float
    probabilities: float
    accuracies: float
    predictions: int

    def as_json(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)


def difference(ours: RunFolder, expected: RunFolder, stream: TaskStream) -> Difference:
    """The differences of two finished runs.

    Args:
        ours: A run.
        expected: Another one.
        stream: The stream of both.
    """
    agents = [EPG.load(each.model, device="cpu") for each in (ours, expected)]
    here, there = (agent.policy.state_dict() for agent in agents)
    assert set(here) == set(there)
    return Difference(
        max(largest_difference(here[name], there[name]) for name in there),
        largest_difference(*(_probabilities(agent, stream) for agent in agents)),
        float(np.nanmax(np.abs(ours.read_matrix() - expected.read_matrix()))),
        sum(_changed(ours, expected, file) for file in sorted((expected.path / "predictions").glob("*.npz"))),
    )


def largest_difference(ours: Tensor, expected: Tensor) -> float:
    """The largest absolute difference of two tensors; equal infinities do not differ.

    >>> largest_difference(torch.tensor([1.0, -torch.inf]), torch.tensor([1.5, -torch.inf]))
    0.5
    """
    differs = ours != expected
    gaps = ours[differs].detach().double() - expected[differs].detach().double()
    return float(gaps.abs().max()) if len(gaps) else 0.0


def _changed(ours: RunFolder, expected: RunFolder, file: Path) -> int:
    here, there = ours.read_predictions(file.stem), expected.read_predictions(file.stem)
    return int((here["predictions"] != there["predictions"]).sum())


@torch.no_grad()
def _probabilities(agent: EPG, stream: TaskStream) -> Tensor:
    """Those of all classes for all test images, shape (N, A)."""
    images = torch.from_numpy(np.array(stream.images("test")[:]))
    agent.policy.set_training_mode(False)
    return torch.cat([agent.policy.action_scores(part).softmax(dim=1) for part in images.split(64)])
