"""A policy as a function from the inputs of its backbone to the scores of the classes that it has seen."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from agents.export.image_steps import ImageSteps, image_steps
from agents.methods import Method
from agents.networks.network import Network
from agents.policy import ViTPolicy
from cls_env.datasets.files.decoding import Decoding

LARGEST_DIFFERENCE = 1e-4
"""Between the scores of the policy and of its export, over the largest score; rounding is a tenth of it or less."""
CHECKED_IMAGES = 4


class Classifier(nn.Module):
    """A copy of a policy's network and method on the CPU, in float32 and eval mode.

    Args:
        policy: The policy. It is not changed.
        decoding: How its training images were decoded, if known.

    Attributes:
        network: The copy of its network.
        method: The copy of its method.
        actions: The classes that it has seen, in ascending order: output i is the score of `actions[i]`.
        class_names: Their names; the actions themselves where they have none.
        steps: From an image file to its view.

    Raises:
        ValueError: The policy has seen no class, or computes its scores in a way of its own.
    """

    def __init__(self, policy: ViTPolicy, decoding: Decoding | None = None) -> None:
        super().__init__()
        kind = type(policy)
        if kind.forward is not ViTPolicy.forward or kind.action_scores is not ViTPolicy.action_scores:
            raise ValueError(f"{kind.__name__} computes scores in a way of its own, which no export has")
        actions = sorted(policy.seen_classes.tolist())
        if not actions:
            raise ValueError("the agent has seen no class yet: let it learn before it is exported")
        network, method = copy.deepcopy((policy.network, policy.method))
        self.network: Network = network
        self.method: Method = method
        self.network.precision = "float32"
        self.actions = actions
        names = policy.class_names
        self.class_names = tuple(str(action) if names is None else names[action] for action in actions)
        self.steps: ImageSteps = image_steps(policy, decoding)
        self.cpu().eval().requires_grad_(False)

    def forward(self, inputs: Tensor) -> Tensor:
        """The scores of the seen classes, shape (B, K), for inputs [B, 3, h, w] of the backbone."""
        return self.method.scores(self.network, inputs)[:, self.actions]

    def normalized(self, pixels: Tensor) -> Tensor:
        """Inputs of the backbone, [B, 3, h, w], for the pixels of views in [0, 1]."""
        preprocessing = self.network.preprocessing
        return (pixels - preprocessing.mean) / preprocessing.std

    def random_pixels(self, count: int) -> Tensor:
        """Random views, always the same, float32 of shape (count, 3, h, w) in [0, 1]."""
        width, height = self.steps.size
        generator = torch.Generator().manual_seed(0)
        coarse = torch.rand(count, 3, 4, 4, generator=generator)
        return nn.functional.interpolate(coarse, (height, width), mode="bilinear")

    @torch.no_grad()
    def check_same(self, exported: Callable[[Tensor], Tensor], reason: str) -> None:
        """Check that an export gives the scores of the policy.

        Args:
            exported: From inputs of the backbone to scores of the seen classes.
            reason: Reason to give otherwise.

        Raises:
            ValueError: It does not.
        """
        inputs = self.normalized(self.random_pixels(CHECKED_IMAGES))
        wanted = self(inputs)
        difference = float((exported(inputs) - wanted).abs().max() / wanted.abs().max().clamp(min=1e-6))
        if not difference <= LARGEST_DIFFERENCE:
            raise ValueError(f"the export would give scores that differ from the agent's by {difference:.0e}: {reason}")
