"""Exploration for learners of action values: pure functions from predicted rewards and progress to probabilities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor

from agents.objectives.masking import allowed_actions
from cls_env.arguments import number
from cls_env.registry import Registry

SMALLEST_TEMPERATURE = 1e-30
"""Rewards divided by a smaller temperature exceed float32."""
Exploration = Callable[[Tensor, float], Tensor]
Definition = TypeVar("Definition", bound=Callable[..., Any])


def epsilon_greedy(values: Tensor, progress: float, epsilon: float = 0.1, final: float | None = None) -> Tensor:
    """The best action with probability 1 - epsilon, else an action drawn uniformly.

    Source: Sutton and Barto, "Reinforcement Learning", 2018, section 2.2,
    http://incompleteideas.net/book/the-book-2nd.html.

    Args:
        values: Predicted rewards, masked by `mask_logits`, shape (B, A).
        progress: t / T within the task, in [0, 1].
        epsilon: Probability of drawing uniformly, in [0, 1].
        final: Epsilon at the end of the task, to which it changes linearly; by default it is constant.

    Returns:
        Probabilities, shape (B, A).

    Raises:
        ValueError: A probability is outside [0, 1].

    >>> epsilon_greedy(torch.tensor([[0.2, 0.7]]), 0.0, epsilon=0.5)
    tensor([[0.2500, 0.7500]])
    """
    first = number("epsilon", epsilon, "[0, 1]")
    last = first if final is None else number("final", final, "[0, 1]")
    share = first if final is None else first + (last - first) * progress
    allowed = allowed_actions(values).to(values.dtype)
    best = torch.nn.functional.one_hot(values.argmax(dim=1), values.shape[1])
    return share * allowed / allowed.sum(dim=1, keepdim=True) + (1 - share) * best


def boltzmann(values: Tensor, progress: float, temperature: float = 0.1, final: float | None = None) -> Tensor:
    """softmax(values / temperature): better actions more often.

    Source: Sutton, "Integrated Architectures for Learning, Planning, and Reacting", 1990.

    Args:
        values: Predicted rewards, masked by `mask_logits`, shape (B, A).
        progress: t / T within the task, in [0, 1].
        temperature: In units of reward, above 0.
        final: Temperature at the end of the task, to which it changes geometrically; by default it is constant.

    Returns:
        Probabilities, shape (B, A).

    Raises:
        ValueError: A temperature is not positive, or too small.
    """
    allowed = f"[{SMALLEST_TEMPERATURE:g}, inf]"
    first = number("temperature", temperature, allowed)
    last = first if final is None else number("final", final, allowed)
    now = first ** (1 - progress) * last**progress
    return values.masked_fill(~allowed_actions(values), -torch.inf).div(now).softmax(dim=1)


def _try_out(exploration: Exploration) -> None:
    exploration(torch.zeros(1, 2), 0.5)


EXPLORATIONS: Registry[Callable[..., Any]] = Registry(
    "exploration",
    {"epsilon-greedy": epsilon_greedy, "boltzmann": boltzmann},
    inputs=("values", "progress"),
    try_out=_try_out,
)
"""Functions of (values, progress, **parameters)."""


def register_exploration(name: str) -> Callable[[Definition], Definition]:
    """A decorator that gives your exploration a name, by which `ValueBandit` and the command line find it.

    It decorates a function of (values, progress, **parameters with defaults) that returns probabilities, and returns it
    unchanged; `epsilon_greedy` describes its arguments.

    Args:
        name: Text without a colon that is not taken yet.

    Raises:
        ValueError: The name is taken or contains a colon.
    """
    return EXPLORATIONS.register(name)


def make_exploration(specification: str) -> Exploration:
    """The exploration of a specification such as `"epsilon-greedy:epsilon=0.2,final=0"` or `"boltzmann"`.

    Raises:
        ValueError: The name or a parameter is unknown, or a parameter is out of range.
    """
    exploration: Exploration = EXPLORATIONS.make(specification)
    return exploration
