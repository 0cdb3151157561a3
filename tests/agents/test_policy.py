from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from gymnasium import spaces
from stable_baselines3.common.policies import ActorCriticPolicy
from torch import nn

from agents import EPG, PolicyConfig, ViTPolicy
from agents.checkpoint.policy_file import (
    load_weights,
    policy_to_json,
    read_description,
    save_checkpoint,
    saved_policy_arguments,
)
from agents.networks.backbone import create_backbone
from agents.networks.head import GrowingHead
from agents.networks.micro_vit import MICRO_VIT, MICRO_VIT_CARD, MICRO_VIT_WEIGHTS
from agents.peft_modules.lora import SplitQKV, add_lora, split_qkv
from agents.policy import parameter_counts
from cls_env.datasets.glyphs.characters import characters
from experiments.pretrain import test_accuracy as accuracy_on_fresh_glyphs

IMAGE_SPACE = spaces.Box(0, 255, (32, 32, 3), np.uint8)


def make_policy(side: int = 32, **arguments: object) -> ViTPolicy:
    return ViTPolicy(spaces.Box(0, 255, (side, side, 3), np.uint8), spaces.Discrete(6), lambda _: 1e-3, **arguments)


def black(side: int) -> torch.Tensor:
    return torch.zeros(1, side, side, 3, dtype=torch.uint8)


def step(policy: ViTPolicy, images: torch.Tensor) -> None:
    """A gradient step in training mode towards the first class."""
    policy.set_training_mode(True)
    policy.optimizer.zero_grad(set_to_none=True)
    nn.functional.cross_entropy(policy(images)[:, :2], torch.zeros(len(images), dtype=torch.int64)).backward()
    policy.optimizer.step()


def snapshot(policy: ViTPolicy) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in policy.state_dict().items()}


def changed(policy: ViTPolicy, before: dict[str, torch.Tensor]) -> set[str]:
    return {name for name, tensor in policy.state_dict().items() if not torch.equal(tensor, before[name])}


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


@pytest.mark.parametrize("blocks", [range(2), np.arange(2), [0, 1]])
def test_blocks_are_kept_as_whole_numbers_that_json_holds(blocks: Any) -> None:
    assert json.loads(json.dumps(policy_to_json(make_policy(blocks=blocks))))["policy"]["blocks"] == [0, 1]


def test_keys_and_values_of_the_chosen_blocks_learn_and_nothing_else() -> None:
    policy = make_policy(blocks=(0, 3))
    names = {name for name, tensor in policy.backbone.named_parameters() if tensor.requires_grad}
    assert len(names) == 2 * 2 * 2
    assert all(f"blocks.{block}.attn.qkv." in name for name, block in zip(sorted(names), "00003333", strict=True))
    assert all(".k.lora_" in name or ".v.lora_" in name for name in names)


def test_parameter_count_is_laes_on_vit_base() -> None:
    """LAE's LoRA of rank 5 has 76,810 trainable parameters in blocks 0-4, of which 10 are its learnable scales."""
    backbone = create_backbone("vit_base_patch16_224.augreg_in21k_ft_in1k", False, (224, 224), seed=0)
    model = add_lora(backbone, range(5), 0, r=5)
    assert sum(tensor.numel() for tensor in model.parameters() if tensor.requires_grad) == 76_800


def test_counts_add_up() -> None:
    policy = make_policy()
    policy.begin_task([0, 1], freeze_peft=False)
    counts = parameter_counts(policy)
    assert counts == {"backbone": 1_285_440, "peft": 5 * 2 * 2 * 4 * 128, "method": 0, "head": 2 * 129}


def test_normalisation_is_the_models(images: torch.Tensor) -> None:
    policy = make_policy()
    expected = (images.permute(0, 3, 1, 2).float() / 255 - 0.5) / 0.5
    torch.testing.assert_close(policy.normalize(images), expected)


