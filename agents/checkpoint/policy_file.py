"""A trained policy in one zip of JSON and safetensors; reading it runs no code.

Its parts are:

- `model.json`: how to rebuild the agent.
- `head.safetensors`: weight, bias and the actions of the rows.
- `adapter/`: a PEFT module of peft, as its `save_pretrained` writes it and `peft.PeftModel.from_pretrained` loads it.
  Later adapters of a method with one for each task are in `adapter/task1/` ...
- `backbone.safetensors`: with `peft="full"`, parameters and buffers of the backbone under timm's names.
- `module.safetensors`: trainable tensors and buffers of a PEFT module of your own that are in no adapter of peft.
- `method.safetensors`: the state of the method.
- `algorithm.safetensors`: the state of the algorithm.
- `README.md`: the model card, for readers. Nothing is read from it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict

from agents.checkpoint.archive import part_names, read_json, read_tensors, write_archive, write_tensors
from agents.checkpoint.description import MOST, POLICY, check_agent, check_entries
from agents.checkpoint.module_weights import load_module_tensors, module_tensors
from agents.methods.common.lora_per_task import PerTaskLoRA, adapter_of
from agents.networks.config import PolicyConfig, renamed_entries
from agents.networks.network import Network
from agents.networks.weights import alike, check_finite, form, load_tensors
from agents.optimization.learning_arguments import policy_arguments
from agents.optimization.optimizers import is_torchs_own
from agents.policy import ViTPolicy
from cls_env.arguments import check_savable
from cls_env.bounded.regular_files import check_regular
from cls_env.specification import parse_specification

_MODEL, _HEAD, _BACKBONE, _METHOD = "model.json", "head.safetensors", "backbone.safetensors", "method.safetensors"
_ALGORITHM, _MODULE = "algorithm.safetensors", "module.safetensors"
_CARD = "README.md"
_ADAPTER = "adapter"
_ADAPTER_CONFIG = f"{_ADAPTER}/adapter_config.json"
ARCHIVE_FILES = re.compile(
    rf"({_HEAD}|{_BACKBONE}|{_METHOD}|{_ALGORITHM}|{_MODULE}|{_ADAPTER}/(task\d+/)?(adapter_config\.json|adapter_model\.safetensors))"
)
"""Names of the parts of a checkpoint; nothing else is read or written."""
REPEATED_GROUP = r"\)\s*[*+{]"
"""In a regular expression: what makes it take exponential time on some names."""
MOST_OF_METHOD = 2**16
"""The largest whole number that an argument of a saved method may be, such as the size of a buffer of images."""
DEFAULT_ADAPTER = "default"
"""peft's name for the first adapter."""
EARLIER_VIEW = {"crop_fraction": 0.875, "interpolation": "bilinear"}
"""The test view of older checkpoints, which do not describe it."""


def save_checkpoint(
    path: str | Path,
    policy: ViTPolicy,
    description: dict[str, Any],
    state: dict[str, torch.Tensor] | None = None,
    card: str = "",
) -> Path:
    """Write a checkpoint atomically.

    Args:
        path: The file; `.zip` is added where it has no suffix.
        policy: Whose head, method and PEFT module, or whole backbone, are saved; a frozen backbone is named, not saved.
        description: What else is needed to rebuild the agent; must be JSON.
        state: The state of the algorithm, if it has any.
        card: The model card, in Markdown; none is written if it is empty.

    Returns:
        The file written.
    """
    target = Path(path) if Path(path).suffix else Path(path).with_suffix(".zip")
    check_savable(description)

    def fill(folder: Path) -> None:
        (folder / _MODEL).write_text(json.dumps(description, indent=2) + "\n", encoding="utf-8")
        if card:
            (folder / _CARD).write_text(card, encoding="utf-8", errors="backslashreplace")
        network = policy.network
        write_tensors(network.head.state_dict(), folder / _HEAD)
        further = {} if network.trains_whole_backbone else module_tensors(network)
        for tensors, name in ((policy.method.state_dict(), _METHOD), (state or {}, _ALGORITHM), (further, _MODULE)):
            if tensors:
                write_tensors(tensors, folder / name)
        if isinstance(network.backbone, PeftModel):
            network.backbone.save_pretrained(str(folder / _ADAPTER))
        elif network.trains_whole_backbone:
            write_tensors(network.backbone.state_dict(), folder / _BACKBONE)

    write_archive(target, fill, lambda name: name in (_MODEL, _CARD) or ARCHIVE_FILES.fullmatch(name) is not None)
    return target


