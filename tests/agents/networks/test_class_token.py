"""The last block for the class token alone: the features of the whole block, where nothing else of it is used."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from agents import ViTPolicy
from agents.networks.class_token import ClassTokenBlock, class_token_alone
from tests.agents.policies import TINY, make_policy

pytestmark = pytest.mark.long

MODELS: dict[str, dict[str, Any]] = {
    "tiny": TINY,
    "micro": {"model": "vit_micro_patch8_32", "pretrained": False},
}


def images() -> torch.Tensor:
    return torch.randint(0, 256, (5, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("model", ["tiny", "micro"])
def test_features_and_gradients_are_those_of_the_whole_block(model: str) -> None:
    policy = make_policy(**MODELS[model])
    network = policy.network
    inputs = network.preprocessing(images())
    results = []
    for features in (network.encode(inputs), network.backbone(inputs)):
        network.zero_grad()
        features.square().sum().backward()
        results.append((features.detach(), [tensor.grad.clone() for tensor in network.peft_parameters]))
    (alone, gradients), (whole, expected) = results
    assert torch.allclose(alone, whole, atol=1e-5)
    assert all(torch.allclose(*pair, atol=1e-4, rtol=1e-3) for pair in zip(gradients, expected, strict=True))


def last_block_output(policy: ViTPolicy) -> tuple[int, ...]:
    block = next(module for module in policy.network.backbone.modules() if isinstance(module, ClassTokenBlock))
    with class_token_alone(policy.network.backbone):
        return tuple(block(torch.zeros(2, 5, block.norm1.normalized_shape[0])).shape)


def test_one_token_is_computed_where_the_block_is_plain() -> None:
    policy = make_policy(**MODELS["micro"])
    assert last_block_output(policy) == (2, 1, 128)
    block = next(module for module in policy.network.backbone.modules() if isinstance(module, ClassTokenBlock))
    assert block(torch.zeros(2, 5, 128)).shape == (2, 5, 128)  # outside the context all tokens are
    handle = block.mlp.fc1.register_forward_hook(lambda module, inputs, output: None)
    assert last_block_output(policy) == (2, 5, 128)
    handle.remove()
    assert last_block_output(copy.deepcopy(policy)) == (2, 1, 128)


def test_a_module_in_the_last_block_needs_all_tokens() -> None:
    assert last_block_output(make_policy(**MODELS["micro"], blocks=(5,))) == (2, 5, 128)


class AddsMean(nn.Module):
    """In place of the last norm: adds the mean over tokens."""

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return tokens + tokens.mean(dim=1, keepdim=True)


def test_what_comes_after_the_last_block_may_need_all_tokens() -> None:
    policy = make_policy(**MODELS["micro"])
    network, vit = policy.network, policy.network.backbone.get_base_model()
    inputs = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    plain, vit.norm = vit.norm, AddsMean()
    assert torch.equal(network.encode(inputs), network.backbone(inputs))
    vit.norm = plain
    assert last_block_output(policy) == (2, 1, 128)
    for module in (network.backbone, vit, vit.blocks, vit.norm):
        handle = module.register_forward_hook(lambda module, inputs, output: None)
        assert last_block_output(policy) == (2, 5, 128)
        handle.remove()


def test_average_pooling_needs_all_tokens() -> None:
    policy = make_policy(**MODELS["micro"])
    policy.network.backbone.get_base_model().global_pool = "avg"
    assert last_block_output(policy) == (2, 5, 128)


def test_names_and_weights_stay() -> None:
    policy = make_policy(**MODELS["micro"])
    block = next(module for module in policy.network.backbone.modules() if isinstance(module, ClassTokenBlock))
    assert {name for name, _ in block.named_children()} == {
        "norm1", "attn", "ls1", "drop_path1", "norm2", "mlp", "ls2", "drop_path2"
    }  # fmt: skip
    assert isinstance(block.attn, nn.Module)
