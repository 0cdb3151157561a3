"""Weights of training checkpoints: where frameworks put the model, and what they hold beside it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from agents import PolicyConfig
from agents.networks.backbone import create_backbone, weights_hash
from agents.networks.model_names import timm_name
from agents.networks.native_view import native_view
from agents.networks.weights import read_weights
from agents.networks.weights_layout import without_prefix
from tests.agents.networks.test_weights import VIT, Intruder, assert_holds, vit  # noqa: F401

Tensors = dict[str, Tensor]


def under(prefix: str, tensors: Tensors) -> Tensors:
    return {f"{prefix}{name}": tensor for name, tensor in tensors.items()}


def other(tensors: Tensors) -> Tensors:
    """Tensors of the same names that are not to be taken."""
    return {name: torch.zeros_like(tensor) for name, tensor in tensors.items()}


def headless(tensors: Tensors) -> Tensors:
    return {name: tensor for name, tensor in tensors.items() if not name.startswith("head.")}


HEAD = {"projection_head.0.weight": torch.ones(3, 2), "projection_head.0.bias": torch.ones(3)}
CHECKPOINTS: dict[str, tuple[str, Callable[[Tensors], dict[str, Any]]]] = {
    "moco v3": (
        "vit-b-300ep.pth.tar",
        lambda t: {
            "epoch": 300,
            "arch": "vit_base",
            "optimizer": {"state": {0: {"step": 3, "exp_avg": torch.ones(2)}}, "param_groups": []},
            "state_dict": under("module.base_encoder.", headless(t) | {"head.0.weight": torch.ones(4, 64)})
            | under("module.momentum_encoder.", other(t))
            | {"module.predictor.0.weight": torch.ones(2, 2)},
        },
    ),
    "moco v1": (
        "moco.pth.tar",
        lambda t: {
            "state_dict": under("module.encoder_k.", other(t))
            | under("module.encoder_q.", t)
            | {"module.queue": torch.ones(2, 2), "module.queue_ptr": torch.zeros(1)}
        },
    ),
    "lightning": (
        "last.ckpt",
        lambda t: {
            "state_dict": under("model.", t),
            "pytorch-lightning_version": "2.4.0",
            "epoch": 3,
            "global_step": 100,
            "hyper_parameters": {"lr": 1e-3, "args": Namespace(model="vit")},
            "callbacks": {"ModelCheckpoint{}": {"best_model_score": torch.tensor(0.5), "best_model_path": "x.ckpt"}},
            "optimizer_states": [{"state": {}, "param_groups": [{"lr": 1e-3}]}],
            "loops": {"fit_loop": {"state_dict": {}}},
        },
    ),
    "lightning, a module within": (
        "last.ckpt",
        lambda t: {"state_dict": under("model.backbone.", t) | under("model.", HEAD)},
    ),
    "lightning, with an average": (
        "last.ckpt",
        lambda t: {"state_dict": under("model.", other(t)) | under("model_ema.module.", t)},
    ),
    "lightning, a network": ("last.ckpt", lambda t: {"state_dict": under("net.", t) | HEAD}),
    "compiled": ("compiled.pt", lambda t: {"model": under("_orig_mod.module.", t)}),
    "backbone alone": ("backbone.pth", lambda t: under("backbone.", t) | HEAD),
    "dino": (
        "dino.pth",
        lambda t: {
            "student": under("module.backbone.", other(t)),
            "teacher": under("backbone.", t) | under("head.", {"last_layer.weight": torch.ones(2)}),
            "epoch": 1,
        },
    ),
    "dino, flat": ("dino.pth", lambda t: under("student.backbone.", other(t)) | under("teacher.backbone.", t)),
    "student alone": ("student.pth", lambda t: {"student": under("module.backbone.", t), "epoch": 1}),
    "byol": ("byol.tar", lambda t: under("online_network.", t) | under("target_network.", other(t))),
    "an entry": ("run.tar", lambda t: {"net": t, "epoch": 3, "acc": 0.9}),
    "plain": ("plain.tar", lambda t: dict(t)),
}


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_the_model_is_found(name: str, vit: nn.Module, tmp_path: Path) -> None:  # noqa: F811
    file, wrapped = CHECKPOINTS[name]
    torch.save(wrapped(dict(vit.state_dict())), tmp_path / file)
    assert_holds(create_backbone(VIT, True, (32, 32), 0, str(tmp_path / file)), vit.state_dict())


def test_safetensors_have_prefixes_too(vit: nn.Module, tmp_path: Path) -> None:  # noqa: F811
    save_file(under("model.backbone.", dict(vit.state_dict())) | HEAD, tmp_path / "model.safetensors")
    assert_holds(create_backbone(VIT, True, (32, 32), 0, str(tmp_path / "model.safetensors")), vit.state_dict())


def test_what_does_not_fit_is_told_without_the_prefix(vit: nn.Module, tmp_path: Path) -> None:  # noqa: F811
    tensors = dict(vit.state_dict())
    tensors["norm.bias"] = torch.ones(3)
    torch.save({"state_dict": under("module.base_encoder.", tensors)}, tmp_path / "a.pth.tar")
    with pytest.raises(ValueError, match=r"Tensors 1 of another shape: norm.bias float32 \(3,\), not float32 \(64,\)"):
        create_backbone(VIT, True, (32, 32), 0, str(tmp_path / "a.pth.tar"))


def test_a_model_that_is_there_twice_is_refused(vit: nn.Module, tmp_path: Path) -> None:  # noqa: F811
    tensors = dict(vit.state_dict())
    torch.save(under("left.", tensors) | under("right.", other(tensors)), tmp_path / "twins.pth")
    with pytest.raises(ValueError, match=r"several copies of the model, with the prefixes 'left.', 'right.': save"):
        create_backbone(VIT, True, (32, 32), 0, str(tmp_path / "twins.pth"))


def test_prefixes_by_hand() -> None:
    wanted = ["a.weight", "a.bias", "b"]
    tensors = {"x.a.weight": 1, "x.a.bias": 2, "y.b": 3, "b": 4}
    assert without_prefix(tensors, wanted, "file") == {"a.weight": 1, "a.bias": 2}  # type: ignore[comparison-overlap]
    unlike = {"x.c": 1, "y.b": 3}
    assert without_prefix(unlike, wanted, "file") == unlike
    assert without_prefix({"a.weight": 1, "a.bias": 2, "b": 3, "c": 4}, wanted, "file")["c"] == 4


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth", ".npz"])
def test_values_that_are_no_numbers_are_refused(
    value: float,
    suffix: str,
    vit: nn.Module,  # noqa: F811
    tmp_path: Path,
) -> None:
    import numpy as np

    from tests.agents.networks.test_weights import google_arrays

    file = tmp_path / f"weights{suffix}"
    if suffix == ".npz":
        arrays = {name: array.copy() for name, array in google_arrays(vit).items()}
        arrays["Transformer/encoder_norm/bias"][3] = value
        np.savez(file, **arrays)
    else:
        tensors = {name: tensor.clone() for name, tensor in vit.state_dict().items()}
        tensors["norm.bias"][3] = value
        tensors["head.weight"][:] = value  # which is left out
        (save_file if suffix == ".safetensors" else torch.save)(tensors, file)
    with pytest.raises(ValueError, match=rf"weights{suffix} .* holds NaN or infinity in norm.bias: take another"):
        create_backbone(VIT, True, (32, 32), 0, str(file))


def test_values_beside_the_model_do_not_matter(vit: nn.Module, tmp_path: Path) -> None:  # noqa: F811
    tensors = under("backbone.", dict(vit.state_dict())) | {"queue": torch.tensor([torch.nan])}
    torch.save(tensors, tmp_path / "a.pth")
    assert_holds(create_backbone(VIT, True, (32, 32), 0, str(tmp_path / "a.pth")), vit.state_dict())


@pytest.mark.parametrize("name", ["hf-hub:timm/{}", "hf_hub:timm/{}", "timm/{}", "{}"])
def test_names_of_timms_hub_are_timms_names(name: str) -> None:
    plain = create_backbone("vit_micro_patch8_32", True, (32, 32), 0)
    asked = create_backbone(name.format("vit_micro_patch8_32.glyphs"), True, (32, 32), 0)
    assert weights_hash(asked) == weights_hash(plain)
    assert native_view(name.format("vit_base_patch16_384.augreg_in21k_ft_in1k")).size == 384
    assert PolicyConfig(model=name.format("vit_micro_patch8_32")).model == "vit_micro_patch8_32"


@pytest.mark.parametrize(
    "name",
    [
        "hf-hub:google/vit-base-patch16-224",
        "hf_hub:me/my-vit",
        "google/vit-base",
        "local-dir:/tmp/vit",
        "hf-hub:vit_tiny",
    ],
)
def test_models_of_others_are_refused_with_the_way(name: str) -> None:
    asked: list[Callable[[], object]] = [
        lambda: create_backbone(name, True, (32, 32), 0),
        lambda: native_view(name),
        lambda: PolicyConfig(model=name),
        lambda: timm_name(name),
    ]
    for ask in asked:
        with pytest.raises(ValueError, match=rf"model '{name}' is not one of timm's models.*weights=FILE") as error:
            ask()
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match="unknown model 'vit_tinny_patch16_224'; did you mean 'vit_tiny_patch16_224'"):
        native_view("hf-hub:timm/vit_tinny_patch16_224")


@pytest.mark.parametrize("file", ["run.ckpt", "run.pth.tar", "run.tar"])
def test_code_in_them_is_refused_and_not_run(file: str, tmp_path: Path) -> None:
    torch.save({"state_dict": {"x": Intruder(tmp_path / "trace")}}, tmp_path / file)
    with pytest.raises(ValueError, match=rf"{file}: it would run \w+.mkdir, which is refused"):
        read_weights(tmp_path / file)
    assert not (tmp_path / "trace").exists()


def test_architectures_keep_their_tensors() -> None:
    """No name of a model's own is taken for a prefix."""
    for name in ("test_resnet", "test_vit", "test_convnext", "test_efficientnet"):
        model = timm.create_model(name, num_classes=0)
        state = model.state_dict()
        assert set(without_prefix(state, state, "file")) == set(state)
