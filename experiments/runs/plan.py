"""What a dry run says of a run: its tasks, its parameters, and an estimate of compute and memory."""

from __future__ import annotations

from dataclasses import dataclass

ASSUMED_RATES = {"auto": 100e12, "bfloat16": 100e12, "tf32": 50e12, "float32": 10e12}
"""Floating-point operations a second of a GPU, for which hours are given: a third to a half of an A100's peak."""


@dataclass(frozen=True)
class PlannedTask:
    """A row of the task table. Images are counted or, if the dataset is not here, divided evenly over the classes."""

    classes: int
    content: str
    train_images: int
    validation_images: int
    test_images: int
    learned_images: int


@dataclass(frozen=True)
class Plan:
    """What a run would do.

    Attributes:
        images: Where the images are, or what is missing.
        fingerprint: SHA-256 of the stream; None if the images are not here.
        tasks: The tasks in order.
        parameters: Numbers of parameters by part: `backbone` (frozen), `peft`, `method`, and `head` at the end.
        test_flops: Floating-point operations for one image at test.
        step_flops: The same in a training step of all that is trained, forward and backward.
        training_flops: The same for the training of all tasks.
        evaluation_flops: The same for all tests.
        memory: Bytes of weights, gradients, optimizer states and activations of a step.
    """

    images: str
    fingerprint: str | None
    tasks: tuple[PlannedTask, ...]
    parameters: dict[str, int]
    test_flops: float
    step_flops: float
    training_flops: float
    evaluation_flops: float
    memory: int

    @property
    def total_flops(self) -> float:
        """Floating-point operations of the run."""
        return self.training_flops + self.evaluation_flops
