from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from peft import LoraConfig, PeftModel
from peft.tuners.lora import Linear as LoraLinear
from peft.utils import get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from agents.peft_modules.lora import SCALED_LORA, PlainLinear, ScaledLinear, add_lora
from agents.peft_modules.target_modules import split_qkv
from tests.slow_cases import slow_but

pytestmark = pytest.mark.long

MakeViT = Callable[..., nn.Module]
Disturb = Callable[[nn.Module], None]


def learning(model: nn.Module) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in model.named_parameters() if tensor.requires_grad}


def test_parameter_counts_are_laes_on_vit_base() -> None:
    """LAE's LoRA of rank 5 has 76,810 trainable parameters in blocks 0-4, of which 10 are its learnable scales."""

    def count(**arguments: object) -> int:
        with torch.device("meta"):
            backbone = timm.create_model("vit_base_patch16_224", num_classes=0).requires_grad_(False)
        return sum(tensor.numel() for tensor in learning(add_lora(backbone, range(5), 0, **arguments)).values())

    assert [count(), count(r=5), count(r=5, scale=True)] == [61_440, 76_800, 76_810]


@pytest.mark.parametrize("scale", [False, True])
def test_initial_values_are_those_of_the_seed(scale: bool, make_vit: MakeViT) -> None:
    """In the order of blocks, keys before values: first what the two Linear layers draw, then A again."""
    state = get_peft_model_state_dict(add_lora(make_vit(), [2, 0], seed=7, r=3, scale=scale))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        for layer in ("0.attn.qkv.k", "0.attn.qkv.v", "2.attn.qkv.k", "2.attn.qkv.v"):
            expected = nn.Linear(32, 3, bias=False).weight
            nn.Linear(3, 32, bias=False)
            nn.init.kaiming_uniform_(expected, a=math.sqrt(5))
            name = f"base_model.model.blocks.{layer}.lora_"
            assert torch.equal(state[f"{name}A.weight"], expected)
            assert not state[f"{name}B.weight"].any()
            assert state.get(f"{name}scale", torch.tensor(1.0)) == 1
    assert len(state) == 4 * (3 if scale else 2)


def test_the_global_random_state_is_left_alone(make_vit: MakeViT) -> None:
    before = torch.get_rng_state()
    add_lora(make_vit(), [0], seed=1)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("scale", [False, True])
def test_weights_become_w_plus_s_b_a(
    scale: bool, make_vit: MakeViT, images: Tensor, disturb: Disturb, tmp_path: Path
) -> None:
    """Whichever way they are computed: in the layer, merged, merged safely, or in a copy that was saved and loaded."""
    vit = make_vit()
    model = add_lora(vit, [0, 2], seed=0, r=3, scale=scale)
    disturb(model)
    state = get_peft_model_state_dict(model)
    plain = make_vit()
    for block in (0, 2):
        for part, rows in (("k", slice(32, 64)), ("v", slice(64, 96))):
            name = f"base_model.model.blocks.{block}.attn.qkv.{part}.lora_"
            update = state[f"{name}B.weight"] @ state[f"{name}A.weight"] * state.get(f"{name}scale", torch.tensor(1.0))
            plain.blocks[block].attn.qkv.weight[rows] += update
    with torch.no_grad():
        expected = plain(images)
        torch.testing.assert_close(model(images), expected)
        model.save_pretrained(tmp_path)
        base = make_vit()
        split_qkv(base, [0, 2])
        again = PeftModel.from_pretrained(base, tmp_path)
        assert torch.equal(again(images), model(images))
        model.merge_adapter(safe_merge=True)
        torch.testing.assert_close(model(images), expected)
        model.unmerge_adapter()
        torch.testing.assert_close(model(images), expected)
        torch.testing.assert_close(again.merge_and_unload()(images), expected)
        with model.disable_adapter():
            torch.testing.assert_close(model(images), make_vit()(images))


def test_scales_learn_once_b_is_not_zero(make_vit: MakeViT, images: Tensor, disturb: Disturb) -> None:
    model = add_lora(make_vit(), [0, 1], seed=0, scale=True)
    scales = [tensor for name, tensor in learning(model).items() if "lora_scale" in name]
    assert len(scales) == 4 and all(scale.shape == () for scale in scales)
    disturb(model)
    model(images).square().sum().backward()
    assert all(tensor.grad is not None and tensor.grad.any() for tensor in learning(model).values())


def test_scaled_adapters_are_kept_apart(make_vit: MakeViT, images: Tensor, disturb: Disturb, tmp_path: Path) -> None:
    model = add_lora(make_vit(), [0], seed=0, scale=True)
    with torch.no_grad():
        fresh = model(images)
        disturb(model)
        learned = model(images)
        model.save_pretrained(tmp_path)
        model.add_adapter("second", model.peft_config["default"])
        model.set_adapter("second")
        torch.testing.assert_close(model(images), fresh)
        model.load_adapter(tmp_path, "third")
        model.set_adapter("third")
        assert torch.equal(model(images), learned)
        model.delete_adapter("third")
    layers = [module for module in model.modules() if isinstance(module, ScaledLinear)]
    assert [set(layer.lora_scale) for layer in layers] == [{"default", "second"}] * 2
    assert model.peft_config["default"].peft_type == SCALED_LORA


