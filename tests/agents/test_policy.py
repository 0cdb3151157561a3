from __future__ import annotations

import pytest

from agents.policy import parameter_counts
from tests.agents.policies import make_policy


def test_counts_add_up() -> None:
    policy = make_policy()
    policy.begin_task([0, 1], freeze_peft=False)
    counts = parameter_counts(policy)
    assert counts == {"backbone": 1_285_440, "peft": 5 * 2 * 2 * 4 * 128, "method": 0, "head": 2 * 129}


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
    assert held() == learning() == {id(policy.network.head.weight), id(policy.network.head.bias)}
    policy.unfreeze_peft()
    policy.unfreeze_peft()
    assert held() == learning() and len(held()) == 22


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"model": "vit_micro_patch8_23"}, "unknown model 'vit_micro_patch8_23'; did you mean 'vit_micro_patch8_32'"),
        ({"model": "vit_micro_patch8_32.foo"}, "timm can't create 'vit_micro_patch8_32.foo'"),
        ({"model": "deit_tiny_patch16_223"}, r"did you mean 'deit_tiny_patch16_224'\?.*in all\)$"),
        ({"peft": "lorra"}, "unknown PEFT module 'lorra'; did you mean 'lora'"),
        ({"peft": "lora:r=0"}, "r must be a whole number of at least 1, not 0"),
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
