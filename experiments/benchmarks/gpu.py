"""Steps and tests of a ViT-B/16 with LoRA at 224 px, in bf16: speed, memory, waits, and losses against the CPU's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import gymnasium as gym
import numpy as np
import torch
from numpy.typing import NDArray
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from agents import EPG
from agents.evaluation import evaluate_tasks
from agents.objectives import OBJECTIVES
from cls_env import ImageDataset, TaskStream
from experiments.benchmarks.measuring import Measurement, Side, measure_rate

MODEL = "vit_base_patch16_224.augreg_in21k_ft_in1k"
MATRIX_SIZE = 8192
CROP_SCALE = (0.05, 1.0)
LOSS_STEPS = 20
LOSS_BATCH = 8
LOSS_BOUNDS = {"float32": 1e-5, "bfloat16": 2e-3}
"""Other kernels in float32 differ by 1e-7, bfloat16 by 2e-4; mirrored images by 4e-3."""
PATHS: dict[str, dict[str, Any]] = {
    "images in main memory": {"device_images": "no"},
    "images on the device": {"device_images": "yes"},
    "compiled": {"device_images": "yes", "compile": True},
}
"""Arguments of the agents that are compared."""


def benchmark_gpu(
    repeats: int,
    model: str = MODEL,
    image_size: int = 224,
    batch_size: int = 256,
    matrix_size: int = MATRIX_SIZE,
    paths: Mapping[str, dict[str, Any]] = PATHS,
) -> list[Measurement]:
    """Time steps and tests of the policy on random weights and images, by each path, and compare its losses.

    Args:
        repeats: How often each is timed.
        model: A timm name; no weights are loaded.
        image_size: Side of what the model sees. Training sees random crops of images 8 / 7 as large, 256 for 224.
        batch_size: Images of a timed step.
        matrix_size: Side of the square matrices whose product gives the reference rate.
        paths: Arguments of the agents that are compared, by name.

    Returns:
        The matrix rate in TFLOP/s. By each path, images a second of the head-only step, of the step that trains the
        module, and of a test; the step's share of the matrix rate; on a GPU, its peak memory, and whether 20 steps wait
        for it (0 or 1). For each precision, how far the losses of 20 steps are from those of the CPU in float32,
        against the bound that they should keep. Where there is no GPU, all is measured on the CPU.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    matrix = measure_rate(
        f"bf16 matrix product, {matrix_size}", _matrix_products(device, matrix_size), "TFLOP/s", repeats
    )
    matrix = Measurement(
        matrix.row, None, matrix.value / 1e12, None, matrix.unit, repeats, _scaled(matrix.spread, 1e-12)
    )
    rows = [matrix]
    for name, arguments in paths.items():
        agent = _agent(
            model,
            image_size * 8 // 7,
            4 * batch_size,
            batch_size,
            image_size,
            crop_scale=CROP_SCALE,
            precision="bfloat16",
            device=device,
            **arguments,
        )
        rows += _rates(f"{model}, bf16, batch {batch_size}, {name}", agent, repeats, matrix.value)
    return [*rows, *_loss_differences(model, image_size, device)]


def _rates(name: str, agent: EPG, repeats: int, matrix: float) -> list[Measurement]:
    """The rows of one path."""
    frozen = measure_rate(f"head-only step: {name}", _steps(agent, True), "images/s", repeats)
    _reset_peak(agent.device)
    step = measure_rate(f"step: {name}", _steps(agent, False), "images/s", repeats)
    memory = _peak_memory(f"peak memory of the step: {name}", agent.device)
    test = measure_rate(f"test: {name}", _tests(agent), "images/s", repeats)
    tera = step.value * _flops_per_image(agent) / 1e12
    spread = _scaled(step.spread, tera / step.value / matrix)
    share = Measurement(f"step / bf16 matrix product: {name}", tera / matrix, tera, matrix, "TFLOP/s", repeats, spread)
    return [frozen, step, test, share, *memory, *_waits(name, agent)]


def _tests(agent: EPG) -> Side:
    assert agent.env is not None
    stream = agent.env.get_attr("stream")[0]
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=agent.batch_size, dataset=stream, split="test")

    def side() -> int:
        (evaluation,) = evaluate_tasks(agent.policy, env, [0])
        return len(evaluation.labels)

    return side


def _waits(name: str, agent: EPG) -> list[Measurement]:
    """Whether 20 steps wait for the GPU; no row without one."""
    if agent.device.type != "cuda":
        return []
    agent.learn(agent.batch_size)
    steps = _SyncErrors()
    try:
        agent.learn(22 * agent.batch_size, callback=steps)
        waits = 0
    except RuntimeError:
        waits = 1
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return [Measurement(f"waits in 20 steps: {name}", None, waits, None, "", 1, (waits, waits))]


class _SyncErrors(BaseCallback):
    """Makes PyTorch raise an error where a step waits, between the first and the last step of a task."""

    def _on_step(self) -> bool:
        torch.cuda.set_sync_debug_mode("error" if self.n_calls < 21 else "default")
        return True


def _agent(
    model: str, observed: int, count: int, batch_size: int, input_size: int | None = None, **arguments: Any
) -> EPG:
    """A policy of random weights on one task: `count` random images of side `observed`, in 20 classes."""
    random = np.random.default_rng(0)
    images = random.integers(0, 256, size=(count, observed, observed, 3), dtype=np.uint8)
    labels = np.arange(count) % 20
    dataset = ImageDataset("random", images, labels, images, labels, tuple(map(str, range(20))))
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
    expected = _losses(model, image_size, "float32", torch.device("cpu"))
    rows = []
    for precision, bound in LOSS_BOUNDS.items():
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
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


def _peak_memory(row: str, device: torch.device) -> list[Measurement]:
    """PyTorch's peak memory since it was reset, on a GPU alone."""
    if device.type != "cuda":
        return []
    peak = torch.cuda.max_memory_allocated() / 2**30
    return [Measurement(row, None, peak, None, "GiB", 1, (peak, peak))]