@pytest.mark.parametrize("scale", [False, True])
def test_missing_tensors_are_reported(scale: bool, make_vit: MakeViT) -> None:
    model = add_lora(make_vit(), [0], seed=0, scale=scale)
    state = get_peft_model_state_dict(model)
    for name in state:
        kept = {other: tensor for other, tensor in state.items() if other != name}
        missing = [key for key in set_peft_model_state_dict(model, kept).missing_keys if "lora_" in key]
        assert len(missing) == 1 and missing[0].replace(".default", "") == name


@pytest.mark.parametrize("scale", slow_but([True], [False, True]))
def test_attention_may_be_fused_and_the_model_compiled(
    scale: bool, make_vit: MakeViT, images: Tensor, disturb: Disturb
) -> None:
    model = add_lora(make_vit(), [0, 1], seed=0, scale=scale)
    disturb(model)
    with torch.no_grad():
        expected = model(images)
        torch.testing.assert_close(torch.compile(model, backend="aot_eager")(images), expected)
        for block in model.get_base_model().blocks:
            assert block.attn.fused_attn
            block.attn.fused_attn = False
        torch.testing.assert_close(model(images), expected)


def test_arguments_are_those_of_pefts_config(make_vit: MakeViT) -> None:
    model = add_lora(make_vit(), [1], 0, r=2, targets="fc1+proj", lora_alpha=8, init_lora_weights="gaussian")
    config = model.peft_config["default"]
    assert (config.r, config.lora_alpha, config.init_lora_weights) == (2, 8, "gaussian")
    assert {name.split(".lora_")[0] for name in learning(model)} == {
        "base_model.model.blocks.1.attn.proj",
        "base_model.model.blocks.1.mlp.fc1",
    }


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"r": 0}, "r must be a whole number of at least 1, not 0"),
        ({"lora_droput": 0.1}, "unknown argument of lora 'lora_droput'; did you mean 'lora_dropout'"),
        ({"target_modules": "x"}, "unknown argument of lora 'target_modules'"),
        ({"targets": "norms"}, "LayerNorm.* is not supported"),
        ({"scale": True, "use_dora": True}, "leave out scale or the variant"),
        ({"scale": True, "lora_bias": True}, "leave out scale or lora_bias"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, object], message: str, make_vit: MakeViT) -> None:
    with pytest.raises(ValueError, match=message):
        add_lora(make_vit(), [0], 0, **arguments)


def test_layers_are_made_by_peft(make_vit: MakeViT, images: Tensor, disturb: Disturb) -> None:
    """It corrects an argument that is for transposed weights; with a scale, the argument is refused."""
    with pytest.warns(UserWarning, match="fan_in_fan_out"):
        model = add_lora(make_vit(), [0], seed=0, targets="fc1", fan_in_fan_out=True)
    disturb(model)
    expected = model(images)
    torch.testing.assert_close(model.merge_and_unload()(images), expected)
    with pytest.raises(ValueError, match="fan_in_fan_out is for layers"):
        add_lora(make_vit(), [0], seed=0, scale=True, fan_in_fan_out=True)


@pytest.mark.parametrize("arguments", [{}, {"lora_alpha": 8}, {"use_rslora": True}, {"use_dora": True}])
def test_layers_give_the_bits_of_those_of_peft(arguments: dict[str, Any], make_vit: MakeViT, images: Tensor) -> None:
    """With a factor of 1, whose product is left out, and with others; of one adapter, two, and none."""
    ours, theirs = (add_lora(make_vit(), [0, 2], seed=0, **arguments) for _ in range(2))
    for model in (ours, theirs):
        model.add_adapter(
            "second", LoraConfig(target_modules=model.peft_config["default"].target_modules, r=2, lora_alpha=2)
        )
        random = torch.Generator().manual_seed(1)
        for name, tensor in model.named_parameters():
            if "lora_" in name:
                tensor.data.copy_(0.05 * torch.randn(tensor.shape, generator=random))
    for layer in theirs.modules():
        if type(layer) is PlainLinear:
            layer.__class__ = LoraLinear
    for active in (["default"], ["default", "second"], ["second"]):
        outputs = []
        for model in (ours, theirs):
            model.base_model.set_adapter(active)
            output = model(images)
            outputs.append([output, *torch.autograd.grad(output.square().sum(), list(learning(model).values()))])
        assert all(map(torch.equal, *outputs))
    with ours.disable_adapter(), theirs.disable_adapter():
        assert torch.equal(ours(images), theirs(images))


def test_a_factor_of_one_is_not_multiplied(make_vit: MakeViT, images: Tensor) -> None:
    class Products(TorchDispatchMode):
        count = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            self.count += func is torch.ops.aten.mul.Tensor
            return func(*args, **(kwargs or {}))

    counts = []
    for alpha in (4, 8):
        model = add_lora(make_vit(), [0, 2], seed=0, lora_alpha=alpha)
        with Products() as products:
            model(images)
        counts.append(products.count)
    assert counts == [0, 4]
