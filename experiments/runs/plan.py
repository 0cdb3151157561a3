"""What a dry run says of a run: its tasks, its parameters, and an estimate of compute and memory."""

from __future__ import annotations

from dataclasses import dataclass

BYTES_OF_AN_ANSWER, BYTES_OF_A_STEP, BYTES_OF_RECORDS = 20, 100, 20_000
"""Bytes that a run keeps of a test image after a task, of a gradient step, and in its files of settings."""


@dataclass(frozen=True)
class ImageCosts:
    """Operations, or seconds, for one image in a task.

    Attributes:
        look: In the passes of the method over the task's images, before and after training.
        frozen: A training step while the PEFT module is frozen.
        frozen_again: The same for an image whose features are cached.
        step: A training step of all that is trained.
        step_again: The same for an image whose features are cached.
        test: A prediction.
        test_again: A prediction for an image that was tested before.
        freezes: Whether the PEFT module is frozen at first.
    """

    look: float
    frozen: float
    frozen_again: float
    step: float
    step_again: float
    test: float
    test_again: float
    freezes: bool


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
        image_memory: Bytes of the activations of one image in a step, in the precision of this machine.
        gradient_steps: In all tasks.
        costs: Operations for an image in the first tasks; those of the last one hold for all further tasks.
        state_bytes: Bytes of what the method keeps from task to task, such as a buffer of images.
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
    image_memory: int
    gradient_steps: int
    costs: tuple[ImageCosts, ...]
    state_bytes: int

    @property
    def total_flops(self) -> float:
        """Floating-point operations of the run."""
        return self.training_flops + self.evaluation_flops

    @property
    def disk(self) -> int:
        """Bytes of the run's folder, without figures."""
        kept = 4 * (self.parameters["peft"] + self.parameters["head"]) + self.state_bytes
        tested = sum(task.test_images * (len(self.tasks) - index) for index, task in enumerate(self.tasks))
        return BYTES_OF_RECORDS + kept + tested * BYTES_OF_AN_ANSWER + self.gradient_steps * BYTES_OF_A_STEP


@dataclass(frozen=True)
class Measured:
    """What a run takes on this machine.

    Attributes:
        seconds: Seconds of training and tests.
        memory: Peak bytes of the process; None if the system does not report it.
        images: Images of a measured step.
        steps: Measured steps.
    """

    seconds: float
    memory: int | None
    images: int
    steps: int
