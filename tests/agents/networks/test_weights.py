from __future__ import annotations

import pickle
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor, nn

from agents.networks.backbone import create_backbone, weights_hash
from agents.networks.embedded_vits import MICRO_VIT
from agents.networks.weights import read_weights

VIT = "test_vit"  # of timm: 6 blocks of width 64 with 2 heads, patches of 16


def google_arrays(model: nn.Module) -> dict[str, NDArray[np.float32]]:
    """The parameters of a timm ViT as Google's `.npz` files hold them."""
    tensors = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    width, heads = model.embed_dim, model.blocks[0].attn.num_heads
    arrays = {
        "embedding/kernel": tensors["patch_embed.proj.weight"].transpose(2, 3, 1, 0),
        "embedding/bias": tensors["patch_embed.proj.bias"],
        "cls": tensors["cls_token"],
        "Transformer/posembed_input/pos_embedding": tensors["pos_embed"],
        "Transformer/encoder_norm/scale": tensors["norm.weight"],
        "Transformer/encoder_norm/bias": tensors["norm.bias"],
        "head/kernel": tensors["head.weight"].T,
        "head/bias": tensors["head.bias"],
        "pre_logits/kernel": np.ones((width, width), np.float32),
        "pre_logits/bias": np.ones(width, np.float32),
    }
    for index in range(len(model.blocks)):
        ours, theirs = f"blocks.{index}", f"Transformer/encoderblock_{index}"
        attention = f"{theirs}/MultiHeadDotProductAttention_1"
        for norm, layer in (("norm1", "LayerNorm_0"), ("norm2", "LayerNorm_2")):
            arrays[f"{theirs}/{layer}/scale"] = tensors[f"{ours}.{norm}.weight"]
            arrays[f"{theirs}/{layer}/bias"] = tensors[f"{ours}.{norm}.bias"]
        kernels = np.split(tensors[f"{ours}.attn.qkv.weight"], 3)
        biases = np.split(tensors[f"{ours}.attn.qkv.bias"], 3)
        for part, kernel, bias in zip(("query", "key", "value"), kernels, biases, strict=True):
            arrays[f"{attention}/{part}/kernel"] = kernel.T.reshape(width, heads, -1)
            arrays[f"{attention}/{part}/bias"] = bias.reshape(heads, -1)
        arrays[f"{attention}/out/kernel"] = tensors[f"{ours}.attn.proj.weight"].T.reshape(heads, -1, width)
        arrays[f"{attention}/out/bias"] = tensors[f"{ours}.attn.proj.bias"]
        for number, layer in enumerate(("fc1", "fc2")):
            arrays[f"{theirs}/MlpBlock_3/Dense_{number}/kernel"] = tensors[f"{ours}.mlp.{layer}.weight"].T
            arrays[f"{theirs}/MlpBlock_3/Dense_{number}/bias"] = tensors[f"{ours}.mlp.{layer}.bias"]
    return arrays


@pytest.fixture(scope="module")
def vit() -> nn.Module:
    """A small ViT of which no two tensors are equal."""
    torch.manual_seed(0)
    model = timm.create_model(VIT, num_classes=7, img_size=32)
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    return model.requires_grad_(False)


@pytest.fixture
def write(vit: nn.Module, tmp_path: Path) -> Callable[..., str]:
    """Writes the ViT in the format of the suffix, with some tensors replaced, and those of None left out."""

    def write_file(suffix: str, **changes: Tensor | None) -> str:
        file = tmp_path / f"weights{suffix}"
        if suffix == ".npz":
            np.savez(file, **google_arrays(vit))
            return str(file)
        changed = vit.state_dict() | {name.replace("__", "."): tensor for name, tensor in changes.items()}
        tensors = {name: tensor for name, tensor in changed.items() if tensor is not None}
        (save_file if suffix == ".safetensors" else torch.save)(tensors, file)
        return str(file)

    return write_file


def load(file: str, side: int = 32, model: str = VIT) -> nn.Module:
    return create_backbone(model, True, (side, side), seed=0, weights=file)


def assert_holds(backbone: nn.Module, expected: dict[str, Tensor]) -> None:
    held = backbone.state_dict()
    assert set(held) == {name for name in expected if not name.startswith("head.")}
    for name, tensor in held.items():
        assert torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pth", ".pt", ".bin"])
def test_every_format_gives_every_tensor_exactly(write: Callable[..., str], vit: nn.Module, suffix: str) -> None:
    assert_holds(load(write(suffix)), vit.state_dict())


def test_npz_is_read_as_timm_reads_it(write: Callable[..., str]) -> None:
    file = write(".npz")
    assert_holds(load(file), timm.create_model(VIT, num_classes=0, img_size=32, checkpoint_path=file).state_dict())


