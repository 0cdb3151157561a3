"""How a learner of values chooses actions: pure functions of predicted rewards and progress to probabilities."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from agents.objectives.masking import allowed_actions, check_share
from cls_env.arguments import number
from cls_env.specification import check_arguments, lookup, parse_specification

SMALLEST_TEMPERATURE = 1e-30
"""Values over a smaller one are no float32 numbers."""
Exploration = Callable[[Tensor, float], Tensor]


def epsilon_greedy(values: Tensor, progress: float, epsilon: float = 0.1, final: float | None = None) -> Tensor:
    """The best action with probability 1 - epsilon, else any, each with the same chance.

    Source: Sutton and Barto, "Reinforcement Learning", 2018, section 2.2.

    Args:
        values: Predicted rewards, masked by `mask_logits`, shape (B, A).
        progress: t / T within the task, in [0, 1].
        epsilon: Share of steps that explore, in [0, 1].
        final: What epsilon has become at the end of the task, on a line; by default epsilon.

    Returns:
        Probabilities, shape (B, A).

    Raises:
        ValueError: A share is outside [0, 1].

    >>> epsilon_greedy(torch.tensor([[0.2, 0.7]]), 0.0, epsilon=0.5)
    tensor([[0.2500, 0.7500]])
    """
    first = check_share("epsilon", epsilon)
    last = first if final is None else check_share("final", final)
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
        final: What the temperature has become at the end of the task, geometrically; by default the same.

    Returns:
        Probabilities, shape (B, A).

    Raises:
        ValueError: A temperature is not positive, or too small.
    """
    first = number("temperature", temperature)
    last = first if final is None else number("final", final)
    if not (first >= SMALLEST_TEMPERATURE and last >= SMALLEST_TEMPERATURE):
        raise ValueError(f"temperatures must be above 0, and at least {SMALLEST_TEMPERATURE:g}, not {first} and {last}")
    now = first ** (1 - progress) * last**progress
    return values.masked_fill(~allowed_actions(values), -torch.inf).div(now).softmax(dim=1)


EXPLORATIONS: dict[str, Callable[..., Tensor]] = {"epsilon-greedy": epsilon_greedy, "boltzmann": boltzmann}
"""Functions of (values, progress, **parameters)."""


def make_exploration(specification: str) -> Exploration:
    """The exploration that a specification names: `"epsilon-greedy:epsilon=0.2,final=0"`, `"boltzmann"`.

    Raises:
        ValueError: The name or a parameter is unknown, or the parameter's value is out of range.
    """
    name, parameters = parse_specification(specification)
    function = lookup("exploration", name, EXPLORATIONS)
    try:
        check_arguments(f"exploration {name!r}", function, parameters, ("values", "progress"))
        exploration = partial(function, **parameters)
        exploration(torch.zeros(1, 2), 0.5)
    except (TypeError, ValueError) as error:
        raise ValueError(f"exploration {specification!r}: {error}") from error
    return exploration
