"""Whether the GPU computes what the CPU does, on the embedded backbone and glyphs: there is something to learn."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import gymnasium as gym
import torch
from torch import Tensor

from agents import EPG
from agents.networks.views import TrainView
from agents.objectives import OBJECTIVES
from cls_env import TaskStream
from experiments.benchmarks.gpu.report import Check, Row
from experiments.benchmarks.gpu.settings import PATHS, GpuSettings
from experiments.config.settings import RunConfig
from experiments.runs.run_folder import RunFolder
from experiments.runs.runner import run

BATCH = 32
STEPS = 60
FEWER_STEPS = 10
EPOCHS = 5
GLYPHS: tuple[str, ...] = ()
"""Options of the loader for the run: all glyphs."""
ANSWERED = 512
CPU = torch.device("cpu")
VIEW_BOUND = 1e-3


@dataclass(frozen=True)
class Bounds:
    """The largest relative differences to the CPU in float32 that rounding explains."""

    features: float
    gradients: float
    losses: float


BOUNDS = {"float32": Bounds(1e-5, 1e-4, 1e-3), "bfloat16": Bounds(1e-2, 3e-2, 1e-3)}
COMPILED_BOUND = 1e-2
ACCURACY_BOUND = 2.0
ANSWERS_BOUND = 0.5


def checks(settings: GpuSettings) -> dict[str, Check]:
    """Differences to the CPU, to images in main memory, and to a backbone that is not compiled."""
    device = settings.device
    found: dict[str, Check] = {"views": partial(_views, device)}
    for precision in BOUNDS:
        found[f"features and gradients, {precision}"] = partial(_passes, device, precision)
        found[f"losses, {precision}"] = partial(_losses, device, precision)
    if "device" in settings.paths:
        found["images on the device"] = partial(_device_images, device)
    if "compiled" in settings.paths:
        found["compiled"] = partial(_compiled, device)
    found["saved agent"] = partial(_saved, device)
    found["run"] = partial(_run, device, settings.paths[0])
    return found


@cache
def glyphs() -> TaskStream:
    """Glyphs in five tasks."""
    return TaskStream("glyphs", 5, dataset_options={"margin": 0})


def embedded_agent(device: torch.device, precision: str = "float32", path: str = "host", **changes: Any) -> EPG:
    """An agent with the embedded weights, whose LoRA learns from the start."""
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=BATCH, dataset=glyphs())
    env.reset(seed=0)
    arguments: dict[str, Any] = {"objective": "ce", "batch_size": BATCH, "crop_scale": (0.3, 1.0), "seed": 0}
    arguments |= {"precision": precision, "device": device}
    return EPG("ViTPolicy", env, **(arguments | PATHS[path] | changes))


def relative_difference(ours: Tensor, expected: Tensor) -> float:
    """Norm of the difference over the norm of what is expected."""
    ours, expected = ours.detach().cpu().double(), expected.detach().cpu().double()
    return float((ours - expected).norm() / expected.norm())


def recorded_losses(device: torch.device, steps: int, precision: str = "float32", path: str = "host") -> Tensor:
    """The mean loss of each step of the first task, float64 of shape (steps,)."""
    losses: list[Tensor] = []

    def cross_entropy(logits: Tensor, action_rewards: Tensor, progress: float) -> Tensor:
        loss = OBJECTIVES["ce"](logits, action_rewards, progress)
        losses.append(loss.detach().mean())
        return loss

    agent = embedded_agent(device, precision, path, objective=cross_entropy)
    agent.get_env().seed(0)  # type: ignore[union-attr]
    agent.learn(steps * BATCH)
    return torch.stack(losses).cpu().double()


def _images(count: int = 64) -> Tensor:
    return torch.tensor(glyphs().dataset.test_images[:count])


def _views(device: torch.device) -> Iterator[Row]:
    images, view = _images().permute(0, 3, 1, 2), TrainView(32)
    ours, expected = (view(images.to(place), torch.Generator().manual_seed(0)).cpu() for place in (device, CPU))
    yield Row("views: largest difference, of 1", float((ours - expected).abs().max()), against=VIEW_BOUND)


def _passes(device: torch.device, precision: str) -> Iterator[Row]:
    ours, expected = features_and_gradients(device, precision), features_and_gradients(CPU, "float32")
    features, gradients = (relative_difference(*pair) for pair in zip(ours, expected, strict=True))
    yield Row(f"features, {precision}", features, against=BOUNDS[precision].features)
    yield Row(f"gradients of LoRA, {precision}", gradients, against=BOUNDS[precision].gradients)


def features_and_gradients(device: torch.device, precision: str) -> tuple[Tensor, Tensor]:
    """Features of test images, and gradients of a module that has learned: B is 0 at first, and hides A's gradient."""
    policy = embedded_agent(device, precision).policy
    policy.load_state_dict(learned_state(), strict=False)
    features = policy.features(_images().to(device))
    features.float().square().sum().backward()
    gradients = [tensor.grad for tensor in policy.network.peft_parameters]
    return features, torch.cat([tensor.flatten() for tensor in gradients if tensor is not None])


