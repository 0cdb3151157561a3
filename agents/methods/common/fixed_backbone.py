"""The base class of methods that never change the backbone."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from agents.methods.base import Method
from agents.networks.network import Network


class FixedBackbone(Method):
    """A method that never changes the backbone, so that its features of an image are the same after every task.

    An evaluation can then compute them once, see `agents.evaluation.evaluate_tasks`. Subclasses override
    `scores_from_features` in place of `scores`.
    """

    def scores_from_features(self, network: Network, features: Tensor, inputs: Callable[[], Tensor]) -> Tensor:
        """`scores`, with the images' features in the plain backbone given.

        Args:
            network: The network.
            features: Features of the images, shape (B, D).
            inputs: Returns the preprocessed images, [B, 3, h, w], for methods that need more than their features.
        """
        return network.head(features)

    def scores(self, network: Network, inputs: Tensor) -> Tensor:
        """The scores from the features of the images."""
        return self.scores_from_features(network, network.encode(inputs), lambda: inputs)

    def can_reuse_features(self, network: Network) -> bool:
        """Whether features may be kept; not in a subclass with `scores` of its own, or one that trains the backbone."""
        return type(self).scores is FixedBackbone.scores and not network.peft_parameters
