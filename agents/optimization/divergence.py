"""Detects diverging training at the first step that shows it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor

LARGEST_LOGIT = 1e4
"""The largest absolute value of a plausible logit: the softmax of a difference of 1e4 is 0 or 1 in every precision."""
LARGEST_PLAIN_PARAMETER = 10.0
"""Logits are not checked again at the end of a task if no trained parameter exceeds this absolute value."""


ON_DIVERGENCE = ("stop", "skip")


class DivergedError(ValueError):
    """Training diverged.

    The message gives the cause and, for the algorithms of this package, gradient step, task and learning rate.
    """


class Advice(NamedTuple):
    """Parts of the message on diverged training.

    Attributes:
        setting: The setting that may be the cause, such as "ridge 1"; empty for the current learning rate.
        remedy: What the user can do.
    """

    setting: str = ""
    remedy: str = "lower the learning rate"


class DivergenceWatch:
    """Checks outputs, losses and parameters during one `learn` call.

    Args:
        policy: The policy that is trained.
        task: Number of the task, for the message.
        advice: For the message; by default on the learning rate.

    Attributes:
        step: Number of the current gradient step, from 1 on.
    """

    def __init__(self, policy: BasePolicy, task: int, advice: Advice | None = None) -> None:
        self._policy, self._task, self._advice = policy, task, advice or Advice()
        self._loss_is_finite = torch.ones((), dtype=torch.bool, device=policy.device)
        self.step = 0

    def note_loss(self, loss: Tensor) -> None:
        """Note whether the loss of this step, a scalar, is finite, without waiting for the device."""
        self._loss_is_finite = loss.detach().abs() < torch.inf

    def draw(
        self, probabilities: Tensor, outputs: Tensor, allowed: Tensor, limit: float, generator: torch.Generator
    ) -> tuple[Tensor, NDArray[np.int64]]:
        """Draw an action for each image; actions and checks take one transfer from the device.

        Args:
            probabilities: Of the actions, shape (B, A).
            outputs: Logits or predicted rewards, shape (B, A).
            allowed: Non-zero for outputs that are checked, shape (B, A) or (1, A).
            limit: The largest plausible absolute value of an output; may be infinite.
            generator: Draws the actions.

        Returns:
            The actions, int64 of shape (B,), on the device and as an array.

        Raises:
            DivergedError: The last loss, an output or a probability is NaN, infinite or implausibly large.
        """
        sensible = is_sensible(outputs, allowed, limit) & (probabilities >= 0).all()
        drawable = probabilities.where(sensible, 1.0)  # NaN would raise an error on the device
        chosen = torch.multinomial(drawable, 1, generator=generator).squeeze(1)
        transferred = torch.cat([chosen, sensible[None], self._loss_is_finite[None]]).cpu().numpy()
        actions, (outputs_are_sensible, loss_was_finite) = transferred[:-2], transferred[-2:]
        if not loss_was_finite:
            raise self._error("the loss is NaN or infinite", self.step - 1)
        if not outputs_are_sensible:
            raise self._error(describe_outputs(outputs, allowed, limit), self.step)
        return chosen, actions

    def draw_later(
        self, probabilities: Tensor, outputs: Tensor, allowed: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Draw an action for each image as `draw` does, without waiting for the device.

        Returns:
            The actions, int64 of shape (B,), and the numbers for `judge`, float64 of shape (3,), both on the device.
        """
        largest = outputs.abs().masked_fill(allowed == 0, 0.0).max()
        checks = torch.stack([largest.double(), (probabilities >= 0).all().double(), self._loss_is_finite.double()])
        return draw_actions(probabilities, generator), checks

    def judge(self, step: int, checks: Sequence[float], limit: float) -> None:
        """Check a step as `draw` does.

        Args:
            step: Its number.
            checks: The numbers of `draw_later`.
            limit: The largest plausible absolute value of an output; may be infinite.

        Raises:
            DivergedError: The loss before it, an output or a probability is NaN, infinite or implausibly large.
        """
        largest, probabilities_are_numbers, loss_was_finite = checks
        if not loss_was_finite:
            raise self._error("the loss is NaN or infinite", step - 1)
        if not (largest <= limit and math.isfinite(largest) and probabilities_are_numbers):
            raise self._error(describe_largest(largest, limit), step)

    def check_parameters(self) -> bool:
        """Check that the last gradient steps left finite parameters.

        Returns:
            Whether no trained parameter exceeds `LARGEST_PLAIN_PARAMETER`.

        Raises:
            DivergedError: The last loss or a parameter is NaN or infinite.
        """
        if not self._loss_is_finite:
            raise self._error("the loss is NaN or infinite", self.step)
        largest = largest_size([tensor for tensor in self._policy.parameters() if tensor.requires_grad])
        if not math.isfinite(largest):
            raise self._error("the parameters hold NaN or infinity", self.step)
        return largest <= LARGEST_PLAIN_PARAMETER

    def check_outputs(self, outputs: Tensor, allowed: Tensor, limit: float) -> None:
        """Check that outputs are finite and plausible, as `draw` does.

        Raises:
            DivergedError: They are not.
        """
        if not is_sensible(outputs, allowed, limit):
            raise self._error(describe_outputs(outputs, allowed, limit), self.step)

    def _error(self, what: str, step: int) -> DivergedError:
        setting = self._advice.setting or f"learning rate {self._policy.optimizer.param_groups[0]['lr']:g}"
        return DivergedError(
            f"training diverged at gradient step {step} of task {self._task} with {setting}: {what}; "
            f"{self._advice.remedy}"
        )


