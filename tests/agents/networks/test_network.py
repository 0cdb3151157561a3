"""Which tensors of a network are pretrained, trainable and frozen."""

from __future__ import annotations

import json

import pytest
import timm
import torch
from stable_baselines3.common.policies import ActorCriticPolicy

from agents import ViTPolicy
from agents.checkpoint.policy_file import (
    policy_to_json,
)
from agents.networks.embedded_vits import MICRO_VIT
from agents.policy import parameter_counts
from tests.agents.policies import black, changed, make_policy, snapshot, step, whole

pytestmark = pytest.mark.long


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randint(0, 256, (5, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def test_pretrained_weights_survive_construction() -> None:
    policy = make_policy()
    shipped = timm.create_model(MICRO_VIT.name, pretrained=True, num_classes=0).state_dict()
    held = policy.network.backbone.get_base_model().state_dict()
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


def test_keys_and_values_of_the_chosen_blocks_learn_and_nothing_else() -> None:
    policy = make_policy(blocks=(0, 3))
    names = {name for name, tensor in policy.network.backbone.named_parameters() if tensor.requires_grad}
    assert len(names) == 2 * 2 * 2
    assert all(f"blocks.{block}.attn.qkv." in name for name, block in zip(sorted(names), "00003333", strict=True))
    assert all(".k.lora_" in name or ".v.lora_" in name for name in names)


def test_seeds_fix_module_head_and_random_backbone() -> None:
    def tensors(**seeds: int) -> dict[str, torch.Tensor]:
        policy = make_policy(pretrained=False, **seeds)
        policy.begin_task([0, 1], freeze_peft=False)
        return {
            "backbone": policy.network.backbone.get_base_model().norm.weight
            + policy.network.backbone.get_base_model().pos_embed.sum(),
            "peft": policy.network.peft_parameters[0],
            "head": policy.network.head.weight,
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
    assert policy.training and policy.network.head.training
    assert not any(module.training for module in policy.network.backbone.modules())


@pytest.mark.parametrize(
    ("model", "side", "mean"),
    [
        ("vit_tiny_patch16_224.augreg_in21k_ft_in1k", 32, 0.5),
        ("vit_small_patch14_dinov2.lvd142m", 28, 0.485),
        ("vit_base_patch32_clip_224.openai", 32, 0.48145466),
        ("deit_tiny_patch16_224.fb_in1k", 32, 0.485),
        ("deit_tiny_distilled_patch16_224.fb_in1k", 32, 0.485),
        ("test_vit2.r160_in1k", 32, 0.5),  # register tokens and fc_norm
        ("test_vit3.r160_in1k", 32, 0.5),  # attention pooling
    ],
)
def test_vits_of_many_kinds_take_image_size_and_lora(model: str, side: int, mean: float) -> None:
    policy = make_policy(side=side, model=model, pretrained=False, blocks=(0, 2))
    policy.begin_task([0, 1], freeze_peft=False)
    features = policy.features(black(side))
    assert features.shape == (1, policy.network.head.weight.shape[1])
    features.square().sum().backward()
    learning = {name for name, tensor in policy.network.backbone.named_parameters() if tensor.grad is not None}
    assert len(learning) == 2 * 2 * 2 and all(".lora_" in name for name in learning)
    assert policy.network.preprocessing.mean[0, 0, 0, 0].item() == pytest.approx(mean)


def test_width_is_that_of_the_features() -> None:
    """Which this model projects from 288 channels to 1024 before its classifier."""
    policy = make_policy(model="mobilenetv3_small_050", pretrained=False, peft="none")
    policy.begin_task([0], freeze_peft=False)
    assert policy.network.backbone.num_features == 288
    assert policy(black(32)).shape == (1, 6) and policy.network.head.weight.shape == (1, 1024)


def test_lora_on_an_attention_that_reads_its_weight_is_refused() -> None:
    with pytest.raises(ValueError, match=r"has no plain fused attn.qkv Linear layer"):
        make_policy(side=28, model="eva02_tiny_patch14_224", pretrained=False)


def test_model_is_made_at_its_input_size() -> None:
    policy = make_policy(side=48, input_size=32)
    assert policy.backbone_hash == make_policy().backbone_hash != make_policy(side=48).backbone_hash


def test_weights_of_a_file_are_those_of_the_name(images: torch.Tensor) -> None:
    read, named = make_policy(weights=MICRO_VIT.weights, pretrained=False), make_policy()
    assert read.backbone_hash == named.backbone_hash
    assert torch.equal(read.network.preprocessing.mean, named.network.preprocessing.mean)
    with torch.no_grad():
        assert torch.equal(read.features(images), named.features(images))
    assert json.loads(json.dumps(policy_to_json(read)))["policy"]["weights"] == str(MICRO_VIT.weights)


def test_any_timm_model_works_without_module(images: torch.Tensor) -> None:
    policy = make_policy(model="resnet18", pretrained=False, peft="none")
    policy.begin_task([0, 1], freeze_peft=False)
    before = snapshot(policy)
    step(policy, images)
    assert policy.features(images).shape == (5, 512)
    assert changed(policy, before) == {"network.head.weight", "network.head.bias"}


def test_a_step_with_lora_changes_module_and_head_alone(images: torch.Tensor) -> None:
    policy = make_policy(model="test_vit", pretrained=False, blocks=(1,))
    policy.begin_task([0, 1], freeze_peft=False)
    before = snapshot(policy)
    step(policy, images)
    step(policy, images)  # A has no gradient while B is 0
    assert {
        name.rsplit(".", 3)[-3] for name in changed(policy, before) - {"network.head.weight", "network.head.bias"}
    } == {
        "lora_A",
        "lora_B",
    }
    assert len(changed(policy, before)) == 2 + 4


def test_whole_backbone_learns_with_its_statistics(images: torch.Tensor) -> None:
    policy = whole()
    policy.begin_task([0, 1], freeze_peft=False)
    before = snapshot(policy)
    step(policy, images)
    step(policy, images)  # the last scale of each block begins at 0, which stops the first step's gradients
    assert changed(policy, before) == set(before) - {"network.head.actions"}
    assert parameter_counts(policy) == {"backbone": 0, "peft": 372_688, "method": 0, "head": 2 * 97}
    assert policy.backbone_hash == whole().backbone_hash


def test_statistics_stay_in_eval_mode(images: torch.Tensor) -> None:
    policy = whole()
    policy.begin_task([0, 1], freeze_peft=False)
    assert not policy.training and not policy.network.backbone.training
    before = snapshot(policy)
    policy(images)
    assert changed(policy, before) == set()
    policy.set_training_mode(True)
    policy(images)
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    assert changed(policy, before) == {name for name in before if name.endswith(statistics)}
    policy.set_training_mode(False)
    before = snapshot(policy)
    policy(images)
    assert changed(policy, before) == set()


def test_a_frozen_whole_backbone_does_not_change(images: torch.Tensor) -> None:
    policy = whole()
    policy.set_training_mode(True)
    policy.begin_task([0, 1], freeze_peft=True)
    before = snapshot(policy)
    step(policy, images)
    assert policy.training and not policy.network.backbone.training
    assert changed(policy, before) == {"network.head.weight", "network.head.bias"}
    policy.unfreeze_peft()
    assert policy.network.backbone.training
    step(policy, images)
    step(policy, images)
    assert changed(policy, before) == set(before) - {"network.head.actions"}


def test_whole_vit_learns_every_tensor(images: torch.Tensor) -> None:
    policy = whole(model="test_vit")
    policy.begin_task([0, 1], freeze_peft=False)
    before = snapshot(policy)
    step(policy, images)
    step(policy, images)
    assert changed(policy, before) == set(before) - {"network.head.actions"}
