"""Testing an agent on a stream, image by image and without a task id."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from gymnasium import spaces
from gymnasium.vector import VectorEnv
from numpy.typing import NDArray
from torch import Tensor

from agents.networks.class_names import check_same_classes
from agents.objectives import entropy, mask_logits
from agents.optimization.divergence import check_scores


@dataclass(frozen=True)
class TaskEvaluation:
    """An agent's answers on one task's images, each in the order of the test split.

    Where none of the task's classes is met, every answer is wrong, and `task_entropy` says nothing.

    Attributes:
        task: The task.
        labels: int64 of shape (N,).
        predictions: int64 of shape (N,), the most likely of all classes met so far.
        task_predictions: int64 of shape (N,), the most likely of the task's own classes.
        entropy: Entropy of the policy over the classes met so far, nats, float32 of shape (N,).
        task_entropy: The same over the task's own classes.
        confidence: Probability of the most likely of all classes met so far, float32 of shape (N,).
        log_likelihood: log pi(label|x) over the classes met so far, float32 of shape (N,); minus infinity for a label
            that is not met yet.
    """

    task: int
    labels: NDArray[np.int64]
    predictions: NDArray[np.int64]
    task_predictions: NDArray[np.int64]
    entropy: NDArray[np.float32]
    task_entropy: NDArray[np.float32]
    confidence: NDArray[np.float32]
    log_likelihood: NDArray[np.float32]

    @property
    def accuracy(self) -> float:
        """Share of right answers, in [0, 1]."""
        return float((self.labels == self.predictions).mean())

    @property
    def task_aware_accuracy(self) -> float:
        """Share of right answers where the task is named, in [0, 1]."""
        return float((self.labels == self.task_predictions).mean())


class Classifier(Protocol):
    """What is tested: `ViTPolicy`, `ViTActorCriticPolicy`, `ViTQPolicy`, or anything else that has this."""

    observation_space: spaces.Space[Any]

    def set_training_mode(self, mode: bool) -> None:
        """Set the mode, for dropout and the like."""

    def action_scores(self, observations: Tensor) -> Tensor:
        """Logits or values of all actions for uint8 images, shape (B, K); minus infinity for actions not met."""

    @property
    def seen_classes(self) -> Tensor:
        """The actions met so far, int64, on the device of the policy; none where no task is begun."""


def evaluate_tasks(
    policy: Classifier, env: VectorEnv[Any, Any, Any], tasks: Sequence[int], task_id_given: bool = False
) -> list[TaskEvaluation]:
    """Classify every test image of some tasks once.

    The policy sees images alone; labels and tasks are read from `info` to evaluate_batch its answers.

    Args:
        policy: In which classes are met.
        env: A vector environment over the test split, with labels in its `info`.
        tasks: Which tasks; each is tested by itself, over all classes met.
        task_id_given: Choose among the classes of `info["action_mask"]`, as in task-incremental learning, also for
            `predictions`, `entropy`, `confidence` and `log_likelihood`.

    Raises:
        ValueError: The policy learned other classes than the environment shows, or the same in another order; or the
            environment shows training images, or no labels.
        DivergedError: The policy scores a seen class with NaN.
    """
    learned, given = getattr(policy, "class_names", None), getattr(env.unwrapped, "action_names", None)
    if learned is not None and given is not None and len(policy.seen_classes):
        check_same_classes(learned, given, "test on the classes that were learned, in their order")
    return [_test_task(policy, env, task, task_id_given) for task in tasks]


def _test_task(policy: Classifier, env: VectorEnv[Any, Any, Any], task: int, task_id_given: bool) -> TaskEvaluation:
    images, info = env.reset(options={"task": task})
    if missing := {"padding", "label"} - set(info):
        raise ValueError(
            "evaluate_tasks needs an environment with split='test' or 'validation' and feedback='full': "
            f"info has no {' and no '.join(sorted(missing))}"
        )
    remaining = int(info["epoch_length"][0])
    batches: list[dict[str, NDArray[Any]]] = []
    policy.set_training_mode(False)
    met = policy.seen_classes
    while remaining > 0:
        shown = np.flatnonzero(~info["padding"])
        with torch.no_grad():
            logits = policy.action_scores(_as_seen(images[shown], policy.observation_space, met.device)).float()
        labels, mask = (torch.from_numpy(info[key][shown]).to(met.device) for key in ("label", "action_mask"))
        answers = evaluate_batch(logits, labels, mask, met, task_id_given)
        batches.append({name: tensor.cpu().numpy() for name, tensor in answers.items()})
        actions = np.zeros(env.num_envs, dtype=np.int64)
        actions[shown] = batches[-1]["predictions"]
        images, _, _, _, info = env.step(actions)
        remaining -= len(shown)
    return TaskEvaluation(task, **{name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]})


def _as_seen(images: NDArray[np.uint8], space: spaces.Space[Any], device: torch.device) -> Tensor:
    """Channels last, as environments show them, in the layout of a policy's observation space."""
    seen = torch.from_numpy(images).to(device)
    return seen.permute(0, 3, 1, 2) if seen.shape[1:] != space.shape else seen


def evaluate_batch(
    logits: Tensor, labels: Tensor, action_mask: Tensor, met: Tensor, task_id_given: bool
) -> dict[str, Tensor]:
    """The per-image entries of a `TaskEvaluation`.

    Args:
        logits: Of all actions, shape (B, A); minus infinity for those not met.
        labels: int64 of shape (B,).
        action_mask: Non-zero for the classes of the image's task, shape (B, A).
        met: The classes met so far; where there is none, all count.
        task_id_given: Choose among the task's classes alone.

    Raises:
        DivergedError: The logit of a seen class is NaN.
    """
    within = mask_logits(logits, action_mask)
    loss_mask = within if task_id_given else logits
    columns = met if len(met) else torch.arange(logits.shape[1], device=logits.device)
    check_scores(logits, columns)
    known = loss_mask[:, columns]
    log_probabilities = known.log_softmax(dim=1)
    top, choice = log_probabilities.max(dim=1)
    positions = torch.full((logits.shape[1],), -1, device=logits.device, dtype=torch.int64)
    positions[columns] = torch.arange(len(columns), device=logits.device)
    place = positions[labels]
    likelihood = log_probabilities.gather(1, place.clamp(min=0)[:, None]).squeeze(1)
    return {
        "labels": labels,
        "predictions": columns[choice],
        "task_predictions": within.argmax(dim=1),
        "entropy": entropy(known),
        "task_entropy": entropy(within),
        "confidence": top.exp(),
        "log_likelihood": likelihood.masked_fill(place < 0, -torch.inf),
    }