@cache
def learned_state() -> dict[str, Tensor]:
    """The tensors of the backbone after some steps on the CPU."""
    policy = embedded_agent(CPU).learn(FEWER_STEPS * BATCH).policy
    return {name: tensor for name, tensor in policy.state_dict().items() if "backbone" in name}


@cache
def expected_losses() -> Tensor:
    """The losses on the CPU in float32."""
    return recorded_losses(CPU, STEPS)


def _losses(device: torch.device, precision: str) -> Iterator[Row]:
    difference = relative_difference(recorded_losses(device, STEPS, precision), expected_losses())
    yield Row(f"losses of {STEPS} steps, {precision}", difference, against=BOUNDS[precision].losses)


def _device_images(device: torch.device) -> Iterator[Row]:
    """Images on the device against images in main memory, both computed on the device."""
    torch.use_deterministic_algorithms(True)
    try:
        states = [
            embedded_agent(device, path=path).learn(FEWER_STEPS * BATCH).policy.state_dict()
            for path in ("host", "device")
        ]
    finally:
        torch.use_deterministic_algorithms(False)
    differing = [name for name, tensor in states[0].items() if not torch.equal(tensor, states[1][name])]
    yield Row("images on the device: tensors that differ in any bit", len(differing), "tensors", against=0)


def _compiled(device: torch.device) -> Iterator[Row]:
    ours, expected = (recorded_losses(device, FEWER_STEPS, "bfloat16", path) for path in ("compiled", "device"))
    yield Row("losses of a compiled backbone", relative_difference(ours, expected), against=COMPILED_BOUND)


def _saved(device: torch.device) -> Iterator[Row]:
    """An agent that is trained on the device, saved, and loaded on the CPU."""
    agent, images = embedded_agent(device).learn(STEPS * BATCH), _images(ANSWERED).numpy()
    with tempfile.TemporaryDirectory() as folder:
        agent.save(Path(folder) / "agent")
        loaded = EPG.load(Path(folder) / "agent", device="cpu")
    ours, theirs = (each.predict(images, deterministic=True)[0] for each in (agent, loaded))
    yield Row("saved agent: other answers on the CPU", 100 * float((ours != theirs).mean()), "%", ANSWERS_BOUND)


def _run(device: torch.device, path: str) -> Iterator[Row]:
    accuracies = []
    for place, chosen in ((device, path), (CPU, "host")):
        settings: dict[str, Any] = {"device": place.type, "threads": torch.get_num_threads(), **PATHS[chosen]}
        config = RunConfig(num_tasks=5, epochs=EPOCHS, options=GLYPHS, precision="float32", **settings)
        with tempfile.TemporaryDirectory() as folder:
            accuracies.append(100 * run(config, RunFolder(Path(folder) / "run"))["final_accuracy"])
    yield Row("accuracy of a run on the CPU", accuracies[1], "%")
    difference = abs(accuracies[0] - accuracies[1])
    yield Row(f"accuracy of a run, {path}: difference to the CPU", difference, "points", ACCURACY_BOUND)
