"""The tensors of a PEFT module that are not in the adapter files of peft."""

from __future__ import annotations

from collections.abc import Mapping

from peft import PeftModel, get_peft_model_state_dict
from torch import Tensor

from agents.networks.network import Network
from agents.networks.weights import check_tensors


def module_tensors(network: Network) -> dict[str, Tensor]:
    """The tensors of a network's PEFT module, by their names in the backbone, without those of its adapters of peft.

    They are the tensors that are or were trainable, and the persistent buffers that the module added. A module that is
    a `PeftModel` and nothing else has none; a module of your own that unfreezes or wraps layers has all of them here.
    """
    backbone = network.backbone
    held: set[int] = set()
    if isinstance(backbone, PeftModel):
        for adapter in backbone.peft_config:
            held |= {tensor.data_ptr() for tensor in get_peft_model_state_dict(backbone, adapter_name=adapter).values()}
    state = backbone.state_dict()
    return {name: state[name] for name in sorted(network.module_names) if state[name].data_ptr() not in held}


def load_module_tensors(network: Network, tensors: Mapping[str, Tensor], source: str) -> None:
    """Load saved tensors of a PEFT module. All that `module_tensors` names must be there.

    Args:
        network: The network.
        tensors: By their names in the backbone.
        source: Where they come from, for the message.

    Raises:
        ValueError: A tensor is missing, unknown to the backbone or of another shape.
    """
    state = network.backbone.state_dict()
    wanted = module_tensors(network) | {name: state[name] for name in tensors if name in state}
    check_tensors(tensors, wanted, source)
    network.backbone.load_state_dict(tensors, strict=False)
