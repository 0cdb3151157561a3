"""What holds for every tuner of our own: it behaves as peft's do."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from peft import PeftModel, get_peft_model_state_dict, set_peft_model_state_dict
from torch import Tensor, nn

from agents.peft_modules import PEFT_MODULES, TunerLayer, add_peft_module
from agents.peft_modules.library import METHODS
from tests.slow_cases import slow_but

pytestmark = pytest.mark.long

MakeViT = Callable[..., nn.Module]
Disturb = Callable[[nn.Module], None]

TUNERS = [
    *(name for name in PEFT_MODULES if name not in {*METHODS, "lora", "full", "none"}),
    "adapter:bottleneck=3,scale=true",
    "prefix:length=4,scale=true,compensatory=true",
]
each_tuner = pytest.mark.parametrize("tuner", TUNERS)


def add(tuner: str, backbone: nn.Module, blocks: tuple[int, ...] = (0, 2), seed: int = 0) -> PeftModel:
    return add_peft_module(tuner, backbone, blocks, seed)


def layer_of(model: nn.Module) -> TunerLayer:
    return next(module for module in model.modules() if isinstance(module, TunerLayer))


def outputs(model: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        return model(images)


@each_tuner
def test_it_begins_as_the_backbone_where_it_can(tuner: str, make_vit: MakeViT, images: Tensor) -> None:
    model = add(tuner, make_vit())
    same = torch.allclose(outputs(model, images), outputs(make_vit(), images), atol=1e-6)
    assert same == layer_of(model).starts_as_identity


@each_tuner
def test_only_the_tuner_learns_and_all_of_it_can(
    tuner: str, make_vit: MakeViT, images: Tensor, disturb: Disturb
) -> None:
    model = add(tuner, make_vit())
    disturb(model)  # what starts at zero stops the gradient of what comes before it
    model(images).square().sum().backward()
    learning = [name for name, tensor in model.named_parameters() if tensor.requires_grad]
    assert learning and all(".vit_" in name and name.split(".vit_")[0][-6:] for name in learning)
    assert {".".join(name.split(".")[3:4]) for name in learning} == {"0", "2"}
    for name, tensor in model.named_parameters():
        assert (tensor.grad is not None and tensor.grad.abs().sum() > 0) == (name in learning), name


@each_tuner
def test_saved_and_loaded_under_another_name(
    tuner: str, make_vit: MakeViT, images: Tensor, disturb: Disturb, tmp_path: Path
) -> None:
    model = add(tuner, make_vit())
    disturb(model)
    expected = outputs(model, images)
    model.save_pretrained(str(tmp_path))
    assert (tmp_path / "adapter_model.safetensors").is_file()
    assert torch.equal(outputs(PeftModel.from_pretrained(make_vit(), str(tmp_path)), images), expected)
    other = add(tuner, make_vit(), seed=1)
    result = other.load_adapter(str(tmp_path), "second")
    assert not [name for name in result.missing_keys if "vit_" in name] and not result.unexpected_keys
    assert not torch.allclose(outputs(other, images), expected)
    other.set_adapter("second")
    assert torch.equal(outputs(other.eval(), images), expected)
    other.delete_adapter("second")
    assert "second" not in other.peft_config


@each_tuner
def test_state_names_every_tensor(tuner: str, make_vit: MakeViT) -> None:
    model = add(tuner, make_vit())
    learning = {name.replace(".default", "") for name, tensor in model.named_parameters() if tensor.requires_grad}
    assert set(get_peft_model_state_dict(model)) == learning


@each_tuner
def test_a_missing_tensor_is_reported(tuner: str, make_vit: MakeViT) -> None:
    model = add(tuner, make_vit())
    state = get_peft_model_state_dict(model)
    for name in state:
        kept = {other: tensor for other, tensor in state.items() if other != name}
        missing = [key for key in set_peft_model_state_dict(model, kept).missing_keys if ".vit_" in key]
        assert [key.replace(".default", "") for key in missing] == [name]


@each_tuner
def test_loaded_to_look_at_it_does_not_learn(tuner: str, make_vit: MakeViT, tmp_path: Path) -> None:
    add(tuner, make_vit()).save_pretrained(str(tmp_path))
    for learns in (False, True):
        loaded = PeftModel.from_pretrained(make_vit(), str(tmp_path), is_trainable=learns)
        assert any(tensor.requires_grad for tensor in loaded.parameters()) == learns


@each_tuner
def test_disabled_and_unloaded_it_is_the_backbone(
    tuner: str, make_vit: MakeViT, images: Tensor, disturb: Disturb
) -> None:
    model, plain = add(tuner, make_vit()), outputs(make_vit(), images)
    disturb(model)
    changed = outputs(model, images)
    assert not torch.allclose(changed, plain)
    with model.disable_adapter():
        assert torch.equal(outputs(model, images), plain)
    assert torch.equal(outputs(model, images), changed)
    unloaded = model.unload()
    assert torch.equal(outputs(unloaded, images), plain)
    assert not any(".vit_" in name for name, _ in unloaded.named_parameters())


@each_tuner
def test_two_at_once_and_each_alone(tuner: str, make_vit: MakeViT, images: Tensor, disturb: Disturb) -> None:
    model = add(tuner, make_vit())
    model.add_adapter("second", copy.deepcopy(model.peft_config["default"]))
    for name in ("default", "second"):
        model.set_adapter(name)
        disturb(model)
    answers = {}
    for active in ("default", "second", ["default", "second"]):
        model.base_model.set_adapter(active)
        answers[str(active)] = outputs(model, images)
    first, second, both = answers.values()
    assert not torch.allclose(first, both) and not torch.allclose(second, both)


@each_tuner
def test_seed_fixes_it_and_leaves_the_global_state_alone(tuner: str, make_vit: MakeViT) -> None:
    backbones = [make_vit() for _ in range(3)]
    before = torch.get_rng_state()
    states = [
        get_peft_model_state_dict(add(tuner, backbone, seed=seed))
        for backbone, seed in zip(backbones, (3, 3, 4), strict=True)
    ]
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])
    differs = any(not torch.equal(states[0][name], states[2][name]) for name in states[0])
    drawn = any(tensor.unique().numel() > 2 for tensor in states[0].values())
    assert differs == drawn


@pytest.mark.parametrize("tuner", slow_but(["adapter", "vpt"], TUNERS))
def test_compiled_and_unfused_it_gives_the_same(
    tuner: str, make_vit: MakeViT, images: Tensor, disturb: Disturb
) -> None:
    model = add(tuner, make_vit())
    disturb(model)
    expected = outputs(model, images)
    unfused = copy.deepcopy(model)
    for module in unfused.modules():
        if hasattr(module, "fused_attn"):
            module.fused_attn = False
    torch.testing.assert_close(outputs(unfused, images), expected, rtol=1e-4, atol=1e-5)
    torch._dynamo.reset()
    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(outputs(compiled, images), expected, rtol=1e-4, atol=1e-5)


@each_tuner
def test_half_precision_is_near(tuner: str, make_vit: MakeViT, images: Tensor, disturb: Disturb) -> None:
    model = add(tuner, make_vit())
    disturb(model)
    with torch.autocast("cpu", torch.bfloat16):
        half = outputs(model, images)
    torch.testing.assert_close(half.float(), outputs(model, images), rtol=0.1, atol=0.1)


@each_tuner
def test_backbone_in_half_precision(tuner: str, make_vit: MakeViT, images: Tensor, disturb: Disturb) -> None:
    """peft keeps the tuner's own tensors in float32."""
    model, half = add(tuner, make_vit()), add(tuner, make_vit().bfloat16())
    for either in (model, half):
        disturb(either)
    found = outputs(half, images.bfloat16())
    assert found.dtype == torch.bfloat16
    torch.testing.assert_close(found.float(), outputs(model, images), rtol=0.1, atol=0.1)


