"""Losses of classification as a one-step decision problem: pure functions of logits, rewards and progress.

All take `logits` (floating, shape (B, A)), `action_rewards` (R(x, a) of every action, same shape) and `progress` (t / T
within the task, in [0, 1]), and return the loss of each sample, shape (B,). Their parameters are keywords, which a
specification such as `"focal:gamma=2"` sets. Actions outside the current task are removed beforehand by `mask_logits`;
their rewards are 0. `Reinforce` alone has a state, its random numbers and baseline, which each task renews.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor

from agents.objectives.annealed import (
    annealed_expected_policy_gradient,
    cosine_annealed,
    entropy_annealed,
    fixed_mixture,
    geometrically_annealed,
    linearly_annealed,
    normalised_annealed,
    normalised_entropy_annealed,
    normalised_expected_policy_gradient,
    normalised_geometrically_annealed,
)
from agents.objectives.cross_entropies import (
    confidence_penalty,
    cross_entropy,
    entropy_penalty,
    focal,
    label_smoothing,
)
from agents.objectives.masking import entropy, mask_logits
from agents.objectives.policy_gradients import Reinforce, expected_policy_gradient, reinforce
from agents.objectives.robust import generalised_cross_entropy, symmetric_cross_entropy
from cls_env.specification import check_arguments, lookup, parse_specification

__all__ = [
    "OBJECTIVES",
    "Objective",
    "Reinforce",
    "TaskObjective",
    "anneals",
    "confidence_penalty",
    "cross_entropy",
    "entropy",
    "entropy_penalty",
    "expected_policy_gradient",
    "fixed_mixture",
    "focal",
    "generalised_cross_entropy",
    "is_linear_in_rewards",
    "label_smoothing",
    "make_objective",
    "mask_logits",
    "register_objective",
    "reinforce",
    "symmetric_cross_entropy",
]

Objective = Callable[[Tensor, Tensor, float], Tensor]
Definition = TypeVar("Definition", bound=Callable[..., Any])


@runtime_checkable
class TaskObjective(Protocol):
    """An objective with a state, which begins anew with each task."""

    def begin_task(self, seed: int) -> None:
        """Renew the state; all random numbers of the task follow from `seed`."""

    def __call__(self, logits: Tensor, action_rewards: Tensor, progress: float) -> Tensor:
        """Loss of each sample, shape (B,)."""


OBJECTIVES: dict[str, Callable[..., Any]] = {
    "ce": cross_entropy,
    "focal": focal,
    "ls": label_smoothing,
    "cp": confidence_penalty,
    "ep": entropy_penalty,
    "epg": expected_policy_gradient,
    "aepg": annealed_expected_policy_gradient,
    "aepg-linear": linearly_annealed,
    "aepg-cosine": cosine_annealed,
    "alpha": fixed_mixture,
    **{f"alpha-{alpha:g}": partial(fixed_mixture, alpha=alpha) for alpha in (0.1, 0.2, 0.5, 0.7)},
    "gce": generalised_cross_entropy,
    "sce": symmetric_cross_entropy,
    "reinforce": Reinforce,
    "aepg-geometric": geometrically_annealed,
    "aepg-entropy": entropy_annealed,
    "nepg": normalised_expected_policy_gradient,
    "naepg": normalised_annealed,
    "naepg-geometric": normalised_geometrically_annealed,
    "naepg-entropy": normalised_entropy_annealed,
}
"""Functions of (logits, action_rewards, progress, **parameters), or classes whose instances are a `TaskObjective`."""


def register_objective(name: str) -> Callable[[Definition], Definition]:
    """A decorator that names an objective of yours, so that `EPG` and the command line find it.

    Args:
        name: Any word without a colon.

    Returns:
        The decorator, for a function of (logits, action_rewards, progress, **parameters with defaults), or a class
        whose instances are a `TaskObjective`. It returns what it is given.

    Raises:
        ValueError: The name is taken, or holds a colon.
    """
    if name in OBJECTIVES:
        raise ValueError(f"objective {name!r} is there already; choose another name")
    if ":" in name:
        raise ValueError(f"an objective's name must not contain ':', unlike {name!r}")

    def register(definition: Definition) -> Definition:
        OBJECTIVES[name] = definition
        return definition

    return register


def anneals(specification: str | Objective) -> bool:
    """Whether an objective changes over a task, by its gradient at the beginning and at the end.

    Raises:
        ValueError: As `make_objective`.
    """
    objective = make_objective(specification)
    rewards = torch.eye(3, dtype=torch.float64)[:2]
    return not torch.equal(_gradient(objective, rewards, 0.0), _gradient(objective, rewards, 1.0))


def is_linear_in_rewards(specification: str | Objective) -> bool:
    """Whether noise of mean 0 on the rewards leaves an objective's mean gradient as it is.

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
    """The objective that a specification names: `"aepg"`, `"focal:gamma=2"`, `"reinforce:samples=4"`.

    A function or a `TaskObjective` is returned as it is.

    Raises:
        ValueError: The name or a parameter is unknown, or the parameter's value is out of range; or a class is given.
    """
    if isinstance(specification, type):
        raise ValueError(f"{specification.__name__} is a class: give one of its instances as the objective")
    if callable(specification):
        return specification
    name, parameters = parse_specification(specification)
    definition = lookup("objective", name, OBJECTIVES)
    inputs = () if isinstance(definition, type) else ("logits", "action_rewards", "progress")
    try:
        check_arguments(f"objective {name!r}", definition, parameters, inputs)
        objective: Objective = definition(**parameters) if inputs == () else partial(definition, **parameters)
        objective(torch.zeros(1, 2), torch.eye(2)[:1], 0.5)
        if isinstance(objective, TaskObjective):
            objective.begin_task(0)
    except Exception as error:  # a user's objective may raise anything
        raise ValueError(f"objective {specification!r}: {error}") from error
    return objective