def read_description(path: str | Path) -> dict[str, Any]:
    """The JSON part of a checkpoint.

    Raises:
        FileNotFoundError: There is no such file, also not with `.zip` added.
        ValueError: The file is not a checkpoint of this package.
    """
    return read_json(_existing(path), _MODEL)


def read_agent(path: str | Path) -> dict[str, Any]:
    """The JSON part of an agent's checkpoint, with all entries that every algorithm has.

    Raises:
        FileNotFoundError: There is no such file, also not with `.zip` added.
        ValueError: The file is not a checkpoint of an agent, or is damaged.
    """
    description = read_description(path)
    check_agent(description, path)
    return description


def read_state(path: str | Path) -> dict[str, torch.Tensor]:
    """The state of the algorithm; empty if it has none.

    Raises:
        ValueError: It is damaged.
    """
    file = _existing(path)
    return read_tensors(file, _ALGORITHM) if _ALGORITHM in part_names(file) else {}


def policy_to_json(policy: ViTPolicy) -> dict[str, Any]:
    """The configuration of a policy and its optimizer as JSON; an optimizer that is not PyTorch's is None."""
    optimizer = policy.optimizer_class
    known = is_torchs_own(optimizer)
    return {
        "policy": asdict(policy.config),
        "optimizer": optimizer.__name__ if known else None,
        "optimizer_kwargs": policy.optimizer_kwargs if known else {},
        "backbone_sha256": policy.backbone_hash,
    }


def saved_policy_arguments(description: dict[str, Any]) -> dict[str, Any]:
    """The arguments of a `ViTPolicy` as described by `policy_to_json`, without `optimizer_class` if it is unnamed.

    Entries of `PolicyConfig` that the description lacks, being older, have the values that they stood for then.

    Raises:
        ValueError: The description has an entry that `PolicyConfig` lacks, lacks one of its own, or one is damaged.
    """
    check_entries(description, POLICY, "the checkpoint")
    entries: dict[str, Any] = EARLIER_VIEW | renamed_entries(description["policy"])
    rank = entries.pop("lora_rank", None)  # checkpoints from before modules had arguments
    if rank is not None and entries.get("peft") == "lora":
        entries["peft"] = f"lora:r={rank}"
    unknown = sorted(set(entries) - set(PolicyConfig.__dataclass_fields__))
    if unknown:
        raise ValueError(f"the saved policy has entries unknown here: {', '.join(unknown)}; a later version saved it")
    _check_sizes(entries)
    if entries.get("peft") == "full":  # all weights are in the checkpoint: none need be fetched or read first
        entries = entries | {"pretrained": False, "weights": None}
    arguments: dict[str, Any] = {"config": PolicyConfig(**entries)}
    optimizer = getattr(torch.optim, description["optimizer"] or "", None)
    if isinstance(optimizer, type) and issubclass(optimizer, torch.optim.Optimizer):
        arguments |= {"optimizer_class": optimizer, "optimizer_kwargs": description["optimizer_kwargs"]}
    return arguments


def _check_sizes(entries: dict[str, Any]) -> None:
    """Check the sizes of a saved policy, which would take memory before its tensors show that they are wrong."""
    sizes = {"input_size": entries.get("input_size")}
    if isinstance(entries.get("peft"), str):
        sizes |= parse_specification(entries["peft"])[1]
    if isinstance(entries.get("peft"), str) and re.search(REPEATED_GROUP, entries["peft"]):
        raise ValueError("the saved peft has a pattern with a repeated group, which may take for ever to compare")
    of_method = parse_specification(entries["method"])[1] if isinstance(entries.get("method"), str) else {}
    for given, most in ((sizes, MOST), (of_method, MOST_OF_METHOD)):
        for name, size in given.items():
            if isinstance(size, int) and size > most:
                raise ValueError(f"the saved {name} is {size}, which is more than {most:,}: the file is damaged")


