"""L2P: a pool of prompts, of which some are selected for each image."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from agents.methods.batch import Batch, Loss
from agents.methods.common.fixed_backbone import FixedBackbone
from agents.methods.common.prompts import (
    check_tokens,
    features_with_prompt_tokens,
    seeds_of,
    similarity,
    uniform,
)
from agents.methods.peft_requirement import PeftRequirement
from agents.networks.network import Network
from cls_env.arguments import number, one_of, truth_value, whole_number

HEADS = ("prompts", "cls")


class L2P(FixedBackbone):
    """Learning to prompt: the prompts whose keys are nearest to an image's frozen features are added to its tokens.

    Features for the head are the mean output of the prompt tokens. Prompts and keys are shared by all tasks and trained
    in each. The selected keys are pulled towards the query by a loss of -pull * the sum of their cosines.

    Source: Wang et al., "Learning to Prompt for Continual Learning", CVPR 2022 (arXiv 2112.08654). Where its public
    code differs:

    - It draws prompts and keys from U[0, 0.01), `positive=true`: all keys then point into one orthant, near each other.
      Here they are drawn from U[-0.01, 0.01).
    - It gives all images of a batch the prompts that most of them select. At test, a batch of one class then reveals
      the task. Here each image has its own prompts; `batchwise=true` shares them in training alone, among the images
      of one step of the environment.
    - It adds position embeddings to prompts. Here prompts have none.
    - A port to PyTorch (PILOT) draws from U[-1, 1), `initial=1`, and pulls by 0.1. Keys of that size
      hardly change direction in a short task.
    - `head=cls` takes the class token as features, as the L2P++ of CODA-Prompt's authors does (Smith et al., CVPR
      2023).

    Args:
        pool: Number of prompts.
        length: Tokens of a prompt.
        top: Number of prompts selected for an image, at most `pool`.
        pull: Weight of the keys' loss, at least 0.
        initial: Prompts and keys are drawn from U[-initial, initial).
        batchwise: Whether the images of a training batch share the prompts that most of them select.
        head: The features: `"prompts"`, the mean output of the prompt tokens, or `"cls"`, the class token's output.
        positive: Draw from U[0, initial) instead, as the authors' code does.

    Raises:
        ValueError: An argument is out of range or unknown.
    """

    fixed_shapes = True
    default_peft = "none"
    accepts_peft = PeftRequirement(("none",), reason="l2p learns prompts of its own")

    def __init__(
        self,
        pool: int = 10,
        length: int = 5,
        top: int = 5,
        pull: float = 1.0,
        initial: float = 0.01,
        batchwise: bool = False,
        head: str = "prompts",
        positive: bool = False,
    ) -> None:
        super().__init__()
        self.pool, self.length, self.top = (
            whole_number("pool", pool, least=1),
            whole_number("length", length, least=1),
            whole_number("top", top, least=1),
        )
        if self.top > self.pool:
            raise ValueError(f"top must be at most pool, {pool}, not {top}")
        self.pull, self.initial = number("pull", pull, "[0, inf)"), number("initial", initial, "[0, inf)")
        self.batchwise, self.positive = truth_value("batchwise", batchwise), truth_value("positive", positive)
        self.head = one_of("head", head, HEADS)

    def attach(self, network: Network, seed: int) -> None:
        """Draw prompts and keys.

        Raises:
            ValueError: The backbone is no ViT whose tokens prompts can join.
        """
        check_tokens(network.backbone)
        width = network.head.weight.shape[1]
        prompts, keys = seeds_of(seed, 2)
        self.prompts = nn.Parameter(uniform((self.pool, self.length, width), prompts, self.initial, self.positive))
        self.keys = nn.Parameter(uniform((self.pool, width), keys, self.initial, self.positive))

    def selected(self, queries: Tensor) -> Tensor:
        """The prompts selected for each image, nearest first, int64 of shape (B, top)."""
        return similarity(queries, self.keys).topk(self.top, dim=1).indices

    def _selected_in_training(self, network: Network, batch: Batch) -> Tensor:
        if not self.batchwise:
            return self.selected(batch.frozen_features(network.encode))
        queries = batch.whole.frozen_features(network.encode)
        votes = torch.bincount(self.selected(queries).flatten(), minlength=self.pool)
        return votes.topk(self.top).indices.expand(len(batch.images), -1)

    def _logits(self, network: Network, inputs: Tensor, selected: Tensor) -> Tensor:
        tokens = self.prompts[selected].flatten(1, 2)
        return network.head(features_with_prompt_tokens(network.backbone, inputs, tokens, self.head))

    def training_logits(self, network: Network, batch: Batch) -> Tensor:
        """Logits with the selected prompts, or those of a vote where `batchwise`."""
        return self._logits(network, batch.inputs, self._selected_in_training(network, batch))

    def additional_loss(self, network: Network, batches: Sequence[Batch], loss: Loss) -> Tensor:
        """-pull * the mean over images of the sum of cosines of query and selected keys."""
        pulls = []
        for batch in batches:
            queries = batch.frozen_features(network.encode)
            selected = self._selected_in_training(network, batch)
            pulls.append(similarity(queries, self.keys).gather(1, selected).sum(dim=1))
        return -self.pull * torch.cat(pulls).mean()

    def scores_from_features(self, network: Network, features: Tensor, inputs: Callable[[], Tensor]) -> Tensor:
        """Logits with the prompts selected for each image."""
        return self._logits(network, inputs(), self.selected(features))
