"""Evaluation of an agent on the tasks of a stream: each image is classified by itself, without a task id."""

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

from agents.envs.evaluation_images import EvaluationImages, Info, evaluation_images
from agents.networks.class_names import check_same_classes
from agents.networks.feature_memory import FeatureMemory
from agents.networks.preprocessing import to_space_layout
from agents.networks.uploads import upload_small
from agents.objectives import entropy, mask_logits
from agents.optimization.divergence import check_entropies
from agents.parallel.shards import divided


@dataclass(frozen=True)
class TaskEvaluation:
    """Predictions for the images of one task, in the order of the test split.

    If none of the task's classes has been seen, all predictions are wrong and `task_entropy` has no meaning.

    Attributes:
        task: Index of the task.
        labels: int64 of shape (N,).
        predictions: Most likely of all seen classes, int64 of shape (N,).
        task_predictions: Most likely of the task's own classes, int64 of shape (N,).
        entropy: Entropy of the policy over all seen classes in nats, float32 of shape (N,).
        task_entropy: Entropy of the policy over the task's own classes in nats, float32 of shape (N,).
        confidence: Probability of the prediction, float32 of shape (N,).
        log_likelihood: log pi(label|x) over all seen classes, float32 of shape (N,); minus infinity for unseen ones.
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
        """Share of correct predictions, in [0, 1]."""
        return float((self.labels == self.predictions).mean())

    @property
    def task_aware_accuracy(self) -> float:
        """Share of correct predictions if the task id is given, in [0, 1]."""
        return float((self.labels == self.task_predictions).mean())


class Classifier(Protocol):
    """What can be evaluated: `ViTPolicy`, `ViTActorCriticPolicy`, `ViTQPolicy`, or any object of this interface."""

    observation_space: spaces.Space[Any]

    def set_training_mode(self, mode: bool) -> None:
        """Set training or eval mode."""

    def action_scores(self, observations: Tensor) -> Tensor:
        """Logits or values of all actions for uint8 images, shape (B, A); minus infinity for unseen classes."""

    @property
    def seen_classes(self) -> Tensor:
        """The actions seen so far, int64, on the policy's device; empty before the first task."""


def evaluate_tasks(
    policy: Classifier,
    env: VectorEnv[Any, Any, Any],
    tasks: Sequence[int],
    task_id_given: bool = False,
    memory: FeatureMemory | None = None,
) -> list[TaskEvaluation]:
    """Classify every test image of some tasks once.

    The policy is given images alone. Labels and tasks are read from `info`, to evaluate its predictions.

    Args:
        policy: The policy.
        env: A vector environment of the test split, with labels in its `info`.
        tasks: Indices of the tasks; each is evaluated by itself, over all seen classes.
        task_id_given: Restrict the policy to the classes of `info["action_mask"]`, as in task-incremental learning.
            This concerns `predictions`, `entropy`, `confidence` and `log_likelihood`.
        memory: Where a method never changes the backbone, the features of test images are kept in it, and each image
            passes the plain backbone once. Give the same one to all evaluations of one policy in one environment, which
            must show the same image under the same `info["image_index"]`. Other methods do not use it.

    Returns:
        One evaluation for each task.

    Raises:
        ValueError: The policy learned other classes than the environment shows, or the same in another order; or the
            environment shows training images, or no labels.
        DivergedError: The policy scores a seen class with NaN.
    """
    learned, given = getattr(policy, "class_names", None), getattr(env.unwrapped, "action_names", None)
    if learned is not None and given is not None and len(policy.seen_classes):
        check_same_classes(learned, given, "test on the classes that were learned, in their order")
    images = evaluation_images(env, policy.seen_classes.device, tasks)
    return [_evaluate_task(policy, images, task, task_id_given, memory) for task in tasks]


test_tasks = evaluate_tasks
"""The name of `evaluate_tasks` in version 0.1.0."""