def saved_agent_arguments(
    path: str | Path, saved: dict[str, Any], given: dict[str, Any], own: Sequence[str], shared: Sequence[str]
) -> dict[str, Any]:
    """The constructor arguments of a saved agent.

    Args:
        path: Of the checkpoint, for messages.
        saved: What `read_description` gives.
        given: Arguments that replace the saved ones.
        own: Names of the arguments that are the algorithm's own.
        shared: Names of those that all algorithms share; older files may lack some.

    Raises:
        ValueError: Something was code when it was saved, and is not given.
    """
    arguments = {name: saved[name] for name in shared if name in saved}
    for name in (*own, "learning_rate"):
        if name not in saved:
            raise ValueError(f"model.json in {path} lacks the entry {name!r}: the file is damaged")
        if saved[name] is None and name not in given:
            raise ValueError(f"{path} was saved with a function as {name}: pass it again, load(path, {name}=...)")
        arguments[name] = saved[name]
    try:
        policy_kwargs = saved_policy_arguments(saved) | policy_arguments(given.get("policy_kwargs"))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    config = policy_kwargs["config"]
    if not isinstance(config, PolicyConfig):
        raise ValueError(f"config must be a PolicyConfig, not {config!r}")
    if config.weights is not None and "weights" not in policy_kwargs and not Path(config.weights).is_file():
        raise ValueError(
            f"{path} was trained on the weights file {config.weights}, which is not here; say where it is, "
            "load(path, policy_kwargs={'weights': ...}), or --weights FILE on the command line"
        )
    if "optimizer_class" not in policy_kwargs:
        raise ValueError(f"{path} was saved with an optimizer of its own: pass it in policy_kwargs again")
    return arguments | given | {"policy_kwargs": policy_kwargs}


def load_weights(path: str | Path, policy: ViTPolicy) -> None:
    """Load head, method and PEFT module, or the whole backbone, into a policy made from the checkpoint's description.

    The policy's `network.tasks_begun` must be that of the checkpoint already.

    Raises:
        ValueError: A part or a tensor is missing, unexpected or of another shape.
    """
    file = _existing(path)
    parts = set(part_names(file))
    _check_parts(policy, parts, file)
    _load_head(policy.network, read_tensors(file, _HEAD), f"{_HEAD} in {file}")
    _check_adapters(policy, parts, file)
    try:
        tensors = read_tensors(file, _METHOD) if _METHOD in parts else {}
        policy.method.load_state(policy.network, tensors)
        checked = {name: tensor for name, tensor in tensors.items() if name not in policy.method.unknown_as_nan}
        if broken := [name for name, tensor in checked.items() if tensor.isnan().any()]:
            raise ValueError(f"the saved {broken[0]} holds NaN: the file is damaged, or training had diverged")
    except ValueError as error:
        raise ValueError(f"{file}, method {policy.config.method}: {error}") from error
    if policy.network.trains_whole_backbone:
        tensors = read_tensors(file, _BACKBONE)
        load_tensors(policy.network.backbone, tensors, f"{_BACKBONE} in {file}")
        check_finite(tensors, f"{_BACKBONE} in {file}")
    else:
        _load_module(policy, parts, file)


def _check_parts(policy: ViTPolicy, parts: set[str], file: Path) -> None:
    """Raise ValueError unless a checkpoint has the parts of a policy of its PEFT module."""
    if _HEAD not in parts:
        raise ValueError(f"{file} holds no head: it is damaged")
    if policy.network.trains_whole_backbone != (_BACKBONE in parts):
        found = "holds a" if _BACKBONE in parts else "holds no"
        raise ValueError(f"{file} {found} {_BACKBONE}, which does not fit a policy of peft={policy.config.peft!r}")
    adapted = isinstance(policy.network.backbone, PeftModel)
    if adapted != (_ADAPTER_CONFIG in parts):
        found = "holds no" if adapted else "holds an"
        raise ValueError(f"{file} {found} adapter, which does not fit a policy of peft={policy.config.peft!r}")