def test_npz_of_a_training_state(vit: nn.Module, tmp_path: Path) -> None:
    arrays = {f"opt/target/{name}": array for name, array in google_arrays(vit).items()}
    np.savez(tmp_path / "state.npz", **arrays, **{"opt/state/step": np.int64(3)})
    assert_holds(load(str(tmp_path / "state.npz")), vit.state_dict())


@pytest.mark.parametrize(
    "wrapped",
    [
        lambda tensors: {"state_dict": tensors, "epoch": 3},
        lambda tensors: {"model": tensors},
        lambda tensors: {"model": {"state_dict": tensors}},
        lambda tensors: {"model_ema": tensors, "model": {}},
        lambda tensors: {f"module.{name}": tensor for name, tensor in tensors.items()},
        lambda tensors: {
            "student": {},
            "teacher": {f"module.backbone.{name}": tensor for name, tensor in tensors.items()}
            | {"module.projection.weight": torch.ones(2)},
        },
    ],
    ids=["state_dict", "model", "both", "ema", "module", "teacher"],
)
def test_training_checkpoints_are_unwrapped(
    vit: nn.Module, tmp_path: Path, wrapped: Callable[[dict[str, Tensor]], dict[str, Any]]
) -> None:
    torch.save(wrapped(dict(vit.state_dict())), tmp_path / "run.pth")
    assert_holds(load(str(tmp_path / "run.pth")), vit.state_dict())


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pth"])
def test_position_embedding_takes_one_route_to_another_size(write: Callable[..., str], suffix: str) -> None:
    """The one that timm takes for its own checkpoints."""
    overlay = {"file": write(".safetensors"), "num_classes": 7}
    expected = timm.create_model(
        VIT, pretrained=True, pretrained_cfg_overlay=overlay, num_classes=0, img_size=80
    ).state_dict()
    resized = load(write(suffix), side=80)
    assert resized.pos_embed.shape == (1, 1 + 25, 64)
    assert_holds(resized, expected)


def test_foreign_names_become_timms(vit: nn.Module, tmp_path: Path) -> None:
    """As an OpenCLIP image tower of timm holds them."""
    tensors = {f"visual.trunk.{name}": tensor for name, tensor in vit.state_dict().items()}
    torch.save(tensors | {"logit_scale": torch.ones(())}, tmp_path / "clip.bin")
    assert_holds(load(str(tmp_path / "clip.bin")), vit.state_dict())


def test_a_file_is_all_that_is_read(write: Callable[..., str], vit: nn.Module, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    backbone = load(write(".npz"), model="test_vit.r160_in1k")  # which has weights on a hub, here not asked for
    assert_holds(backbone, vit.state_dict())
    assert backbone.pretrained_cfg["tag"] == "r160_in1k"


def test_file_of_the_embedded_weights_is_the_pretrained_model() -> None:
    for side in (32, 48):
        named = create_backbone(MICRO_VIT.name, True, (side, side), seed=0)
        read = create_backbone(MICRO_VIT.name, False, (side, side), seed=1, weights=str(MICRO_VIT.weights))
        assert weights_hash(read) == weights_hash(named)


def test_residual_network_from_a_file(tmp_path: Path) -> None:
    """Its classifier is left out, and counters of batches may be missing, as in old files."""
    expected = timm.create_model("test_resnet", num_classes=5).state_dict()
    old = {name: tensor for name, tensor in expected.items() if not name.endswith("num_batches_tracked")}
    torch.save(old, tmp_path / "resnet.pth")
    backbone = create_backbone("test_resnet", False, (32, 32), seed=3, weights=str(tmp_path / "resnet.pth"))
    for name, tensor in backbone.state_dict().items():
        assert torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"norm__bias": None}, r"Tensors 1 missing: norm.bias float32 \(64,\)$"),
        ({"fc_norm__bias": torch.ones(64)}, r"Tensors 1 unexpected: fc_norm.bias float32 \(64,\)$"),
        (
            {"norm__weight": None, "fc_norm__weight": torch.ones(64)},
            r"1 missing: norm.weight float32 \(64,\); 1 unexpected: fc_norm.weight",
        ),
        (
            {f"blocks__{index}__norm1__weight": None for index in range(6)},
            r"6 missing: blocks.0.norm1.weight float32 \(64,\), .*, blocks.2.norm1.weight float32 \(64,\), \.\.\.$",
        ),
        (
            {"blocks__1__mlp__fc1__weight": torch.ones(64, 192)},
            r"1 of another shape: blocks.1.mlp.fc1.weight float32 \(64, 192\), not float32 \(192, 64\)$",
        ),
        ({"norm__bias": torch.ones(64, dtype=torch.int8)}, r"norm.bias int8 \(64,\), not float32 \(64,\)$"),
        (
            {"patch_embed__proj__weight": torch.ones(64, 3, 8, 8)},
            r"patch_embed.proj.weight float32 \(64, 3, 8, 8\), not float32 \(64, 3, 16, 16\)$",
        ),
        ({"pos_embed": torch.ones(1, 7, 64)}, r"pos_embed float32 \(1, 7, 64\), not float32 \(1, 5, 64\)$"),
    ],
)
def test_misfits_are_listed(write: Callable[..., str], changes: dict[str, Tensor | None], message: str) -> None:
    file = write(".pth", **changes)
    with pytest.raises(ValueError, match=r"weights.pth for test_vit of \(32, 32\) images does not fit.*" + message):
        load(file)


