from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import timm
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn

from agents import ViTPolicy
from agents.backbone import create_backbone
from agents.head import GrowingHead
from agents.micro_vit import MICRO_VIT, MICRO_VIT_CARD, MICRO_VIT_WEIGHTS
from agents.peft_modules.lora import SplitQKV, add_lora, split_qkv
from agents.policy import parameter_counts
from cls_env.datasets.glyphs.characters import characters
from experiments.pretrain import test_accuracy as accuracy_on_fresh_glyphs

IMAGE_SPACE = spaces.Box(0, 255, (32, 32, 3), np.uint8)


def make_policy(**arguments: object) -> ViTPolicy:
    return ViTPolicy(IMAGE_SPACE, spaces.Discrete(6), lambda _: 1e-3, **arguments)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (5, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_card_describes_the_weights_that_ship() -> None:
    card = json.loads(MICRO_VIT_CARD.read_text())
    assert MICRO_VIT_WEIGHTS.stat().st_size < 4_000_000
    assert hashlib.sha256(MICRO_VIT_WEIGHTS.read_bytes()).hexdigest() == card["sha256"]
    pool = characters()["pretraining"]
    assert hashlib.sha256("".join(pool).encode()).hexdigest() == card["characters_sha256"]
    model = timm.create_model(MICRO_VIT, pretrained=True)
    assert sum(parameter.numel() for parameter in model.parameters()) == card["parameters"]
    assert accuracy_on_fresh_glyphs(model, pool, 4, seed=99) == pytest.approx(card["test_accuracy"], abs=0.03)


def test_pretrained_weights_survive_construction() -> None:
    policy = make_policy()
    shipped = timm.create_model(MICRO_VIT, pretrained=True, num_classes=0).state_dict()
    held = policy.backbone.get_base_model().state_dict()
    assert torch.equal(held["patch_embed.proj.0.weight"], shipped["patch_embed.proj.0.weight"])
    assert torch.equal(held["blocks.5.attn.qkv.weight"], shipped["blocks.5.attn.qkv.weight"])
    parts = [held[f"blocks.0.attn.qkv.{name}.weight"] for name in ("q", "k.base_layer", "v.base_layer")]
    assert torch.equal(torch.cat(parts), shipped["blocks.0.attn.qkv.weight"])


def test_orthogonal_initialisation_of_sb3_is_never_applied() -> None:
    """What SB3's actor-critic policies do to every Linear layer would destroy the backbone; ViTPolicy is not one."""
    assert not issubclass(ViTPolicy, ActorCriticPolicy)
    policy = make_policy()
    before = policy.backbone_hash
    assert before == make_policy(peft_seed=3, head_seed=4).backbone_hash


def test_module_starts_as_identity(images: torch.Tensor) -> None:
    with_lora, without = make_policy(), make_policy(peft="none")
    with torch.no_grad():
        torch.testing.assert_close(with_lora.features(images), without.features(images), rtol=1e-5, atol=1e-5)


def test_split_projection_equals_the_fused_one() -> None:
    fused = nn.Linear(16, 48)
    x = torch.randn(2, 5, 16)
    torch.testing.assert_close(SplitQKV(fused)(x), fused(x))
    without_bias = nn.Linear(16, 48, bias=False)
    torch.testing.assert_close(SplitQKV(without_bias)(x), without_bias(x))


def test_keys_and_values_of_the_chosen_blocks_learn_and_nothing_else() -> None:
    policy = make_policy(blocks=(0, 3))
    names = {name for name, tensor in policy.backbone.named_parameters() if tensor.requires_grad}
    assert len(names) == 2 * 2 * 2
    assert all(f"blocks.{block}.attn.qkv." in name for name, block in zip(sorted(names), "00003333", strict=True))
    assert all(".k.lora_" in name or ".v.lora_" in name for name in names)


def test_parameter_count_is_laes_on_vit_base() -> None:
    """LAE's LoRA of rank 5 has 76,810 trainable parameters in blocks 0-4, of which 10 are its learnable scales."""
    backbone = create_backbone("vit_base_patch16_224.augreg_in21k_ft_in1k", False, (224, 224), seed=0)
    model = add_lora(backbone, rank=5, blocks=range(5), seed=0)
    assert sum(tensor.numel() for tensor in model.parameters() if tensor.requires_grad) == 76_800


def test_counts_add_up() -> None:
    policy = make_policy()
    policy.begin_task([0, 1], freeze_peft=False)
    counts = parameter_counts(policy)
    assert counts == {"backbone": 1_285_440, "peft": 5 * 2 * 2 * 4 * 128, "head": 2 * 129}


def test_normalisation_is_the_models(images: torch.Tensor) -> None:
    policy = make_policy()
    expected = (images.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    torch.testing.assert_close(policy.normalize(images), expected)


def test_channels_may_come_first(images: torch.Tensor) -> None:
    last = make_policy()
    first = ViTPolicy(spaces.Box(0, 255, (3, 32, 32), np.uint8), spaces.Discrete(6), lambda _: 1e-3)
    with torch.no_grad():
        torch.testing.assert_close(first.features(images.permute(0, 3, 1, 2)), last.features(images))


def test_seeds_fix_module_head_and_random_backbone() -> None:
    def tensors(**seeds: int) -> dict[str, torch.Tensor]:
        policy = make_policy(pretrained=False, **seeds)
        policy.begin_task([0, 1], freeze_peft=False)
        return {
            "backbone": policy.backbone.get_base_model().norm.weight + policy.backbone.get_base_model().pos_embed.sum(),
            "peft": policy.peft_parameters[0],
            "head": policy.head.weight,
        }

    base = tensors()
    for part, again in tensors().items():
        assert torch.equal(base[part], again)
    for part in base:
        changed = tensors(**{f"{part}_seed": 1})
        assert [name for name in base if not torch.equal(base[name], changed[name])] == [part]


def test_construction_leaves_the_global_random_state() -> None:
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    make_policy(pretrained=False)
    assert torch.equal(torch.rand(3), expected)


def test_head_grows_and_old_rows_stay() -> None:
    head = GrowingHead(32, 9, seed=0)
    assert head(torch.randn(2, 32)).tolist() == [[0.0] * 9] * 2
    head.grow([4, 2])
    old = head.weight.detach().clone()
    head.grow([2, 7, 8])
    assert head.actions.tolist() == [4, 2, 7, 8]
    assert torch.equal(head.weight[:2], old)
    logits = head(torch.randn(3, 32))
    assert logits.isneginf().nonzero()[:, 1].unique().tolist() == [0, 1, 3, 5, 6]


def test_new_rows_are_normal_with_deviation_a_thousandth() -> None:
    head = GrowingHead(512, 100, seed=0)
    head.grow(range(100))
    assert head.weight.std().item() == pytest.approx(0.001, rel=0.02)
    assert (head.bias == 0).all()


def test_optimizer_holds_exactly_what_learns() -> None:
    policy = make_policy()

    def held() -> set[int]:
        return {id(tensor) for group in policy.optimizer.param_groups for tensor in group["params"]}

    def learning() -> set[int]:
        return {id(tensor) for tensor in policy.parameters() if tensor.requires_grad}

    policy.begin_task([0, 1], freeze_peft=False)
    assert held() == learning() and len(held()) == 22
    first = policy.optimizer
    policy.begin_task([2, 3], freeze_peft=True)
    assert policy.optimizer is not first
    assert held() == learning() == {id(policy.head.weight), id(policy.head.bias)}
    policy.unfreeze_peft()
    policy.unfreeze_peft()
    assert held() == learning() and len(held()) == 22


def test_no_graph_reaches_the_backbone_while_peft_is_frozen(images: torch.Tensor) -> None:
    policy = make_policy()
    policy.begin_task([0, 1], freeze_peft=True)
    assert not policy.features(images).requires_grad
    assert policy(images).requires_grad
    policy.unfreeze_peft()
    assert policy.features(images).requires_grad


def test_backbone_stays_in_eval_mode() -> None:
    policy = make_policy()
    policy.set_training_mode(True)
    assert policy.training and policy.head.training
    assert not any(module.training for module in policy.backbone.modules())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "vit_micro_patch8_23"}, "unknown model 'vit_micro_patch8_23'; did you mean 'vit_micro_patch8_32'"),
        ({"model": "vit_micro_patch8_32.foo"}, "timm can't create 'vit_micro_patch8_32.foo'"),
        ({"model": "deit_tiny_patch16_223"}, r"did you mean 'deit_tiny_patch16_224'\?.*in all\)$"),
        ({"peft": "lorra"}, "unknown PEFT module 'lorra'; did you mean 'lora'"),
        ({"lora_rank": 0}, "rank of at least 1"),
        ({"blocks": (6,)}, r"block 6 is out of range: the model has 6 blocks, 0 \.\.\. 5"),
        ({"blocks": ()}, "at least one transformer block"),
        ({"modle": "x"}, "unknown policy argument 'modle'; did you mean 'model'"),
        ({"model": "resnet18", "pretrained": False}, "no transformer blocks"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_policy(**arguments)


def test_other_spaces_are_refused() -> None:
    with pytest.raises(ValueError, match="ViTPolicy sees uint8"):
        ViTPolicy(spaces.Box(0, 1, (32, 32, 3)), spaces.Discrete(3), lambda _: 1e-3)
    with pytest.raises(ValueError, match="Discrete"):
        ViTPolicy(IMAGE_SPACE, spaces.MultiDiscrete([2, 2]), lambda _: 1e-3)
    with pytest.raises(ValueError, match="leaves a remainder"):
        ViTPolicy(spaces.Box(0, 255, (36, 36, 3), np.uint8), spaces.Discrete(3), lambda _: 1e-3)


def test_larger_images_resize_the_position_embedding() -> None:
    policy = ViTPolicy(spaces.Box(0, 255, (48, 48, 3), np.uint8), spaces.Discrete(3), lambda _: 1e-3)
    assert policy.features(torch.zeros(1, 48, 48, 3, dtype=torch.uint8)).shape == (1, 128)


def test_other_vits_take_the_image_size_too() -> None:
    policy = make_policy(model="deit_tiny_patch16_224", pretrained=False)
    assert policy.features(torch.zeros(1, 32, 32, 3, dtype=torch.uint8)).shape == (1, 192)


def test_any_timm_model_works_without_module() -> None:
    policy = make_policy(model="resnet18", pretrained=False, peft="none")
    assert policy.features(torch.zeros(1, 32, 32, 3, dtype=torch.uint8)).shape == (1, 512)


def test_split_refuses_models_without_fused_projection() -> None:
    model = nn.Module()
    model.blocks = nn.ModuleList([nn.Linear(2, 2)])
    with pytest.raises(ValueError, match="no fused"):
        split_qkv(model, [0])