def _load_module(policy: ViTPolicy, parts: set[str], file: Path) -> None:
    """Load the tensors of a PEFT module: adapters of peft, and further ones."""
    network = policy.network
    if isinstance(network.backbone, PeftModel):
        for name in network.backbone.peft_config:
            _load_adapter(network.backbone, name, parts, file)
    if _MODULE in parts:
        tensors = read_tensors(file, _MODULE)
        load_module_tensors(network, tensors, f"{_MODULE} in {file}")
        check_finite(tensors, f"{_MODULE} in {file}")
    elif lost := module_tensors(network):
        raise ValueError(
            f"{file} was saved by an older version, without {_MODULE} and the {len(lost)} tensors of peft "
            f"{policy.config.peft!r}: train the agent again"
        )


def _load_head(network: Network, tensors: dict[str, torch.Tensor], source: str) -> None:
    actions = tensors.get("actions", torch.empty(0, dtype=torch.int64)).flatten().tolist()
    if not all(isinstance(action, int) for action in actions) or len(set(actions)) < len(actions):
        raise ValueError(f"{source} is damaged: its actions are {actions}")
    try:
        network.head.grow(actions)
    except ValueError as error:
        raise ValueError(f"{source} is damaged: {error}") from error
    load_tensors(network.head, tensors, source)
    check_finite(tensors, source)


def _adapter_part(name: str) -> str:
    folder = _ADAPTER if name == DEFAULT_ADAPTER else f"{_ADAPTER}/{name}"
    return f"{folder}/adapter_model.safetensors"


def _check_adapters(policy: ViTPolicy, parts: set[str], file: Path) -> None:
    """Check that a method with an adapter for each task has them all, and no further one, before any is made."""
    if not isinstance(policy.method, PerTaskLoRA):
        return
    tasks_begun = policy.network.tasks_begun
    for task in range(tasks_begun):
        if _adapter_part(adapter_of(task)) not in parts:
            raise ValueError(f"{file} lacks the adapter {adapter_of(task)}, where tasks_begun is {tasks_begun}")
    if tasks_begun and _adapter_part(adapter_of(tasks_begun)) in parts:
        raise ValueError(f"{file} has the adapter {adapter_of(tasks_begun)}, where tasks_begun is {tasks_begun}")


def _load_adapter(backbone: PeftModel, name: str, parts: set[str], file: Path) -> None:
    part = _adapter_part(name)
    if part not in parts:
        raise ValueError(f"{file} lacks the adapter {name}")
    weights = read_tensors(file, part)
    expected: dict[str, torch.Tensor] = get_peft_model_state_dict(backbone, adapter_name=name)
    missing = sorted(set(expected) - set(weights))
    for tensor in sorted(set(expected) & set(weights)):
        found, wanted = tuple(weights[tensor].shape), tuple(expected[tensor].shape)
        if found != wanted:
            raise ValueError(f"{file}: the adapter's {tensor} has shape {found}, where the policy's has {wanted}")
        if not alike(weights[tensor], expected[tensor]):
            raise ValueError(f"{file}: the adapter's {tensor} is {form(weights[tensor])}: it is damaged")
    check_finite(weights, f"{part} in {file}")
    result: Any = set_peft_model_state_dict(backbone, weights, adapter_name=name)
    unexpected = result.unexpected_keys
    if missing or unexpected:
        raise ValueError(f"{file}: the adapter lacks {missing[:3]} and has unexpected {unexpected[:3]}")


def _existing(path: str | Path) -> Path:
    """The file of a checkpoint: the path itself, with `.zip` added, or the `model.zip` of a run's folder.

    Raises:
        FileNotFoundError: There is none.
        ValueError: It is a pipe or a device.
    """
    for file in (Path(path), Path(f"{path}.zip"), Path(path) / "model.zip"):
        if file.is_file():
            return file
        if not file.is_dir():
            check_regular(file)
    raise FileNotFoundError(f"no saved model at {path}: give a file of agent.save, or the folder of a run")