def test_npz_with_a_block_too_many_or_a_bias_too_few_is_refused(vit: nn.Module, tmp_path: Path) -> None:
    arrays = google_arrays(vit)
    deeper = {name.replace("block_5", "block_6"): array for name, array in arrays.items() if "block_5" in name}
    np.savez(tmp_path / "deep.npz", **arrays, **deeper)
    with pytest.raises(ValueError, match=r"Tensors 12 unexpected: blocks.6.norm1.weight float32 \(64,\)"):
        load(str(tmp_path / "deep.npz"))
    arrays.pop("Transformer/encoderblock_2/MultiHeadDotProductAttention_1/key/bias")
    np.savez(tmp_path / "torn.npz", **arrays)
    with pytest.raises(ValueError, match=r"1 missing: blocks.2.attn.qkv.bias .*; 2 unexpected: blocks.2.attn.query"):
        load(str(tmp_path / "torn.npz"))


@pytest.mark.parametrize("suffix", [".npz", ".safetensors", ".pth"])
@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_truncated_files_are_refused(write: Callable[..., str], suffix: str, kept: float) -> None:
    file = Path(write(suffix))
    content = file.read_bytes()
    file.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(ValueError, match=f"can't read weights file {file}"):
        read_weights(file)


def test_changed_bytes_in_an_npz_are_noticed(write: Callable[..., str]) -> None:
    file = Path(write(".npz"))
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 255
    file.write_bytes(content)
    with pytest.raises(ValueError, match=r"can't read weights file .*CRC"):
        read_weights(file)


def test_missing_files_and_other_formats_are_named(write: Callable[..., str], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no weights file at .*absent.npz"):
        read_weights(tmp_path / "absent.npz")
    with pytest.raises(ValueError, match=r"unknown format of weights file .*a.ptt, '.ptt'; did you mean '.pt'\?"):
        read_weights(tmp_path / "a.ptt")
    np.save(tmp_path / "array.npy", np.zeros(3))
    (tmp_path / "array.npy").rename(tmp_path / "array.npz")
    Path(write(".safetensors")).rename(tmp_path / "renamed.pth")
    (tmp_path / "page.npz").write_text("<html>not found</html>")
    for name in ("array.npz", "page.npz", "renamed.pth"):
        with pytest.raises(ValueError, match=f"can't read weights file .*{name}: it is damaged, or"):
            read_weights(tmp_path / name)


def test_what_is_no_tensor_is_named(tmp_path: Path) -> None:
    torch.save({"net": {"weight": torch.ones(2)}, "epoch": 3, "weight": torch.ones(2)}, tmp_path / "run.pth")
    with pytest.raises(ValueError, match=r"run.pth holds net, epoch, which are not tensors"):
        read_weights(tmp_path / "run.pth")
    torch.save(torch.ones(2), tmp_path / "tensor.pth")
    with pytest.raises(ValueError, match="more than tensors; save a state_dict alone"):
        read_weights(tmp_path / "tensor.pth")


class Intruder:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        import os

        return os.mkdir, (str(self.folder),)


def test_code_in_a_file_is_refused_and_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    intruder = Intruder(trace)
    torch.save({"norm.bias": torch.ones(64), "x": intruder}, tmp_path / "zipped.pth")
    torch.save({"x": intruder}, tmp_path / "old.bin", _use_new_zipfile_serialization=False)
    (tmp_path / "raw.pt").write_bytes(pickle.dumps({"x": intruder}, protocol=2))
    np.savez(tmp_path / "array.npz", x=np.array([intruder], dtype=object))
    (tmp_path / "raw.npz").write_bytes(pickle.dumps({"x": intruder}))
    for name in ("zipped.pth", "old.bin", "raw.pt"):
        with pytest.raises(ValueError, match=rf"{name}: it would run \w+.mkdir, which is refused; save a state_dict"):
            read_weights(tmp_path / name)
    for name in ("array.npz", "raw.npz"):
        with pytest.raises(ValueError, match=f"can't read weights file .*{name}: "):
            read_weights(tmp_path / name)
    assert not trace.exists()
    pickle.loads((tmp_path / "raw.pt").read_bytes())
    assert trace.exists()  # it would have worked
