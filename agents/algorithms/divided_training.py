"""A gradient step whose passes through the network are divided among processes; one process alone does it all."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.dropout import _DropoutNd

from agents.algorithms.saved_memory import logits_by_parts
from agents.methods import Batch, Method
from agents.networks.network import Network
from agents.parallel.exchange import average_gradients, check_same
from agents.parallel.processes import current
from agents.parallel.shards import divided
from agents.policy import ViTPolicy


def divided_logits(method: Method, network: Network, batch: Batch, micro_batch: int | None) -> Tensor:
    """The method's training logits, float32 of shape (B, A), see `logits_by_parts`."""
    return divided(
        len(batch.images),
        lambda rows: logits_by_parts(method, network, batch.part(rows), micro_batch).float(),
    )


def backward(loss: Tensor, policy: ViTPolicy) -> None:
    """Compute the gradients of a loss that each process has computed.

    Args:
        loss: A scalar.
        policy: Its trained tensors get the gradients, which are the same in all processes.
    """
    loss.backward()
    if current().several:
        average_gradients(policy.trainable_parameters)


def check_division(policy: ViTPolicy, batch_size: int) -> None:
    """Check that several processes can train a policy, and that theirs are the same; nothing for one process.

    Args:
        policy: The policy.
        batch_size: Images of a step of the environment.

    Raises:
        ValueError: A batch has fewer images than there are processes, or the network computes statistics over a batch
            or draws random numbers.
        RuntimeError: The processes have different policies.
    """
    count = current().count
    if count == 1:
        return
    if batch_size < count:
        raise ValueError(f"a batch of {batch_size} images can't be divided among {count} processes: start fewer")
    if policy.network.trains_whole_backbone:
        for module in policy.network.backbone.modules():
            if reason := _reason_against(module):
                raise ValueError(
                    f"peft='full' on {policy.config.model} can't be trained by {count} processes: its "
                    f"{type(module).__name__} {reason}"
                )
    check_same("the policies", [tensor for tensor in policy.learned_tensors() if tensor.numel()])


def _reason_against(module: nn.Module) -> str:
    if isinstance(module, _BatchNorm):
        return "computes statistics over the whole batch"
    share = module.p if isinstance(module, _DropoutNd) else getattr(module, "drop_prob", None)
    return "draws random numbers" if share else ""
