"""A PEFT module of one's own, AdaptFormer as a user would write it: it learns, is saved, and is loaded."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from inspect import getdoc, signature
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
import torch
from peft import PeftModel
from torch import Tensor, nn
from torch.nn.functional import relu

from agents import EPG
from agents.peft_modules import PEFT_MODULES, TunerLayer, add_peft_module, check_peft_module, register_peft_module
from agents.peft_modules.adapter import AdapterLayer

MakeVec = Callable[..., gym.vector.VectorEnv]


class AdaptFormer(TunerLayer):
    """AdaptFormer: a bottleneck in parallel to the MLP, mlp(x) + scale * up(relu(down(x))).

    Source: Chen et al., NeurIPS 2022, https://arxiv.org/abs/2205.13535.
    """

    target_module = "mlp"

    def init_adapter(self, bottleneck: int = 64, scale: float = 0.1) -> dict[str, Any]:
        width = self.base_layer.fc1.in_features
        down, up = nn.Linear(width, bottleneck), nn.Linear(bottleneck, width)
        nn.init.kaiming_uniform_(down.weight, a=5**0.5)
        for tensor in (down.bias, up.weight, up.bias):
            nn.init.zeros_(tensor)
        return {"down": down, "up": up, "scale": scale}

    def forward(self, x: Tensor) -> Tensor:
        result = self.base_layer(x)
        for down, up, scale in self.active_parts("down", "up", "scale"):
            result = result + scale * up(relu(down(x)))
        return result


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    assert register_peft_module("adaptformer")(AdaptFormer) is AdaptFormer
    yield
    PEFT_MODULES.pop("adaptformer")


def test_it_computes_its_formula(make_vit: Callable[..., nn.Module]) -> None:
    model = add_peft_module("adaptformer:bottleneck=3,scale=0.5", make_vit(), (1,), seed=0)
    layer = model.base_model.model.blocks[1].mlp
    up, down = layer.vit_adaptformer_up["default"], layer.vit_adaptformer_down["default"]
    nn.init.normal_(up.weight)
    x = torch.randn(2, 5, 32)
    hidden = (x @ down.weight.T + down.bias).clamp(min=0)
    torch.testing.assert_close(layer(x), layer.base_layer(x) + 0.5 * (hidden @ up.weight.T))
    assert {name for name, tensor in model.named_parameters() if tensor.requires_grad} == {
        f"base_model.model.blocks.1.mlp.vit_adaptformer_{part}.default.{kind}"
        for part in ("down", "up")
        for kind in ("weight", "bias")
    }


def test_it_learns_is_saved_and_loaded(make_vec: MakeVec, tmp_path: Path) -> None:
    agent = EPG(
        "ViTPolicy",
        make_vec(8),
        "ce",
        learning_rate=1e-2,
        batch_size=8,
        seed=0,
        device="cpu",
        policy_kwargs={"peft": "adaptformer:bottleneck=3,scale=1", "blocks": (0, 2)},
    )
    before = [tensor.clone() for tensor in agent.policy.network.peft_parameters]
    agent.learn(32)
    assert len(before) == 8
    assert not any(torch.equal(old, new) for old, new in zip(before, agent.policy.network.peft_parameters, strict=True))
    agent.save(tmp_path / "agent")
    loaded = EPG.load(tmp_path / "agent", device="cpu")
    images = torch.from_numpy(make_vec(8, split="test").reset(seed=1)[0])
    with torch.no_grad():
        assert torch.equal(loaded.policy(images), agent.policy(images))


def test_peft_saves_switches_and_disables_it(
    make_vit: Callable[..., nn.Module], images: Tensor, disturb: Callable[[nn.Module], None], tmp_path: Path
) -> None:
    model: Any = add_peft_module("adaptformer:bottleneck=3", make_vit(), (0, 2), seed=0)
    disturb(model)
    model.save_pretrained(str(tmp_path))
    loaded = PeftModel.from_pretrained(make_vit(), str(tmp_path))
    with torch.no_grad():
        assert torch.equal(loaded(images), model(images))
        with model.disable_adapter():
            assert torch.equal(model(images), make_vit()(images))
        model.load_adapter(str(tmp_path), "second")
        model.delete_adapter("default")
        assert torch.equal(model.eval()(images), loaded(images))


def test_options_are_declared_once() -> None:
    builder = PEFT_MODULES["adaptformer"]
    options = {
        name: each.default for name, each in signature(builder).parameters.items() if each.kind is each.KEYWORD_ONLY
    }
    assert options == {"bottleneck": 64, "scale": 0.1}
    assert (getdoc(builder) or "").startswith("AdaptFormer: a bottleneck in parallel")
    assert AdaptFormer.config_class(bottleneck=3).options == {"bottleneck": 3, "scale": 0.1}
    with pytest.raises(ValueError, match="unknown argument of PEFT module 'adaptformer' 'botleneck'; did you mean"):
        check_peft_module("adaptformer:botleneck=3")
    with pytest.raises(ValueError, match="bottleneck of PEFT module 'adaptformer' must be a whole number, not 'x'"):
        check_peft_module("adaptformer:bottleneck=x")


def test_configs_can_be_pickled() -> None:
    config = AdapterLayer.config_class(bottleneck=3)
    assert pickle.loads(pickle.dumps(config)) == config


class NoPlace(TunerLayer):
    """Wraps nothing."""

    def init_adapter(self) -> dict[str, Any]:
        return {}


class NoDefault(TunerLayer):
    """Its option has no default."""

    target_module = "mlp"

    def init_adapter(self, size: int) -> dict[str, Any]:
        return {}


@pytest.mark.parametrize(
    ("name", "definition", "error", "message"),
    [
        ("adaptformer", AdaptFormer, ValueError, "PEFT module 'adaptformer' is there already"),
        ("my:module", AdaptFormer, ValueError, "must not contain ':'"),
        ("mine", NoPlace, ValueError, "NoPlace must set target_module, such as 'mlp', or targets"),
        ("mine", NoDefault, ValueError, r"option size of NoDefault\.init_adapter must have a default"),
        ("mine", 3, TypeError, "it must be a function or a class, not 3"),
    ],
)
def test_incomplete_declarations_are_refused(name: str, definition: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        register_peft_module(name)(definition)
    assert "mine" not in PEFT_MODULES


def test_a_function_is_registered_as_it_is(make_vit: Callable[..., nn.Module]) -> None:
    @register_peft_module("norms")
    def norms(backbone: Any, blocks: Any, seed: int, *, last: bool = True) -> nn.Module:
        backbone.norm.requires_grad_(last)
        return backbone

    try:
        assert PEFT_MODULES["norms"] is norms
        model = add_peft_module("norms", make_vit(), (), 0)
        assert [name for name, tensor in model.named_parameters() if tensor.requires_grad] == [
            "norm.weight",
            "norm.bias",
        ]
    finally:
        PEFT_MODULES.pop("norms")
