from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
from peft.utils import PeftType, get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor, nn

from agents.peft_modules.library import METHODS, UNFIT, add_library_module
from agents.peft_modules.target_modules import target_pattern

pytestmark = pytest.mark.long

MakeViT = Callable[..., nn.Module]
Disturb = Callable[[nn.Module], None]


def peft_type(name: str) -> str:
    return name.upper().replace("-", "_")


INSTALLED = [name for name in METHODS if (METHODS[name].peft_type or peft_type(name)) in PEFT_TYPE_TO_CONFIG_MAPPING]
each_method = pytest.mark.parametrize("name", INSTALLED)


def learning(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in model.named_parameters() if tensor.requires_grad}


def test_every_method_of_peft_is_accounted_for() -> None:
    assert {kind.value for kind in PeftType} - {peft_type(name) for name in {"lora", *METHODS, *UNFIT}} == set()
    assert not METHODS.keys() & UNFIT.keys()


@each_method
def test_module_starts_as_identity_where_it_says_so(name: str, make_vit: MakeViT, images: Tensor) -> None:
    expected = make_vit()(images)
    with torch.no_grad():
        outputs = add_library_module(name, make_vit(), [0, 2], 0)(images)
    assert torch.allclose(outputs, expected, atol=1e-5) == METHODS[name].identity


@each_method
def test_module_alone_learns(name: str, make_vit: MakeViT, images: Tensor) -> None:
    model = add_library_module(name, make_vit(), [0, 2], 0)
    before = {key: tensor.clone() for key, tensor in model.named_parameters()}
    optimizer = torch.optim.SGD(learning(model).values(), lr=0.01)
    reached = set()
    for _ in range(2):  # what is multiplied by a zero is reached by the second step
        optimizer.zero_grad()
        (model(images) - 1).square().sum().backward()
        reached |= {key for key, tensor in model.named_parameters() if tensor.grad is not None and tensor.grad.any()}
        optimizer.step()
    assert reached == set(learning(model))
    changed = {key for key, tensor in model.named_parameters() if not torch.equal(tensor, before[key])}
    assert changed and changed <= reached


@each_method
def test_saved_module_gives_the_same_outputs(
    name: str, make_vit: MakeViT, images: Tensor, disturb: Disturb, tmp_path: Path
) -> None:
    model = add_library_module(name, make_vit(), [0, 2], 0)
    with torch.no_grad():
        initial = model(images)
        disturb(model)
        expected = model(images)
        assert not torch.allclose(expected, initial, atol=1e-3)
        model.save_pretrained(tmp_path)
        base = make_vit()
        target_pattern(base, [0, 2], METHODS[name].targets)
        torch.testing.assert_close(PeftModel.from_pretrained(base, tmp_path)(images), expected)


@each_method
def test_seed_fixes_module_and_outputs(name: str, make_vit: MakeViT, images: Tensor, disturb: Disturb) -> None:
    def built(seed: int) -> tuple[dict[str, Tensor], Tensor]:
        model = add_library_module(name, make_vit(), [0, 2], seed)
        state = {key: tensor.clone() for key, tensor in model.state_dict().items()}
        disturb(model)
        with torch.no_grad():
            return state, model(images)

    torch.manual_seed(0)
    state, outputs = built(3)
    expected = torch.rand(2)
    torch.manual_seed(0)
    assert torch.equal(torch.rand(2), expected)
    torch.manual_seed(1)
    again, outputs_again = built(3)
    assert state.keys() == again.keys() and all(torch.equal(state[key], again[key]) for key in state)
    assert torch.equal(outputs, outputs_again)


@pytest.mark.parametrize(
    "name", sorted({"fourierft", "waveft", "shira", "vera", "randlora", "unilora", "tinylora"} & set(INSTALLED))
)
def test_seed_reaches_random_numbers_that_peft_fixes_apart(
    name: str, make_vit: MakeViT, images: Tensor, disturb: Disturb
) -> None:
    def outputs(seed: int) -> Tensor:
        model = add_library_module(name, make_vit(), [0, 2], seed)
        with torch.no_grad():
            for tensor in learning(model).values():
                tensor.copy_(torch.linspace(-1, 1, tensor.numel()).view_as(tensor))
            return model(images)

    assert not torch.allclose(outputs(0), outputs(1))


@each_method
def test_missing_tensors_can_be_told(name: str, make_vit: MakeViT) -> None:
    model = add_library_module(name, make_vit(), [0, 2], 0)
    state = get_peft_model_state_dict(model)
    assert state.keys() == get_peft_model_state_dict(add_library_module(name, make_vit(), [0, 2], 1)).keys()
    complete = set(set_peft_model_state_dict(model, dict(state)).missing_keys)
    unnoticed = set()
    for key in state:
        try:
            result = set_peft_model_state_dict(model, {other: state[other] for other in state if other != key})
        except ValueError as error:
            assert "Specified to load" in str(error)
        else:
            unnoticed |= {key.rpartition(".")[2]} if complete >= set(result.missing_keys) else set()
    assert unnoticed == ({"shira_indices"} if name == "shira" else set())


@pytest.mark.parametrize("width", [16, 96, 384])
@pytest.mark.parametrize("name", sorted({"c3a", "oft", "road", "vblora", "fourierft", "waveft"} & set(INSTALLED)))
def test_defaults_fit_the_width(name: str, width: int, make_vit: MakeViT, images: Tensor) -> None:
    vit = make_vit(embed_dim=width, depth=1)
    assert add_library_module(name, vit, [0], 0, targets="attention+fc2")(images).shape == (4, width)


@pytest.mark.parametrize(
    ("name", "arguments", "entry", "value"),
    [
        ("dora", {"r": 2}, "lora_alpha", 2),
        ("gralora", {"r": 8}, "alpha", 8),
        ("loha", {"r": 8, "alpha": 4}, "alpha", 4),
        ("vera", {"projection_prng_key": 9}, "projection_prng_key", 9),
        ("vera", {}, "projection_prng_key", 5),
        ("hra", {"targets": "linear"}, "target_modules", r"blocks\.(0)\.(attn\.qkv|attn\.proj|mlp\.fc1|mlp\.fc2)"),
    ],
)
def test_arguments_replace_the_defaults(
    name: str, arguments: dict[str, Any], entry: str, value: object, make_vit: MakeViT
) -> None:
    model = add_library_module(name, make_vit(), [0], 5, **arguments)
    assert getattr(model.peft_config["default"], entry) == value


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("vbloar", {}, "unknown PEFT module 'vbloar'; did you mean 'vblora'"),
        ("dora", {"lora_dropout": 0.1}, "lora_dropout would do nothing"),
        ("hra", {"rr": 3}, "unknown argument of hra 'rr'; did you mean 'r'"),
        ("hra", {"targets": "kw"}, "unknown place in a block 'kw'"),
        ("hra", {"r": 0}, "positive integer"),
    ],
)
def test_bad_arguments_are_named(name: str, arguments: dict[str, Any], message: str, make_vit: MakeViT) -> None:
    with pytest.raises(ValueError, match=message):
        add_library_module(name, make_vit(), [0], 0, **arguments)


def test_methods_that_this_peft_lacks_are_named(make_vit: MakeViT, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(PEFT_TYPE_TO_CONFIG_MAPPING, PeftType.HRA)
    with pytest.raises(ValueError, match=r"peft [\d.]+ has no 'hra'; a later version has"):
        add_library_module("hra", make_vit(), [0], 0)
