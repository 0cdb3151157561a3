"""The precision of a policy: in training and at test, with a head in float32."""

from __future__ import annotations

from collections.abc import Callable

import gymnasium as gym
import numpy as np
import pytest
import torch
from gymnasium import spaces

from agents import EPG, ViTFeatures, ViTPolicy
from agents.evaluation import evaluate_tasks
from agents.networks.precision import arithmetic, precision_on
from cls_env import TaskStream
from tests.agents.policies import TINY

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]
CPU = torch.device("cpu")
SPACE = spaces.Box(0, 255, (32, 32, 3), np.uint8)


@pytest.fixture
def images() -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(0).integers(0, 256, (6, 32, 32, 3), dtype=np.uint8))


@pytest.fixture
def policy() -> ViTPolicy:
    policy = ViTPolicy(SPACE, spaces.Discrete(4), lambda _: 1e-3, **TINY)
    policy.begin_task(range(3), freeze_peft=False)
    return policy


def test_auto_is_float32_on_a_cpu() -> None:
    assert precision_on("auto", CPU) == "float32"


def test_tf32_on_a_cpu_is_refused(policy: ViTPolicy) -> None:
    with pytest.raises(ValueError, match=r"precision='tf32' needs an NVIDIA GPU .* the device is 'cpu'"):
        policy.precision = "tf32"
    assert policy.precision == "auto"


def test_matrix_products_outside_stay_as_they_were() -> None:
    before = torch.get_float32_matmul_precision()
    with arithmetic("bfloat16", CPU):
        assert torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype == torch.bfloat16
    assert torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype == torch.float32
    assert torch.get_float32_matmul_precision() == before


def test_the_head_computes_in_float32(policy: ViTPolicy, images: torch.Tensor) -> None:
    policy.precision = "bfloat16"
    features = policy.features(images)
    assert features.dtype == torch.float32
    with policy.network.autocast():
        logits = policy.network.head(features)
    expected = torch.nn.functional.linear(features, policy.network.head.weight, policy.network.head.bias)
    assert torch.equal(logits[:, :3], expected)


def test_tests_are_in_the_precision_of_training(policy: ViTPolicy, images: torch.Tensor) -> None:
    with torch.no_grad():
        single = policy(images)[:, :3]
        policy.precision = "bfloat16"
        half = policy(images)[:, :3]
    assert not torch.equal(single, half)
    assert torch.allclose(single, half, atol=2e-4)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        features = policy.network.backbone(policy.network.preprocessing(images)).float()
    assert torch.equal(half, policy.network.head(features)[:, :3])


@pytest.mark.parametrize("method", ["lae", "ranpac:projections=50"])
def test_an_agent_is_tested_and_looks_in_its_precision(method: str, stream: TaskStream, make_vec: MakeVec) -> None:
    peft = "none" if method.startswith(("ncm", "ranpac")) else "lora"
    objective = "none" if peft == "none" else "epg"
    entropies = {}
    for precision in ("float32", "bfloat16"):
        agent = EPG(
            "ViTPolicy",
            make_vec(8),
            objective,
            batch_size=8,
            precision=precision,
            policy_kwargs=TINY | {"method": method, "peft": peft},
            seed=0,
            device="cpu",
        )
        agent.learn(16)
        test_env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=8, dataset=stream, split="test")
        (evaluated,) = evaluate_tasks(agent.policy, test_env, [0])
        entropies[precision] = evaluated.entropy
    assert not np.array_equal(entropies["float32"], entropies["bfloat16"])
    assert np.allclose(entropies["float32"], entropies["bfloat16"], atol=0.05)


def test_an_agent_changes_its_precision_at_the_next_learn(make_vec: MakeVec) -> None:
    agent = EPG("ViTPolicy", make_vec(8), "epg", batch_size=8, policy_kwargs=TINY, seed=0, device="cpu")
    assert agent.policy.precision == "auto"
    agent.precision = "bfloat16"
    agent.learn(8)
    assert agent.policy.precision == "bfloat16"


def test_features_for_stable_baselines3(images: torch.Tensor) -> None:
    single = ViTFeatures(SPACE, **TINY)(images)
    half = ViTFeatures(SPACE, precision="bfloat16", **TINY)(images)
    assert half.dtype == torch.float32
    assert not torch.equal(single, half)
    assert torch.allclose(single, half, atol=0.1)
    with pytest.raises(ValueError, match="precision"):
        ViTFeatures(SPACE, precision="half", **TINY)


def attention_kernels(precision: str, learns: bool) -> set[str]:
    """The kernels of attention that a pass in a precision calls."""
    query = torch.randn(1, 2, 5, 8, generator=torch.Generator().manual_seed(0), requires_grad=learns)
    with torch.profiler.profile() as profile, torch.set_grad_enabled(learns), arithmetic(precision, CPU):
        torch.nn.functional.scaled_dot_product_attention(query, query, query)
    return {event.key for event in profile.key_averages() if event.key.startswith("aten::_scaled_dot_product_")}


def test_bfloat16_learns_on_a_cpu_without_the_slow_backward_pass_of_fused_attention() -> None:
    fused, products = (
        {f"aten::_scaled_dot_product_{kernel}"} for kernel in ("flash_attention_for_cpu", "attention_math")
    )
    assert attention_kernels("float32", learns=True) == attention_kernels("bfloat16", learns=False) == fused
    before = torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed()
    assert attention_kernels("bfloat16", learns=True) == products
    assert torch.backends.cuda.fp16_bf16_reduction_math_sdp_allowed() == before