@pytest.mark.parametrize(
    ("normalization", "mean", "std"),
    [
        ("imagenet", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
        ("half", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
        ("clip", (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)),
        ("none", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    ],
)
def test_normalisation_may_be_chosen(
    images: torch.Tensor, normalization: str, mean: tuple[float, ...], std: tuple[float, ...]
) -> None:
    policy = make_policy(normalization=normalization)
    assert policy.normalize.mean.flatten().tolist() == pytest.approx(mean)
    assert policy.normalize.std.flatten().tolist() == pytest.approx(std)
    pixels = images.permute(0, 3, 1, 2).float() / 255
    expected = torch.stack([(pixels[:, rgb] - mean[rgb]) / std[rgb] for rgb in range(3)], dim=1)
    torch.testing.assert_close(policy.normalize(images), expected)
    torch.testing.assert_close(policy.normalize.standardize(pixels[..., :16, :8]), expected[..., :16, :8])


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
        ({"peft": "lora:r=0"}, "rank of at least 1"),
        ({"blocks": (6,)}, r"block 6 is out of range: the model has 6 blocks, 0 \.\.\. 5"),
        ({"blocks": "all"}, r"blocks are indices of transformer blocks, as in \(0, 1, 2\), not 'all'"),
        ({"blocks": (0.5,)}, r"blocks are indices of transformer blocks"),
        ({"blocks": 3}, r"blocks are indices of transformer blocks"),
        ({"peft": None}, "expected text, 'name'"),
        ({"blocks": ()}, "at least one transformer block"),
        ({"modle": "x"}, "unknown policy argument 'modle'; did you mean 'model'"),
        ({"model": "resnet18", "pretrained": False}, "no transformer blocks"),
        (
            {"model": "vit_small_patch14_dinov2.lvd142m", "pretrained": False},
            r"\(14, 14\) patches; .* leaves a remainder",
        ),
        ({"normalization": "imagnet"}, "unknown normalization 'imagnet'; did you mean 'imagenet'"),
        ({"input_size": 0}, r"input_size .* at least 1, not 0"),
        ({"input_size": 20}, r"a size of \(20, 20\) leaves a remainder"),
        ({"weights": "absent.onnx"}, "unknown format of weights file .*absent.onnx"),
    ],
)
def test_bad_arguments_are_named(arguments: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_policy(**arguments)


def test_other_spaces_are_refused() -> None:
    with pytest.raises(ValueError, match="the ViT sees uint8"):
        ViTPolicy(spaces.Box(0, 1, (32, 32, 3)), spaces.Discrete(3), lambda _: 1e-3)
    with pytest.raises(ValueError, match="Discrete"):
        ViTPolicy(IMAGE_SPACE, spaces.MultiDiscrete([2, 2]), lambda _: 1e-3)
    with pytest.raises(ValueError, match="leaves a remainder"):
        ViTPolicy(spaces.Box(0, 255, (36, 36, 3), np.uint8), spaces.Discrete(3), lambda _: 1e-3)


def test_larger_images_resize_the_position_embedding() -> None:
    policy = ViTPolicy(spaces.Box(0, 255, (48, 48, 3), np.uint8), spaces.Discrete(3), lambda _: 1e-3)
    assert policy.features(torch.zeros(1, 48, 48, 3, dtype=torch.uint8)).shape == (1, 128)


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
    assert features.shape == (1, policy.head.weight.shape[1])
    features.square().sum().backward()
    learning = {name for name, tensor in policy.backbone.named_parameters() if tensor.grad is not None}
    assert len(learning) == 2 * 2 * 2 and all(".lora_" in name for name in learning)
    assert policy.normalize.mean[0, 0, 0, 0].item() == pytest.approx(mean)


def test_width_is_that_of_the_features() -> None:
    """Which this model projects from 288 channels to 1024 before its classifier."""
    policy = make_policy(model="mobilenetv3_small_050", pretrained=False, peft="none")
    policy.begin_task([0], freeze_peft=False)
    assert policy.backbone.num_features == 288
    assert policy(black(32)).shape == (1, 6) and policy.head.weight.shape == (1, 1024)


def test_lora_on_an_attention_that_reads_its_weight_is_refused() -> None:
    with pytest.raises(ValueError, match=r"has no plain fused attn.qkv Linear layer"):
        make_policy(side=28, model="eva02_tiny_patch14_224", pretrained=False)


def test_model_is_made_at_its_input_size() -> None:
    policy = make_policy(side=48, input_size=32)
    assert policy.backbone_hash == make_policy().backbone_hash != make_policy(side=48).backbone_hash


def test_weights_of_a_file_are_those_of_the_name(images: torch.Tensor) -> None:
    read, named = make_policy(weights=MICRO_VIT_WEIGHTS, pretrained=False), make_policy()
    assert read.backbone_hash == named.backbone_hash
    assert torch.equal(read.normalize.mean, named.normalize.mean)
    with torch.no_grad():
        assert torch.equal(read.features(images), named.features(images))
    assert json.loads(json.dumps(policy_to_json(read)))["policy"]["weights"] == str(MICRO_VIT_WEIGHTS)


def test_any_timm_model_works_without_module(images: torch.Tensor) -> None:
    policy = make_policy(model="resnet18", pretrained=False, peft="none")
    policy.begin_task([0, 1], freeze_peft=False)
    before = snapshot(policy)
    step(policy, images)
    assert policy.features(images).shape == (5, 512)
    assert changed(policy, before) == {"head.weight", "head.bias"}


def test_a_step_with_lora_changes_module_and_head_alone(images: torch.Tensor) -> None:
    policy = make_policy(model="test_vit", pretrained=False, blocks=(1,))
    policy.begin_task([0, 1], freeze_peft=False)
    before = snapshot(policy)
    step(policy, images)
    step(policy, images)  # A has no gradient while B is 0
    assert {name.rsplit(".", 3)[-3] for name in changed(policy, before) - {"head.weight", "head.bias"}} == {
        "lora_A",
        "lora_B",
    }
    assert len(changed(policy, before)) == 2 + 4


def whole(**arguments: object) -> ViTPolicy:
    """A small ResNet with batch norm that learns as a whole."""
    return make_policy(**({"model": "test_resnet", "pretrained": False, "peft": "full"} | arguments))


def test_whole_backbone_learns_with_its_statistics(images: torch.Tensor) -> None:
    policy = whole()
    policy.begin_task([0, 1], freeze_peft=False)
    before = snapshot(policy)
    step(policy, images)
    step(policy, images)  # the last scale of each block begins at 0, which stops the first step's gradients
    assert changed(policy, before) == set(before) - {"head.actions"}
    assert parameter_counts(policy) == {"backbone": 0, "peft": 372_688, "method": 0, "head": 2 * 97}
    assert policy.backbone_hash == whole().backbone_hash


def test_statistics_stay_in_eval_mode(images: torch.Tensor) -> None:
    policy = whole()
    policy.begin_task([0, 1], freeze_peft=False)
    assert not policy.training and not policy.backbone.training
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


def test_frozen_whole_backbone_stands_still(images: torch.Tensor) -> None:
    policy = whole()
    policy.set_training_mode(True)
    policy.begin_task([0, 1], freeze_peft=True)
    before = snapshot(policy)
    step(policy, images)
    assert policy.training and not policy.backbone.training
    assert changed(policy, before) == {"head.weight", "head.bias"}
    policy.unfreeze_peft()
    assert policy.backbone.training
    step(policy, images)
    step(policy, images)
    assert changed(policy, before) == set(before) - {"head.actions"}


def test_whole_vit_learns_every_tensor(images: torch.Tensor) -> None:
    policy = whole(model="test_vit")
    policy.begin_task([0, 1], freeze_peft=False)
    before = snapshot(policy)
    step(policy, images)
    step(policy, images)
    assert changed(policy, before) == set(before) - {"head.actions"}


def saved(policy: ViTPolicy, file: Path) -> Path:
    return save_checkpoint(file, policy, policy_to_json(policy))


def loaded(file: Path, **overrides: object) -> ViTPolicy:
    policy = make_policy(**(saved_policy_arguments(read_description(file)) | overrides))
    load_weights(file, policy)
    return policy


@pytest.mark.parametrize("peft", ["full", "lora", "none"])
def test_saved_policy_gives_the_same_logits(images: torch.Tensor, tmp_path: Path, peft: str) -> None:
    model = "test_resnet" if peft == "full" else "test_vit"
    policy = make_policy(model=model, pretrained=False, peft=peft, normalization="none", backbone_seed=3)
    policy.begin_task([4, 1], freeze_peft=False)
    step(policy, images)
    again = loaded(saved(policy, tmp_path / "policy.zip"))
    policy.set_training_mode(False)
    with torch.no_grad():
        assert torch.equal(again(images), policy(images))
    assert again.config == policy.config and again.backbone_hash == policy.backbone_hash
    assert changed(again, policy.state_dict()) == set()


def test_agent_that_trains_the_whole_backbone_is_saved(make_vec: Callable[..., Any], tmp_path: Path) -> None:
    arguments = {"model": "test_resnet", "pretrained": False, "peft": "full"}
    env = make_vec(8)
    agent = EPG("ViTPolicy", env, batch_size=8, seed=0, device="cpu", policy_kwargs=arguments).learn(24)
    agent.get_env().set_options({"task": 1})
    agent.learn(40, reset_num_timesteps=False).save(tmp_path / "agent")
    with zipfile.ZipFile(tmp_path / "agent.zip") as archive:
        assert sorted(archive.namelist()) == ["backbone.safetensors", "head.safetensors", "model.json"]
    again = EPG.load(tmp_path / "agent", device="cpu")
    observations = make_vec(20, split="test").reset()[0]
    agent.policy.set_training_mode(False)
    with torch.no_grad():
        logits = [model.policy(torch.from_numpy(observations)) for model in (again, agent)]
    assert torch.equal(*logits)


def rewritten(file: Path, name: str, content: bytes | None) -> Path:
    """A copy of a checkpoint with one part replaced, or left out."""
    target = file.with_name("rewritten.zip")
    with zipfile.ZipFile(file) as reader, zipfile.ZipFile(target, "w") as writer:
        for part in reader.namelist():
            if part != name or content is not None:
                writer.writestr(part, content if part == name and content is not None else reader.read(part))
    return target


def with_entries(file: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    description = read_description(file)
    change(description["policy"])
    return rewritten(file, "model.json", json.dumps(description).encode())


def test_older_descriptions_have_what_they_stood_for(tmp_path: Path, images: torch.Tensor) -> None:
    policy = make_policy()
    policy.begin_task([0, 1], freeze_peft=False)
    step(policy, images)
    new = ("weights", "normalization", "input_size", "crop_fraction", "interpolation")
    older = with_entries(saved(policy, tmp_path / "a.zip"), lambda entries: [entries.pop(name) for name in new])
    assert loaded(older).config == PolicyConfig(crop_fraction=0.875, interpolation="bilinear")
    assert changed(loaded(older), policy.state_dict()) == set()


def test_descriptions_of_later_versions_are_refused(tmp_path: Path) -> None:
    file = saved(make_policy(), tmp_path / "a.zip")
    with pytest.raises(ValueError, match="entries unknown here: colour, smell; a later version"):
        loaded(with_entries(file, lambda entries: entries.update(smell=1, colour="red")))


def test_damaged_whole_backbones_are_refused(tmp_path: Path) -> None:
    from safetensors.torch import load, save

    name = "backbone.safetensors"
    file = saved(whole(), tmp_path / "a.zip")
    with pytest.raises(ValueError, match=rf"holds no {name}, which does not fit a policy of peft='full'"):
        loaded(rewritten(file, name, None))
    with pytest.raises(ValueError, match=rf"holds a {name}, which does not fit a policy of peft='none'"):
        loaded(file, peft="none")
    with zipfile.ZipFile(file) as archive:
        tensors = load(archive.read(name))
    tensors.pop("bn1.running_mean")
    with pytest.raises(ValueError, match=r"Tensors 1 missing: bn1.running_mean float32 \(32,\)$"):
        loaded(rewritten(file, name, save(tensors)))


def test_split_refuses_models_without_fused_projection() -> None:
    model = nn.Module()
    model.blocks = nn.ModuleList([nn.Linear(2, 2)])
    with pytest.raises(ValueError, match="no plain fused"):
        split_qkv(model, [0])
