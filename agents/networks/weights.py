"""Reading a weights file of any usual format, and putting it into a timm model only where it fits; no code is run.

Formats: `.npz` as Google released its ViTs (`"embedding/kernel"`, "How to train your ViT?", arXiv 2106.10270, and the
original ones), `.safetensors`, and `.pth`, `.pt`, `.bin`, `.ckpt` (Lightning), `.tar` or `.pth.tar` (MoCo) of
`torch.save` with nothing but tensors and plain values in them.
"""

from __future__ import annotations

import re
import sys
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from agents.networks.torch_files import read_torch
from agents.networks.weights_layout import unwrapped, without_prefix
from cls_env.bounded.arrays import read_npz
from cls_env.specification import lookup

MOST_NAMED = 3


def read_weights(file: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a weights file.

    A training checkpoint is unwrapped: the tensors are taken from its `state_dict_ema`, `model_ema`, `state_dict`,
    `model` or `teacher`, or from its `student`, `net` or similar entry where it has none of these. Prefixes of their
    names stay; `put_weights` takes them off.

    Args:
        file: A `.npz`, `.safetensors`, `.pth`, `.pt`, `.bin`, `.ckpt` or `.tar` file.

    Returns:
        Tensors by name; those of a `.npz` have timm's names and shapes.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: Its suffix is unknown, it is damaged, or it holds something else than tensors.
    """
    path = Path(file)
    read = lookup(f"format of weights file {path},", path.suffix.lower(), READERS)
    if not path.is_file():
        raise FileNotFoundError(f"no weights file at {path}")
    try:
        tensors = unwrapped(read(path))
    except Exception as error:  # numpy, zipfile, safetensors and torch have many kinds for a damaged file
        raise ValueError(f"can't read weights file {path}: {' '.join(str(error).split())}") from error
    others = [str(name) for name, value in tensors.items() if not (isinstance(name, str) and isinstance(value, Tensor))]
    if others:
        raise ValueError(f"weights file {path} holds {_first(others)}, which are not tensors; save a state_dict alone")
    return tensors


def _read_npz(path: Path) -> dict[str, Tensor]:
    try:
        arrays = read_npz(path)
    except zipfile.BadZipFile as error:
        raise ValueError(f"it is damaged, or no archive of arrays ({error})") from error
    return _named_as_timm({name: torch.from_numpy(array) for name, array in arrays.items()})


def _read_torch(path: Path) -> dict[str, Any]:
    try:
        content = read_torch(path)
    except ValueError as error:
        raise ValueError(f"{error}; save a state_dict alone") from error
    except Exception as error:  # PyTorch's message may advise to trust the file
        code = re.search(r"GLOBAL ([\w.]+)", f"{error} {error.__cause__}")
        found = f"it would run {code[1]}, which is refused" if code else "it is damaged, or holds more than tensors"
        raise ValueError(f"{found}; save a state_dict alone") from error
    if not isinstance(content, dict):
        raise ValueError("it holds no tensors by name, or more than tensors; save a state_dict alone")
    return content


READERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    ".npz": _read_npz,
    ".safetensors": load_file,
    ".pth": _read_torch,
    ".pt": _read_torch,
    ".bin": _read_torch,
    ".ckpt": _read_torch,
    ".tar": _read_torch,
}


_JAX_NAMES = (  # replaced in this order
    ("Transformer/posembed_input/pos_embedding", "pos_embed"),
    ("Transformer/encoder_norm", "norm"),
    ("Transformer/encoderblock_", "blocks."),
    ("LayerNorm_0", "norm1"),
    ("LayerNorm_2", "norm2"),
    ("MultiHeadDotProductAttention_1/out", "attn/proj"),
    ("MultiHeadDotProductAttention_1", "attn"),
    ("MlpBlock_3/Dense_0", "mlp/fc1"),
    ("MlpBlock_3/Dense_1", "mlp/fc2"),
    ("embedding/", "patch_embed/proj/"),
    ("kernel", "weight"),
    ("scale", "weight"),
    ("/", "."),
)


def _named_as_timm(arrays: dict[str, Tensor]) -> dict[str, Tensor]:
    """Google's ViT parameters under timm's names; those of other names keep theirs.

    timm's own loader of this format ignores what the model has no place for, and resizes position embeddings unlike
    its loader of all other formats. Renamed, the tensors take the same path as those of every other file.
    """
    tensors = {}
    for jax_name, array in _under("opt/target/", arrays).items():
        name = "cls_token" if jax_name == "cls" else jax_name
        for old, new in _JAX_NAMES:
            name = name.replace(old, new)
        tensors[name] = _outputs_first(name, array)
    for name in [name for name in tensors if ".attn.query." in name]:
        parts = [name.replace("query", part) for part in ("query", "key", "value")]
        if all(part in tensors for part in parts):
            tensors[name.replace("query", "qkv")] = torch.cat([tensors.pop(part) for part in parts])
    return tensors


def _outputs_first(name: str, array: Tensor) -> Tensor:
    """A kernel with outputs before inputs, and heads on one axis, as PyTorch has them."""
    if re.search(r"\.attn\.(query|key|value)\.", name):
        array = array.flatten(-2)  # [D, heads, D / heads] and [heads, D / heads]
    elif name.endswith(".attn.proj.weight"):
        array = array.flatten(0, 1)  # [heads, D / heads, D]
    if not name.endswith(".weight"):
        return array
    return array.permute(3, 2, 0, 1) if array.ndim == 4 else array.T if array.ndim == 2 else array


def _under(prefix: str, tensors: dict[str, Any]) -> dict[str, Any]:
    """Those whose names begin with the prefix, without it; all, where none does."""
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)} or tensors


def put_weights(backbone: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Copy the tensors of a weights file into a timm model without a classifier.

    Names of other authors become timm's, and position embeddings of another grid are resampled, by the
    `checkpoint_filter_fn` of the model's timm module, where it has one: for a ViT bicubic with antialiasing, whatever
    the format of the file. Patch embeddings are not resampled. The file's own classifier is left out, and so is what a
    training checkpoint holds in addition to the model, see `agents.networks.weights_layout`.

    Args:
        backbone: Made by `timm.create_model(..., num_classes=0)`.
        tensors: What `read_weights` gave.
        source: Where they come from, for the message.

    Raises:
        ValueError: A tensor is missing, unexpected or of another shape, or holds NaN or infinity.
    """
    config: dict[str, Any] = backbone.pretrained_cfg  # type: ignore[assignment]
    names = config.get("classifier") or ()
    classifiers = tuple(f"{name}." for name in ([names] if isinstance(names, str) else names))
    wanted = backbone.state_dict()
    fitting = {
        name: tensor
        for name, tensor in _converted(backbone, without_prefix(tensors, wanted, source)).items()
        if name in wanted or not name.startswith(classifiers)
    }
    check_tensors(fitting, wanted, source)
    broken = [name for name, tensor in fitting.items() if not tensor.isfinite().all()]
    if broken:
        raise ValueError(f"{source} holds NaN or infinity in {_first(broken)}: take another checkpoint")
    backbone.load_state_dict(fitting)


def _converted(backbone: nn.Module, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    convert = getattr(sys.modules[type(backbone).__module__], "checkpoint_filter_fn", None)
    if convert is None:
        return dict(tensors)
    try:
        converted: dict[str, Tensor] = convert(dict(tensors), backbone)
    except Exception:  # what timm can't convert does not fit; compared as it is, it tells why
        return dict(tensors)
    patches = "patch_embed.proj.weight"
    if patches in tensors and tensors[patches].ndim == 4:
        converted[patches] = tensors[patches]
    return converted


def check_tensors(tensors: Mapping[str, Tensor], wanted: Mapping[str, Tensor], source: str) -> None:
    """Check that tensors have the names and shapes of others; counters of batches may be missing, as in old ones.

    Args:
        tensors: By name.
        wanted: What they must be like: of the same shapes, and floating point where these are.
        source: Where they come from, for the message.

    Raises:
        ValueError: A tensor is missing, unexpected or of another shape.
    """
    missing = [name for name in wanted if name not in tensors and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in tensors if name not in wanted]
    other = [name for name in tensors if name in wanted and not alike(tensors[name], wanted[name])]
    problems = {
        "missing": [f"{name} {form(wanted[name])}" for name in missing],
        "unexpected": [f"{name} {form(tensors[name])}" for name in unexpected],
        "of another shape": [f"{name} {form(tensors[name])}, not {form(wanted[name])}" for name in other],
    }
    found = [f"{len(listed)} {kind}: {_first(listed)}" for kind, listed in problems.items() if listed]
    if found:
        raise ValueError(f"{source} does not fit the model. Tensors {'; '.join(found)}")


def check_finite(tensors: Mapping[str, Tensor], source: str) -> None:
    """Check that the tensors of a checkpoint hold numbers.

    Args:
        tensors: By name.
        source: Where they come from, for the message.

    Raises:
        ValueError: One holds NaN or infinity.
    """
    if broken := [name for name, tensor in tensors.items() if not tensor.isfinite().all()]:
        raise ValueError(f"{source} holds NaN or infinity in {_first(broken)}: it is damaged, or training had diverged")


def load_tensors(module: nn.Module, tensors: Mapping[str, Tensor], source: str) -> None:
    """Copy tensors into a module that has exactly these; counters of batches may be missing, as in old checkpoints.

    Args:
        module: Whose parameters and buffers are set.
        tensors: Theirs, by name, of the same shapes, and floating point where they are.
        source: Where they come from, for the message.

    Raises:
        ValueError: A tensor is missing, unexpected or of another shape.
    """
    check_tensors(tensors, module.state_dict(), source)
    module.load_state_dict(tensors)


def alike(tensor: Tensor, wanted: Tensor) -> bool:
    """Whether a tensor has the shape of another, and is floating point, of more than 8 bits, where that is."""
    if tensor.is_floating_point() and tensor.element_size() == 1:  # for which PyTorch lacks most operations
        return False
    return tensor.shape == wanted.shape and tensor.is_floating_point() == wanted.is_floating_point()


def form(tensor: Tensor) -> str:
    """Type and shape of a tensor, for a message."""
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"


def _first(listed: list[str]) -> str:
    return ", ".join(listed[:MOST_NAMED]) + (", ..." if len(listed) > MOST_NAMED else "")
