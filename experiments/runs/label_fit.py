"""Label memorization: how a policy classifies the training images with true and with flipped labels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from agents.objectives import mask_logits
from agents.parallel.shards import divided
from agents.policy import ViTPolicy
from cls_env import TaskStream

MOST_IMAGES = 5_000
"""The most images of a task that are classified; of a larger task, evenly spaced ones."""
BATCH = 256


class LabelFit(NamedTuple):
    """Counts of a task's training images.

    Attributes:
        clean: Images with a true label.
        clean_right: Those of them that are classified as labeled.
        flipped: Images with a flipped label.
        memorised: Those of them that are classified as the flipped label.
        recovered: Those of them that are classified as the true label.
    """

    clean: int
    clean_right: int
    flipped: int
    memorised: int
    recovered: int


def label_fit(policy: ViTPolicy, stream: TaskStream, task: int) -> LabelFit:
    """Classify a task's training images among the task's classes, in their test view."""
    rows = stream.tasks[task].train_indices
    if len(rows) > MOST_IMAGES:
        rows = rows[np.linspace(0, len(rows) - 1, MOST_IMAGES).astype(np.int64)]
    rows = np.sort(rows)
    chosen = _choices(policy, stream, rows, stream.tasks[task].classes)
    given, true = stream.train_labels[rows], stream.clean_train_labels[rows]
    flipped = given != true
    return LabelFit(
        clean=int((~flipped).sum()),
        clean_right=int((chosen == given)[~flipped].sum()),
        flipped=int(flipped.sum()),
        memorised=int((chosen == given)[flipped].sum()),
        recovered=int((chosen == true)[flipped].sum()),
    )


def shares(fits: Sequence[LabelFit]) -> dict[str, float | None]:
    """The measures over all tasks, as `experiments.runs.measures` defines them."""
    total = LabelFit(*np.sum(np.array(fits), axis=0).tolist())

    def share(part: int, whole: int) -> float | None:
        return part / whole if whole else None

    return {
        "train_accuracy_clean": share(total.clean_right, total.clean),
        "train_accuracy_flipped": share(total.memorised, total.flipped),
        "train_recovered": share(total.recovered, total.flipped),
    }


def _choices(
    policy: ViTPolicy, stream: TaskStream, rows: NDArray[np.int64], classes: NDArray[np.int64]
) -> NDArray[np.int64]:
    policy.set_training_mode(False)
    mask = torch.zeros(1, stream.num_classes, device=policy.device)
    mask[:, torch.from_numpy(np.asarray(classes))] = 1
    images = stream.images("train")
    chosen = []
    with torch.no_grad():
        for start in range(0, len(rows), BATCH):
            batch = torch.from_numpy(np.ascontiguousarray(images[rows[start : start + BATCH]])).to(policy.device)
            logits = divided(len(batch), lambda part, images=batch: policy(images[part]))  # type: ignore[misc]
            chosen.append(mask_logits(logits, mask).argmax(dim=1).cpu().numpy())
    return np.concatenate(chosen)
