"""DualPrompt: general prompts for all tasks, and an expert prompt for each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from agents.methods.batch import Batch, Loss, TaskInfo
from agents.methods.common.fixed_backbone import FixedBackbone
from agents.methods.common.prompts import seeds_of, similarity, uniform, with_prompts, wrap_attention
from agents.methods.peft_requirement import PeftRequirement
from agents.networks.network import Network
from cls_env.arguments import number, truth_value, whole_number


class DualPrompt(FixedBackbone):
    """Prompts for attention: a general one (G) in the first blocks, and an expert one (E) per task in further blocks.

    In training the E-prompt is the task's own. Its key is pulled towards the frozen features of the task's images by
    a loss of -pull * cosine. At test the E-prompt whose key is nearest to an image's features is used. E-prompts and
    keys of earlier tasks are frozen.

    Source: Wang et al., "DualPrompt", ECCV 2022 (arXiv 2204.04799): prefix tuning, in which prompts pass the frozen
    projections to keys and values. Where public code differs:

    - The authors draw prompts and keys from U[0, 0.01), `positive=true`. Here they are drawn from U[-0.01, 0.01).
    - The authors' code and its port to PyTorch (JH-LEE) take prompts as keys and values themselves (`projected=false`)
      and initialize an E-prompt with that of the task before (`transfer=true`).
    - Their CIFAR-100 settings select one E-prompt for a whole test batch, which reveals the task and is not offered.
      Their ImageNet-R settings select one for each image, as here.
    - On ImageNet-R their E-prompts have length 20 (`expert=20`); both pull by 1.
    - Another port (PILOT) draws from U[-1, 1), `initial=1`, and pulls by 0.1. Keys of that size hardly
      turn towards the features in a short task, and are then selected by chance.

    Args:
        general: Length of the G-prompt.
        expert: Length of an E-prompt.
        general_blocks: Number of the policy's `blocks`, from the first, with the G-prompt; the rest have E-prompts.
        pull: Weight of the key's loss, at least 0.
        initial: Prompts and keys are drawn from U[-initial, initial).
        projected: Whether prompts pass the projections to keys and values.
        transfer: Whether an E-prompt is initialized with that of the task before.
        positive: Draw from U[0, initial) instead, as the authors' code does.

    Raises:
        ValueError: An argument is out of range.
    """

    default_peft = "none"
    accepts_peft = PeftRequirement(("none",), reason="dualprompt learns prompts of its own")

    past_prompts: Tensor
    past_keys: Tensor

    def __init__(
        self,
        general: int = 5,
        expert: int = 5,
        general_blocks: int = 2,
        pull: float = 1.0,
        initial: float = 0.01,
        projected: bool = True,
        transfer: bool = False,
        positive: bool = False,
    ) -> None:
        super().__init__()
        self.general, self.expert = whole_number("general", general, least=1), whole_number("expert", expert, least=1)
        self.general_blocks = whole_number("general_blocks", general_blocks, least=1)
        self.pull, self.initial = number("pull", pull, "[0, inf)"), number("initial", initial, "[0, inf)")
        self.projected, self.transfer = truth_value("projected", projected), truth_value("transfer", transfer)
        self.positive = truth_value("positive", positive)

    def attach(self, network: Network, seed: int) -> None:
        """Draw the G-prompt, and let the attention of the policy's blocks take prompts.

        Raises:
            ValueError: The blocks are too few, or do not fit the backbone.
        """
        blocks = network.config.blocks
        if len(blocks) <= self.general_blocks:
            raise ValueError(f"dualprompt needs more blocks than general_blocks={self.general_blocks}, not {blocks}")
        wrap_attention(network.backbone, blocks, self.projected)
        self._general_at, self._expert_at = blocks[: self.general_blocks], blocks[self.general_blocks :]
        self._width = network.head.weight.shape[1]
        shape = (len(self._general_at), 2, self.general, self._width)
        self.general_prompts = nn.Parameter(self._drawn(shape, seed))
        shape = (len(self._expert_at), 2, self.expert, self._width)
        self.prompt, self.key = nn.Parameter(torch.zeros(shape)), nn.Parameter(torch.zeros(self._width))
        self.register_buffer("past_prompts", torch.empty(0, *shape))
        self.register_buffer("past_keys", torch.empty(0, self._width))

    def begin_task(self, network: Network, task: TaskInfo) -> None:
        """Store the E-prompt and key of the task before, and draw new ones."""
        if task.index:
            self.past_prompts = torch.cat([self.past_prompts, self.prompt.detach()[None]])
            self.past_keys = torch.cat([self.past_keys, self.key.detach()[None]])
        key, prompt = seeds_of(task.seed, 2)
        with torch.no_grad():
            self.key.copy_(self._drawn((self._width,), key))
            if not (self.transfer and task.index):
                self.prompt.copy_(self._drawn(self.prompt.shape, prompt))

    def _drawn(self, shape: Sequence[int], seed: int) -> Tensor:
        return uniform(shape, seed, self.initial, self.positive)

    def _logits(self, network: Network, inputs: Tensor, expert: Tensor) -> Tensor:
        """Logits with an E-prompt for each image, [B, blocks, 2, L, D]."""
        prompts = {
            block: (pair[0].expand(inputs.shape[0], -1, -1), pair[1].expand(inputs.shape[0], -1, -1))
            for block, pair in zip(self._general_at, self.general_prompts, strict=True)
        }
        prompts |= {block: (expert[:, at, 0], expert[:, at, 1]) for at, block in enumerate(self._expert_at)}
        with with_prompts(network.backbone, prompts):
            return network(inputs)

    def training_logits(self, network: Network, batch: Batch) -> Tensor:
        """Logits with the task's own E-prompt."""
        return self._logits(network, batch.inputs, self.prompt.expand(len(batch.images), -1, -1, -1, -1))

    def additional_loss(self, network: Network, batches: Sequence[Batch], loss: Loss) -> Tensor:
        """-pull * the mean cosine of the images' frozen features and the task's key."""
        queries = torch.cat([batch.frozen_features(network.encode) for batch in batches])
        return -self.pull * similarity(queries, self.key[None]).mean()

    def selected(self, queries: Tensor) -> Tensor:
        """The task whose key is nearest to each query, int64 of shape (B,)."""
        return similarity(queries, torch.cat([self.past_keys, self.key[None]])).argmax(dim=1)

    def scores_from_features(self, network: Network, features: Tensor, inputs: Callable[[], Tensor]) -> Tensor:
        """Logits with the E-prompt selected for each image."""
        experts = torch.cat([self.past_prompts, self.prompt[None]])
        return self._logits(network, inputs(), experts[self.selected(features)])
