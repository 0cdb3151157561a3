"""Nearest neighbors and a linear classifier on the features of a frozen backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from agents.networks.network import Network
from agents.networks.views import TrainView
from cls_env.datasets.image_dataset import Images
from experiments.config.resolved import make_agent, resolve
from experiments.config.validation import CheckedRun

BATCH = 64
MOST_ITERATIONS = 1000


@dataclass(frozen=True)
class Probe:
    """What a backbone knows about a dataset.

    Attributes:
        model: Its name.
        weights: Name of the file of its weights; empty for those that belong to the name.
        dataset: Name of the dataset.
        input_size: Side of its input, in pixels.
        parameters: Number of its parameters.
        nearest_neighbor: Test accuracy of the label of the training image with the most similar features, in [0, 1].
        linear: Test accuracy of logistic regression on standardized features, in [0, 1].
        linear_on_crops: Its accuracy on random crops of the test images, by the smallest fraction of an image's area.
    """

    model: str
    weights: str
    dataset: str
    input_size: int
    parameters: int
    nearest_neighbor: float
    linear: float
    linear_on_crops: Mapping[str, float]


def probe(checked: CheckedRun, crops: Sequence[float] = ()) -> Probe:
    """Measure how well the features of a configuration's backbone separate the classes of its dataset.

    Similarity is the cosine. Logistic regression has scikit-learn's default L2 penalty, C = 1. Images are shown as at
    test, without crops and flips; all classes are known at once.

    Args:
        checked: Names the dataset and the backbone.
        crops: Smallest fractions of an image's area in random crops, on which the linear classifier is tested too.

    Raises:
        ValueError: There is one class only.
        FileNotFoundError: The images or the weights are not there.
    """
    config = checked.config
    torch.set_num_threads(config.threads)
    run = resolve(checked)
    if run.stream.num_classes < 2:
        raise ValueError(f"{config.data_name} has one class: a probe needs at least two")
    network = make_agent(run).policy.network
    dataset = run.stream.dataset
    train, test = (_features(network, images) for images in (dataset.train_images, dataset.test_images))
    neighbor = KNeighborsClassifier(1, metric="cosine").fit(train, dataset.train_labels)
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=MOST_ITERATIONS))
    linear.fit(train, dataset.train_labels)
    return Probe(
        config.model,
        Path(config.weights).name if config.weights else "",
        config.data_name,
        run.view.size,
        sum(parameter.numel() for parameter in network.backbone.parameters()),
        float(neighbor.score(test, dataset.test_labels)),
        float(linear.score(test, dataset.test_labels)),
        {
            f"{smallest:g}": float(linear.score(_features(network, dataset.test_images, smallest), dataset.test_labels))
            for smallest in crops
        },
    )


def _features(network: Network, images: Images, smallest_crop: float | None = None) -> NDArray[np.float32]:
    """Features of uint8 images of shape (N, H, W, 3), or of one random crop of each: float32 of shape (N, D)."""
    parts, generator = [], torch.Generator().manual_seed(0)
    with torch.no_grad():
        for first in range(0, len(images), BATCH):
            pixels = torch.from_numpy(np.array(images[first : first + BATCH]))
            if smallest_crop is not None:
                pixels = _crops(pixels, smallest_crop, generator)
            parts.append(network.features(pixels.to(network.device)).cpu().numpy())
    return np.concatenate(parts)


def _crops(images: Tensor, smallest: float, generator: torch.Generator) -> Tensor:
    """A random crop of each uint8 image of shape (N, H, W, 3), resized to the image's size."""
    view = TrainView((images.shape[1], images.shape[2]), (smallest, 1.0), flip=0.0)
    levels = (255 * view(images.permute(0, 3, 1, 2), generator)).round().to(torch.uint8)
    return levels.permute(0, 2, 3, 1)
