"""A LoRA step of a ViT-B/16 at 224 px, in bf16, beside the device's measured rate of bf16 matrix products."""

from __future__ import annotations

import gymnasium as gym
import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from agents import EPG
from cls_env import ImageDataset, TaskStream
from experiments.benchmarks.measuring import Row, Side, measure_rate

MODEL = "vit_base_patch16_224.augreg_in21k_ft_in1k"
MATRIX_SIZE = 8192


def benchmark_gpu(
    repeats: int, model: str = MODEL, image_size: int = 224, batch_size: int = 256, matrix_size: int = MATRIX_SIZE
) -> list[Row]:
    """Time the head-only and the unfrozen step of the policy on random weights and images.

    Args:
        repeats: How often each is timed.
        model: A timm name; no weights are loaded.
        image_size: Side of the random images.
        batch_size: Images a step.
        matrix_size: Side of the square matrices whose product gives the reference rate.

    Returns:
        Images a second of both steps; the unfrozen step's share of the matrix rate; and the matrix rate in TFLOP/s.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    agent = _agent(model, image_size, batch_size, device)
    frozen = measure_rate(
        f"{model}, head-only step, bf16, batch {batch_size}", _steps(agent, True), "images/s", repeats
    )
    unfrozen = measure_rate(f"{model}, LoRA step, bf16, batch {batch_size}", _steps(agent, False), "images/s", repeats)
    matrix = measure_rate(
        f"bf16 matrix product, {matrix_size}", _matrix_products(device, matrix_size), "TFLOP/s", repeats
    )
    matrix = Row(matrix.row, None, matrix.value / 1e12, None, matrix.unit, repeats, _scaled(matrix.spread, 1e-12))
    tera = unfrozen.value * _flops_per_image(agent) / 1e12
    spread = _scaled(unfrozen.spread, tera / unfrozen.value / matrix.value)
    share = Row("LoRA step / bf16 matrix product", tera / matrix.value, tera, matrix.value, "TFLOP/s", repeats, spread)
    rows = [frozen, unfrozen, share, matrix]
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated() / 2**30
        rows.append(Row("peak memory", None, peak, None, "GiB", 1, (peak, peak)))
    return rows


def _agent(model: str, image_size: int, batch_size: int, device: torch.device) -> EPG:
    random = np.random.default_rng(0)
    images = random.integers(0, 256, size=(batch_size, image_size, image_size, 3), dtype=np.uint8)
    labels = np.arange(batch_size) % 20
    dataset = ImageDataset("random", images, labels, images[:20], labels[:20], tuple(map(str, range(20))))
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=batch_size, dataset=TaskStream(dataset, 1))
    kwargs = {"model": model, "pretrained": False}
    agent = EPG(
        "ViTPolicy", env, batch_size=batch_size, precision="bfloat16", policy_kwargs=kwargs, seed=0, device=device
    )
    return agent.learn(batch_size)


def _steps(agent: EPG, frozen: bool, steps: int = 10) -> Side:
    def side() -> int:
        agent.policy.begin_task(agent.policy.head.actions.tolist(), freeze_peft=frozen)
        agent.freeze_fraction = 1.0 if frozen else 0.0
        agent.learn(steps * agent.batch_size)
        _synchronize(agent.device)
        return steps * agent.batch_size

    return side


def _flops_per_image(agent: EPG) -> float:
    """Floating-point operations of a forward and backward pass, as PyTorch counts them."""
    assert agent.env is not None
    images = torch.from_numpy(np.asarray(agent.env.reset())[:2]).to(agent.device)
    with FlopCounterMode(display=False) as counter:
        agent.policy(images)[:, agent.policy.head.actions].sum().backward()
    return counter.get_total_flops() / len(images)


def _matrix_products(device: torch.device, size: int, count: int = 10) -> Side:
    """`count` products; the items are floating-point operations."""
    left, right = (torch.randn(size, size, device=device, dtype=torch.bfloat16) for _ in range(2))

    def side() -> int:
        for _ in range(count):
            torch.matmul(left, right)
        _synchronize(device)
        return count * 2 * size**3

    return side


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize()


def _scaled(spread: tuple[float, float], factor: float) -> tuple[float, float]:
    return spread[0] * factor, spread[1] * factor