@pytest.mark.parametrize(
    ("tuner", "count"),
    [
        ("adapter:bottleneck=5,scale=true", 42_270),
        ("adapter:bottleneck=5", 42_265),
        ("prefix:length=10,scale=true", 76_810),
        ("prefix:length=10", 76_800),
        ("vpt:length=10", 5 * 10 * 768),
        ("ssf", 5 * 2 * (3 * 768 + 768 + 4 * 768 + 768 + 2 * 768)),
    ],
)
def test_sizes_on_vit_base(tuner: str, count: int) -> None:
    with torch.device("meta"):
        backbone = timm.create_model("vit_base_patch16_224", num_classes=0).requires_grad_(False)
    model = add(tuner, backbone, (0, 1, 2, 3, 4))
    assert sum(tensor.numel() for tensor in model.parameters() if tensor.requires_grad) == count


@each_tuner
def test_it_is_merged_if_it_can_be_and_refuses_otherwise(tuner: str, make_vit: MakeViT, images: Tensor) -> None:
    model = add(tuner, make_vit())
    expected = outputs(model, images)
    if type(layer_of(model)).merge is TunerLayer.merge:
        with pytest.raises(NotImplementedError, match=r"can't be merged"):
            model.merge_and_unload()
    else:
        model = model.merge_and_unload()
    torch.testing.assert_close(outputs(model, images), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
def test_scale_and_shift_are_merged(bias: bool, make_vit: MakeViT, images: Tensor, disturb: Disturb) -> None:
    model = add("ssf", make_vit(qkv_bias=bias))
    disturb(model)
    expected = outputs(model, images)
    model.merge_adapter()
    torch.testing.assert_close(outputs(model, images), expected, rtol=1e-4, atol=1e-5)
    model.unmerge_adapter()
    torch.testing.assert_close(outputs(model, images), expected, rtol=1e-4, atol=1e-5)
    merged = model.merge_and_unload(safe_merge=True)
    torch.testing.assert_close(outputs(merged, images), expected, rtol=1e-4, atol=1e-5)
    assert not any("vit_ssf" in name for name, _ in merged.named_parameters())


def test_merged_weights_keep_their_precision(make_vit: MakeViT, images: Tensor, disturb: Disturb) -> None:
    model = add("ssf", make_vit(qkv_bias=False).bfloat16())
    disturb(model)
    expected = outputs(model, images.bfloat16())
    merged = model.merge_and_unload()
    assert {tensor.dtype for tensor in merged.parameters()} == {torch.bfloat16}
    torch.testing.assert_close(outputs(merged, images.bfloat16()), expected, rtol=0.1, atol=0.1)


def test_weights_that_are_not_finite_are_not_merged(make_vit: MakeViT) -> None:
    model = add("ssf", make_vit())
    with torch.no_grad():
        next(tensor for name, tensor in model.named_parameters() if "vit_ssf_scale" in name).fill_(torch.inf)
    with pytest.raises(ValueError, match="not finite"):
        model.merge_and_unload(safe_merge=True)


@pytest.mark.parametrize(
    ("tuner", "blocks", "message"),
    [
        ("adapter:bottleneck=0", (0,), "bottleneck must be a whole number of at least 1"),
        ("prefix:length=-1", (0,), "length must be a whole number of at least 1"),
        ("vpt:length=2.5", (0,), "length of PEFT module 'vpt' must be a whole number"),
        ("prefix", (3,), "block 3 is out of range: the model has 3 blocks"),
        ("adapter", (), "at least one transformer block"),
        ("ssf:targets=norm", (0,), "unknown place in a block 'norm'"),
        ("adapter:width=3", (0,), "PEFT module 'adapter' 'width'"),
    ],
)
def test_what_does_not_fit_is_refused(tuner: str, blocks: tuple[int, ...], message: str, make_vit: MakeViT) -> None:
    with pytest.raises(ValueError, match=message):
        add(tuner, make_vit(), blocks)


def test_attention_of_another_kind_takes_no_prefix() -> None:
    backbone = timm.create_model("beit_base_patch16_224", depth=1, embed_dim=24, num_heads=2, num_classes=0)
    with pytest.raises(ValueError, match="timm's plain Attention, not into"):
        add("prefix", backbone, (0,))
    with pytest.raises(ValueError, match="no transformer blocks"):
        add("adapter", timm.create_model("resnet18", num_classes=0), (0,))