@torch.no_grad()
def _evaluate_task(
    policy: Classifier, images: EvaluationImages, task: int, task_id_given: bool, memory: FeatureMemory | None
) -> TaskEvaluation:
    info = images.begin(task)
    if missing := {"padding", "label"} - set(info):
        raise ValueError(
            "evaluate_tasks needs an environment with split='test' or 'validation' and feedback='full': "
            f"info has no {' and no '.join(sorted(missing))}"
        )
    remaining = int(info["epoch_length"][0])
    batches: list[dict[str, Tensor]] = []
    policy.set_training_mode(False)
    while remaining > 0:
        shown = np.flatnonzero(~info["padding"])
        logits = _logits(policy, images, info, shown, memory)
        device = logits.device
        labels, mask = (upload_small(torch.from_numpy(info[key][shown]), device) for key in ("label", "action_mask"))
        batches.append(evaluate_batch(logits, labels, mask, policy.seen_classes, task_id_given))
        actions = torch.zeros(len(info["padding"]), dtype=torch.int64, device=device)
        actions[upload_small(torch.from_numpy(shown), device)] = batches[-1]["predictions"]
        info = images.answer(actions)
        remaining -= len(shown)
    entries = {name: torch.cat([batch[name] for batch in batches]).cpu().numpy() for name in batches[0]}
    check_entropies(entries["entropy"])
    return TaskEvaluation(task, **entries)


def _logits(
    policy: Classifier, shown: EvaluationImages, info: Info, rows: NDArray[np.int64], memory: FeatureMemory | None
) -> Tensor:
    """The policy's logits for some rows of the images that are shown, float32 of shape (B, A).

    On a GPU the images of the other rows are classified too, so that all batches have one shape.
    """
    device = policy.seen_classes.device
    passed = rows if device.type == "cpu" else np.arange(len(info["padding"]))
    remembered = getattr(policy, "remembered_scores", None)

    def scores(part: slice) -> Tensor:
        def observations() -> Tensor:
            images = shown.images if len(passed) == len(shown.images) else shown.images[torch.from_numpy(passed)]
            return to_space_layout(images[part].to(device), policy.observation_space)

        if memory is None or remembered is None or "image_index" not in info:
            return policy.action_scores(observations()).float()
        return remembered(observations, info["image_index"][passed[part]], memory).float()

    logits = divided(len(passed), scores)
    return logits if device.type == "cpu" else logits[upload_small(torch.from_numpy(rows), device)]


def evaluate_batch(
    logits: Tensor, labels: Tensor, action_mask: Tensor, seen: Tensor, task_id_given: bool
) -> dict[str, Tensor]:
    """The per-image entries of a `TaskEvaluation`.

    Args:
        logits: Of all actions, shape (B, A); minus infinity for unseen classes.
        labels: int64 of shape (B,).
        action_mask: Non-zero for the classes of the image's task, shape (B, A).
        seen: The seen classes, int64; if there are none, all classes count.
        task_id_given: Restrict the policy to the task's classes.
    """
    within = mask_logits(logits, action_mask)
    restricted = within if task_id_given else logits
    columns = seen if len(seen) else torch.arange(logits.shape[1], device=logits.device)
    known = restricted[:, columns]
    log_probabilities = known.log_softmax(dim=1)
    top, choice = log_probabilities.max(dim=1)
    positions = torch.full((logits.shape[1],), -1, device=logits.device, dtype=torch.int64)
    positions[columns] = torch.arange(len(columns), device=logits.device)
    position = positions[labels]
    likelihood = log_probabilities.gather(1, position.clamp(min=0)[:, None]).squeeze(1)
    return {
        "labels": labels,
        "predictions": columns[choice],
        "task_predictions": within.argmax(dim=1),
        "entropy": entropy(known),
        "task_entropy": entropy(within),
        "confidence": top.exp(),
        "log_likelihood": likelihood.masked_fill(position < 0, -torch.inf),
    }
