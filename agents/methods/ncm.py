"""Nearest class mean, without gradients."""

from __future__ import annotations

import torch
from torch import Tensor

from agents.methods.batch import TaskInfo
from agents.methods.common.fixed_backbone import FixedBackbone
from agents.methods.peft_requirement import PeftRequirement
from agents.networks.class_names import move_actions
from agents.networks.network import Network
from cls_env.arguments import one_of

METRICS = ("cosine", "euclidean")


class NCM(FixedBackbone):
    """Nearest class mean: the head's rows are set from the mean pretrained features m of each class.

    For the cosine, w = m / |m| and b = 0; for the Euclidean distance, w = 2 m and b = -|m|^2. Each image counts once.
    The softmax of the logits is not calibrated.

    Source: Mensink et al., "Distance-Based Image Classification", TPAMI 2013; with the cosine on a pretrained ViT,
    Zhou et al., "Revisiting Class-Incremental Learning with Pre-Trained Models", IJCV 2024 (SimpleCIL).

    Args:
        metric: `"cosine"` or `"euclidean"`.

    Raises:
        ValueError: The metric is unknown.
    """

    learns_by_gradient = False
    needs_task_data = True
    fixed_shapes = True
    default_peft = "none"
    accepts_peft = PeftRequirement(("none",), reason="ncm leaves the backbone as it is")

    sums: Tensor
    counts: Tensor
    tasks_counted: Tensor

    def __init__(self, metric: str = "cosine") -> None:
        super().__init__()
        self.metric = one_of("metric", metric, METRICS)

    def attach(self, network: Network, seed: int) -> None:
        """Create sums and counts of 0."""
        actions, width = network.head.num_actions, network.head.weight.shape[1]
        self.register_buffer("sums", torch.zeros(actions, width, dtype=torch.float64))
        self.register_buffer("counts", torch.zeros(actions, dtype=torch.int64))
        self.register_buffer("tasks_counted", torch.zeros((), dtype=torch.int64))

    def remap_actions(self, network: Network, new_index: Tensor, num_actions: int) -> None:
        """Move sums and counts."""
        self.sums = move_actions(self.sums, new_index, num_actions)
        self.counts = move_actions(self.counts, new_index, num_actions)

    @torch.no_grad()
    def end_task(self, network: Network, task: TaskInfo) -> None:
        """Add the task's images and set the rows of their classes; a second call for the same task adds nothing."""
        if self.tasks_counted > task.index:
            return
        network.train(False)
        sums, counts = torch.zeros_like(self.sums), torch.zeros_like(self.counts)
        for batch in task.images():  # which may fail midway
            sums.index_add_(0, batch.labels, network.encode(batch.inputs).double())
            counts += torch.bincount(batch.labels, minlength=len(counts))
        self.sums, self.counts = self.sums + sums, self.counts + counts
        self.tasks_counted.fill_(task.index + 1)
        seen = network.head.actions
        means = (self.sums[seen] / self.counts[seen, None].clamp(min=1)).to(network.head.weight.dtype)
        if self.metric == "cosine":
            network.head.weight.copy_(torch.nn.functional.normalize(means, dim=1))
            network.head.bias.zero_()
        else:
            network.head.weight.copy_(2 * means)
            network.head.bias.copy_(-means.square().sum(dim=1))
