"""Losses of classification as a one-step decision problem: pure functions of logits, rewards and progress.

All objectives take the same three arguments and return the same:

- `logits`: Floating, shape (B, A); actions outside the current task are masked by `mask_logits`.
- `action_rewards`: R(x, a) of every action, of the dtype and shape of the logits; 0 for masked actions.
- `progress`: t / T within the task, in [0, 1]; only annealed objectives use it.
- Returns: The loss of each sample, shape (B,).

They raise ValueError where the shapes differ or a parameter is out of range. Further parameters are keywords, which a
specification such as `"focal:gamma=2"` sets. `SampledPolicyGradient` alone has a state, its random numbers and its
baseline, which starts anew with each task.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from agents.objectives.annealed import aepg_loss, cosine_aepg_loss, fixed_mixture_loss, linear_aepg_loss
from agents.objectives.cross_entropies import (
    confidence_penalty_loss,
    cross_entropy_loss,
    entropy_penalty_loss,
    focal_loss,
    label_smoothing_loss,
)
from agents.objectives.masking import entropy, mask_logits
from agents.objectives.policy_gradients import (
    SampledPolicyGradient,
    expected_policy_gradient_loss,
    reinforce_loss,
)
from agents.objectives.robust import generalized_cross_entropy_loss, symmetric_cross_entropy_loss
from agents.objectives.variants import (
    entropy_aepg_loss,
    geometric_aepg_loss,
    normalized_aepg_loss,
    normalized_entropy_aepg_loss,
    normalized_epg_loss,
    normalized_geometric_aepg_loss,
)
from cls_env.registry import Registry

__all__ = [
    "OBJECTIVES",
    "Objective",
    "ResumableObjective",
    "SampledPolicyGradient",
    "TaskObjective",
    "aepg_loss",
    "anneals",
    "confidence_penalty_loss",
    "cross_entropy_loss",
    "entropy",
    "entropy_penalty_loss",
    "expected_policy_gradient_loss",
    "fixed_mixture_loss",
    "focal_loss",
    "generalized_cross_entropy_loss",
    "is_linear_in_rewards",
    "label_smoothing_loss",
    "make_objective",
    "mask_logits",
    "register_objective",
    "reinforce_loss",
    "symmetric_cross_entropy_loss",
]

Objective = Callable[[Tensor, Tensor, float], Tensor]
Definition = TypeVar("Definition", bound=Callable[..., Any])


@runtime_checkable
class TaskObjective(Protocol):
    """An objective with a state, which starts anew with each task."""

    def begin_task(self, seed: int) -> None:
        """Reset the state; all random numbers of the task follow from `seed`."""

    def __call__(self, logits: Tensor, action_rewards: Tensor, progress: float) -> Tensor:
        """Loss of each sample, shape (B,)."""


@runtime_checkable
class ResumableObjective(TaskObjective, Protocol):
    """An objective with a state that can be saved within a task."""

    def training_state(self) -> dict[str, Tensor]:
        """The state, as tensors."""

    def load_training_state(self, tensors: dict[str, Tensor], device: torch.device) -> None:
        """Go on within a task from what `training_state` returned.

        Args:
            tensors: The state.
            device: Of the logits.
        """


def _try_out(objective: Objective) -> None:
    objective(torch.zeros(1, 2), torch.eye(2)[:1], 0.5)
    if isinstance(objective, TaskObjective):
        objective.begin_task(0)


OBJECTIVES: Registry[Callable[..., Any]] = Registry(
    "objective",
    {
        "ce": cross_entropy_loss,
        "focal": focal_loss,
        "ls": label_smoothing_loss,
        "cp": confidence_penalty_loss,
        "ep": entropy_penalty_loss,
        "epg": expected_policy_gradient_loss,
        "aepg": aepg_loss,
        "aepg-linear": linear_aepg_loss,
        "aepg-cosine": cosine_aepg_loss,
        "alpha": fixed_mixture_loss,
        **{f"alpha-{alpha:g}": partial(fixed_mixture_loss, alpha=alpha) for alpha in (0.1, 0.2, 0.5, 0.7)},
        "gce": generalized_cross_entropy_loss,
        "sce": symmetric_cross_entropy_loss,
        "reinforce": SampledPolicyGradient,
        "aepg-geometric": geometric_aepg_loss,
        "aepg-entropy": entropy_aepg_loss,
        "nepg": normalized_epg_loss,
        "naepg": normalized_aepg_loss,
        "naepg-geometric": normalized_geometric_aepg_loss,
        "naepg-entropy": normalized_entropy_aepg_loss,
    },
    inputs=("logits", "action_rewards", "progress"),
    try_out=_try_out,
)
"""Functions of (logits, action_rewards, progress, **parameters), or classes whose instances are a `TaskObjective`."""


def register_objective(name: str) -> Callable[[Definition], Definition]:
    """A decorator that gives your objective a name, by which `EPG` and the command line find it.

    It decorates a function of (logits, action_rewards, progress, **parameters with defaults), or a class whose
    instances are a `TaskObjective`, and returns it unchanged.

    Args:
        name: Text without a colon that is not taken yet.

    Raises:
        ValueError: The name is taken or contains a colon.
    """
    return OBJECTIVES.register(name)


def anneals(specification: str | Objective) -> bool:
    """Whether an objective changes over a task, by its gradient at the beginning and at the end.

    Raises:
        ValueError: As `make_objective`.
    """
    objective = make_objective(specification)
    rewards = torch.eye(3, dtype=torch.float64)[:2]
    return not torch.equal(_gradient(objective, rewards, 0.0), _gradient(objective, rewards, 1.0))


def is_linear_in_rewards(specification: str | Objective) -> bool:
    """Whether an objective's gradient is linear in the rewards, so that noise of mean 0 on them does not bias it.

    Raises:
        ValueError: As `make_objective`.
    """
    objective = make_objective(specification)
    first = torch.tensor([[0.3, -0.7, 1.1], [1.0, 0.0, 0.0]], dtype=torch.float64)
    second = first.roll(1, dims=1)
    one, other, both, none = (
        _gradient(objective, rewards, 0.5) for rewards in (first, second, first + second, torch.zeros_like(first))
    )
    return torch.allclose(one + other, both + none)


def _gradient(objective: Objective, rewards: Tensor, progress: float) -> Tensor:
    """Of an objective on two fixed rows of three logits, for rewards of the same shape."""
    if isinstance(objective, TaskObjective):
        objective.begin_task(0)
    logits = torch.tensor([[0.0, 1.0, 2.0], [2.0, 0.0, 1.0]], dtype=torch.float64, requires_grad=True)
    objective(logits, rewards, progress).sum().backward()
    assert logits.grad is not None
    return logits.grad


def make_objective(specification: str | Objective) -> Objective:
    """The objective of a specification such as `"aepg"`, `"focal:gamma=2"` or `"reinforce:samples=4"`.

    A function or a `TaskObjective` is returned unchanged.

    Raises:
        ValueError: The name or a parameter is unknown, a parameter is out of range, or a class is given.
    """
    if isinstance(specification, type):
        raise ValueError(f"{specification.__name__} is a class: give one of its instances as the objective")
    if callable(specification):
        return specification
    objective: Objective = OBJECTIVES.make(specification)
    return objective
