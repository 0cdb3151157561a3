"""LAE: a moving average of the PEFT module, which predicts together with the module."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from agents.methods.base import Method
from agents.methods.batch import Batch, TaskInfo
from agents.methods.peft_requirement import PeftRequirement
from agents.networks.network import Network
from cls_env.arguments import number, whole_number


class LAE(Method):
    """Learning, accumulation, ensemble: an offline PEFT module follows the online one by an exponential moving average.

    From the second task on, offline <- d offline + (1 - d) online after every step, also while the module is frozen.
    The average starts as a copy of the module at the end of the first task. The head is shared. The prediction is the
    class with the highest probability under either module, with a softmax over all seen classes. The learner's
    `freeze_fraction` is LAE's first phase of a task, in which the module is frozen.

    Source: Gao et al., "A Unified Continual Learning Framework with General Parameter-Efficient Tuning", ICCV 2023
    (arXiv 2303.10070), and its public code, which agree. The decay of 0.9999 at 24 images a step is the code's. Here
    it is corrected for the batch size, d = decay^(images / reference_batch), so that the averaging over an epoch does
    not depend on it. The 0.999 at 256 images of arXiv 2602.14078 differs from this by 0.0001.

    Args:
        decay: Decay of a step of `reference_batch` images, in [0, 1].
        reference_batch: Number of images that the decay is given for, at least 1.

    Raises:
        ValueError: An argument is out of range.
    """

    fixed_shapes = True
    accepts_peft = PeftRequirement(refused=("none",), reason="lae averages the trainable tensors of the backbone")

    def __init__(self, decay: float = 0.9999, reference_batch: int = 24) -> None:
        super().__init__()
        self.decay = number("decay", decay, "[0, 1]")
        self.reference_batch = whole_number("reference_batch", reference_batch, least=1)

    def attach(self, network: Network, seed: int) -> None:
        """Make the offline copy of the module."""
        online = {id(tensor) for tensor in network.peft_parameters}
        self._names = [name for name, tensor in network.backbone.named_parameters() if id(tensor) in online]
        self.keep_copies("offline", network.peft_parameters)

    @property
    def offline(self) -> list[Tensor]:
        """The averaged tensors, in the order of `network.peft_parameters`."""
        return self.copies("offline")

    def begin_task(self, network: Network, task: TaskInfo) -> None:
        """Start the average as a copy of the module after the first task."""
        if task.index == 1:
            self.keep_copies("offline", network.peft_parameters)

    def after_step(self, network: Network, batches: Sequence[Batch]) -> None:
        """Move the average towards the module."""
        if network.tasks_begun > 1:
            decay = self.decay ** (sum(len(batch.images) for batch in batches) / self.reference_batch)
            for average, tensor in zip(self.offline, network.peft_parameters, strict=True):
                average.lerp_(tensor.detach(), 1 - decay)

    def scores(self, network: Network, inputs: Tensor) -> Tensor:
        """The larger of the two log-probabilities; in the first task those of the module alone."""
        online = network(inputs).log_softmax(dim=1)
        if network.tasks_begun < 2:
            return online
        averaged = dict(zip(self._names, self.offline, strict=True))
        offline = network.head(network.encode(inputs, averaged)).log_softmax(dim=1)
        return torch.maximum(online, offline)