def is_finite_step(loss: Tensor, parameters: Iterable[Tensor]) -> bool:
    """Whether a loss, a scalar, and all gradients of parameters are finite. It waits for the device."""
    gradients = [tensor.grad for tensor in parameters if tensor.grad is not None]
    return bool(torch.stack([torch.isfinite(tensor).all() for tensor in [loss.detach(), *gradients]]).all())


def is_sensible(values: Tensor, allowed: Tensor, limit: float) -> Tensor:
    """Whether outputs are finite and of plausible size.

    Args:
        values: Logits or predicted rewards, shape (B, A).
        allowed: Non-zero for outputs that are checked, shape (B, A) or (1, A).
        limit: The largest plausible absolute value; if infinite, any finite number is plausible.

    Returns:
        A bool on the device of the values, without waiting for it.
    """
    return ((values.abs() <= min(limit, torch.finfo(values.dtype).max)) | (allowed == 0)).all()


def describe_outputs(values: Tensor, allowed: Tensor, limit: float) -> str:
    """What is wrong with outputs for which `is_sensible` is False, in words."""
    return describe_largest(values[(allowed != 0).expand_as(values)].abs().max().item(), limit)


def describe_largest(largest: float, limit: float) -> str:
    """What is wrong with outputs whose largest absolute value is given, in words."""
    if not math.isfinite(largest):
        return "the outputs of the network hold NaN or infinity"
    if largest > limit:
        return f"the outputs of the network reach {largest:.3g}, where {limit:g} is the limit"
    return "the probabilities of the actions hold NaN"


def draw_actions(probabilities: Tensor, generator: torch.Generator) -> Tensor:
    """Draw an action for each row of probabilities, shape (B, A), as `torch.multinomial` does, to the same numbers.

    `torch.multinomial` checks its input, which may wait for the device, or kill the process where it holds NaN.

    Returns:
        int64 of shape (B,).
    """
    exponential = torch.empty_like(probabilities).exponential_(1, generator=generator)
    return torch.div(probabilities, exponential, out=exponential).argmax(dim=1)


def largest_size(tensors: list[Tensor]) -> float:
    """The largest absolute value in some tensors; 0 without tensors, NaN if one holds NaN."""
    sizes = [tensor.detach().abs().max().float() for tensor in tensors if tensor.numel()]
    return torch.stack(sizes).max().item() if sizes else 0.0


def check_entropies(entropies: NDArray[np.float32]) -> None:
    """Check that the scores of a policy at test are numbers.

    Args:
        entropies: Of the policy over the seen classes, for each image.

    Raises:
        DivergedError: One is NaN, since the score of a seen class is.
    """
    if np.isnan(entropies).any():
        raise DivergedError("the policy scores seen classes with NaN: its training diverged; lower the learning rate")
