"""A LoRA step of a ViT-B/16 at 224 px, in bf16: its speed, its memory, and its losses compared with the CPU's."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from agents import EPG
from agents.objectives import OBJECTIVES
from cls_env import ImageDataset, TaskStream
from experiments.benchmarks.measuring import Measurement, Side, measure_rate

MODEL = "vit_base_patch16_224.augreg_in21k_ft_in1k"
MATRIX_SIZE = 8192
CROP_SCALE = (0.05, 1.0)
LOSS_STEPS = 20
LOSS_BATCH = 8
LOSS_BOUNDS = {"float32": 1e-4, "bfloat16": 2e-2}


def benchmark_gpu(
    repeats: int, model: str = MODEL, image_size: int = 224, batch_size: int = 256, matrix_size: int = MATRIX_SIZE
) -> list[Measurement]:
    """Time the head-only and the unfrozen step of the policy on random weights and images, and compare its losses.

    Args:
        repeats: How often each is timed.
        model: A timm name; no weights are loaded.
        image_size: Side of what the model sees. Random crops are cut out of images 8 / 7 as large, 256 for 224.
        batch_size: Images of a timed step.
        matrix_size: Side of the square matrices whose product gives the reference rate.

    Returns:
        Images a second of the head-only step, of the unfrozen one, and of that on random crops; the unfrozen step's
        share of the matrix rate; the matrix rate in TFLOP/s; for each precision, how far the losses of 20 unfrozen
        steps are from those of the CPU in float32, against the bound that they should keep; and, on a GPU, the peak
        memory of the unfrozen step. Where there is no GPU, all is measured on the CPU.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    mixed: dict[str, Any] = {"precision": "bfloat16", "device": device}
    agent = _agent(model, image_size, batch_size, batch_size, **mixed)

    def images_per_second(kind: str, side: Side) -> Measurement:
        return measure_rate(f"{model}, {kind}, bf16, batch {batch_size}", side, "images/s", repeats)

    frozen = images_per_second("head-only step", _steps(agent, True))
    _reset_peak(device)
    unfrozen = images_per_second("LoRA step", _steps(agent, False))
    memory = _peak_memory(device)

    observed = image_size * 8 // 7
    cropping = _agent(model, observed, batch_size, batch_size, image_size, crop_scale=CROP_SCALE, **mixed)
    augmented = images_per_second(f"LoRA step on random crops of {observed} px", _steps(cropping, False))

    matrix = measure_rate(
        f"bf16 matrix product, {matrix_size}", _matrix_products(device, matrix_size), "TFLOP/s", repeats
    )
    matrix = Measurement(
        matrix.row, None, matrix.value / 1e12, None, matrix.unit, repeats, _scaled(matrix.spread, 1e-12)
    )
    tera = unfrozen.value * _flops_per_image(agent) / 1e12
    spread = _scaled(unfrozen.spread, tera / unfrozen.value / matrix.value)
    share = Measurement(
        "LoRA step / bf16 matrix product", tera / matrix.value, tera, matrix.value, "TFLOP/s", repeats, spread
    )
    return [frozen, unfrozen, augmented, share, matrix, *_loss_differences(model, image_size, device), *memory]


def _agent(
    model: str, observed: int, count: int, batch_size: int, input_size: int | None = None, **arguments: Any
) -> EPG:
    """A policy of random weights on one task: `count` random images of side `observed`, in 20 classes."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, size=(count, observed, observed, 3), dtype=np.uint8)
    labels = np.arange(count) % 20
    dataset = ImageDataset("random", images, labels, images[:20], labels[:20], tuple(map(str, range(20))))
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=batch_size, dataset=TaskStream(dataset, 1))
    kwargs = {"model": model, "pretrained": False, "input_size": input_size}
    return EPG("ViTPolicy", env, batch_size=batch_size, policy_kwargs=kwargs, seed=0, **arguments)


def _steps(agent: EPG, frozen: bool, steps: int = 10) -> Side:
    agent.learn(agent.batch_size)

    def side() -> int:
        agent.policy.begin_task(agent.policy.network.head.actions.tolist(), freeze_peft=frozen)
        agent.freeze_fraction = 1.0 if frozen else 0.0
        agent.learn(steps * agent.batch_size)
        _synchronize(agent.device)
        return steps * agent.batch_size

    return side


def _loss_differences(model: str, image_size: int, device: torch.device) -> list[Measurement]:
    """The largest relative difference to the CPU's losses in float32, and its ratio to the bound."""
    torch.backends.cudnn.allow_tf32 = False
    torch.set_float32_matmul_precision("highest")
    expected = _losses(model, image_size, "float32", torch.device("cpu"))
    rows = []
    for precision, bound in LOSS_BOUNDS.items():
        losses = _losses(model, image_size, precision, device)
        difference = float(np.max(np.abs(losses - expected) / np.abs(expected)))
        row = f"loss of {LOSS_STEPS} steps, {precision}, largest relative difference to the CPU"
        ratio = difference / bound
        rows.append(Measurement(row, ratio, difference, bound, "relative", 1, (ratio, ratio)))
    return rows


def _losses(model: str, image_size: int, precision: str, device: torch.device) -> NDArray[np.float64]:
    """Mean loss of each of the unfrozen steps, which show each image once, float64 of shape (LOSS_STEPS,)."""
    losses: list[float] = []

    def recorded_cross_entropy(logits: Tensor, action_rewards: Tensor, progress: float) -> Tensor:
        loss = OBJECTIVES["ce"](logits, action_rewards, progress)
        losses.append(float(loss.detach().mean()))
        return loss

    count = LOSS_STEPS * LOSS_BATCH
    agent = _agent(
        model, image_size, count, LOSS_BATCH, objective=recorded_cross_entropy, precision=precision, device=device
    )
    agent.learn(count)
    return np.array(losses)


def _flops_per_image(agent: EPG) -> float:
    """Floating-point operations of a forward and backward pass, as PyTorch counts them."""
    assert agent.env is not None
    images = torch.from_numpy(np.asarray(agent.env.reset())[:2]).to(agent.device)
    with FlopCounterMode(display=False) as counter:
        agent.policy(images)[:, agent.policy.network.head.actions].sum().backward()
    return counter.get_total_flops() / len(images)


def _matrix_products(device: torch.device, size: int, count: int = 10) -> Side:
    """`count` products, with floating-point operations as items."""
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


def _reset_peak(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()


def _peak_memory(device: torch.device) -> list[Measurement]:
    """PyTorch's peak memory since it was reset, on a GPU alone."""
    if device.type != "cuda":
        return []
    peak = torch.cuda.max_memory_allocated() / 2**30
    return [Measurement("peak memory of the LoRA step", None, peak, None, "GiB", 1, (peak, peak))]
