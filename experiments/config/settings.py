"""Settings of runs. The command line is made from these dataclasses, and each run saves its own as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
import tyro

from cls_env.datasets import DATASETS
from cls_env.datasets.files.trees import plain_name
from cls_env.specification import parse_value
from experiments.config.fields import settle
from experiments.config.identity import folder_name, precision_here
from experiments.config.imports import import_modules

Device: TypeAlias = Literal["auto", "cpu", "cuda", "mps"]
"""Choices of `--device`."""
PATHS = ("root", "weights", "noise_matrix")
"""Settings that are paths; they are made absolute, so that one file has one name."""


@dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """The stream: its images, tasks and labels."""

    dataset: str = "glyphs"
    """Name of the dataset: glyphs (embedded), folder (your own images), or another of `cls-env datasets`."""
    root: str | None = None
    """Folder or archive of your images (with --dataset folder), or folder of a published dataset."""
    image_size: int | None = None
    """Side in pixels at which images are stored. By default the size from which the model's test crop is taken."""
    options: tuple[str, ...] = ()
    """Further arguments of the dataset's loader, such as: --options test_fraction=0.2 on_error=skip"""
    scenario: str = "class-incremental"
    """class-incremental, task-incremental, domain-incremental, or online (each image once)."""
    num_tasks: int | tuple[int, ...] | None = None
    """Number of tasks, or the number of classes of each task. By default the dataset's usual number of tasks."""
    init_classes: int | None = None
    """Number of classes of the first task, with --increment, in place of --num-tasks."""
    increment: int | None = None
    """Number of classes of each later task, with --init-classes."""
    class_order: Literal["natural"] | tuple[int, ...] | None = None
    """Order of the classes: natural, or class indices. By default the seed draws it."""
    domains: tuple[str, ...] = ()
    """Domains of a domain-incremental stream, in order: the dataset's own, or shifts such as identity rotate-90."""
    validation_fraction: float = 0.0
    """Fraction of the training images of each class to hold out for validation. Their labels have the same noise."""
    max_per_class: int | None = None
    """Maximum number of training images per class. By default all are used."""
    imbalance_factor: float = 1.0
    """Size of the largest class over that of the smallest. A value above 1 gives a long tail."""
    noise_type: str = "symmetric"
    """Kind of label noise: symmetric, or pair-flip."""
    noise_matrix: str | None = None
    """CSV file of a K x K matrix of label transition probabilities, in place of --label-noise."""

    @property
    def data_name(self) -> str:
        """Short name of the images: of the folder or archive, or of the set."""
        return plain_name(Path(self.root)) if self.dataset == "folder" and self.root is not None else self.dataset


@dataclass(frozen=True, kw_only=True)
class PolicySettings:
    """The policy: its network and its continual-learning method."""

    model: str = "auto"
    """Backbone: a timm name such as vit_base_patch16_224.augreg_in21k, or an embedded one, vit_mini_patch16_64 for
    photographs or vit_micro_patch8_32 for characters. auto is the one that the dataset's card names."""
    pretrained: bool = True
    """Load pretrained weights. Otherwise the weights are random."""
    weights: str | None = None
    """Local file with the model's weights (.npz, .safetensors, .pth). Nothing is downloaded then."""
    normalization: Annotated[str, tyro.conf.arg(aliases=["--normalisation"])] = "checkpoint"
    """Normalization of the pixels: checkpoint (the model's own), imagenet, half, clip, or none."""
    input_size: int | None = None
    """Side in pixels of the model's input. By default the size of its pretraining."""
    crop_fraction: float | None = None
    """Fraction of the resized image's side that the test crop keeps. By default the model's own in timm; 1 for
    characters."""
    interpolation: Literal["bicubic", "bilinear"] | None = None
    """Interpolation for resizing images. By default the model's own in timm."""
    peft: str = "lora"
    """PEFT module, with arguments or without: lora, lora:r=8, adapter, prefix ... (`cls-env modules`); full; or
    none."""
    blocks: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Transformer blocks that get a PEFT module or a method's prompts."""
    method: str = "sequential"
    """Continual-learning method, with arguments or without: sequential, lae, replay:size=500 ... (`cls-env
    methods`)."""


@dataclass(frozen=True, kw_only=True)
class LearningSettings:
    """Training."""

    epochs: int = 20
    """Number of passes over each task's training images."""
    batch_size: int = 32
    """Number of images per gradient step."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """Optimizer: adam, or sgd."""
    learning_rate: float = 5e-4
    """Learning rate."""
    rate_milestones: tuple[float, ...] = ()
    """Fractions of a task after which the learning rate is divided by ten."""
    momentum: float = 0.9
    """Momentum of sgd, in [0, 1)."""
    adam_betas: tuple[float, float] = (0.9, 0.999)
    """Decay rates of adam's first and second moments, in [0, 1)."""
    weight_decay: float = 0.0
    """Weight decay. It does not change parameters that get no gradient in a task."""
    freeze_fraction: float = 0.6
    """Fraction of each later task during which only the head is trained."""
    anneal: Literal["task", "unfrozen"] = "task"
    """Steps over which alpha falls to 0: all steps of a task, or those in which the PEFT module is trained
    (unfrozen)."""
    early_stopping: bool = False
    """Restore the epoch with the best validation accuracy after each task. Needs --validation-fraction."""
    augment: Literal["auto", "yes", "no"] = "auto"
    """Train on random crops and flips. auto does so for photographs, but not for characters."""
    crop_scale: tuple[float, float] = (0.05, 1.0)
    """Smallest and largest fraction of the image's area in a random crop."""
    cache_features: bool = True
    """Reuse the features of images while the PEFT module is frozen. The result is the same."""
    precision: Literal["auto", "float32", "tf32", "bfloat16"] = "auto"
    """Precision of the backbone. auto is bfloat16 on a GPU that supports it, and float32 elsewhere."""
    compile: bool = False
    """Compile the backbone's blocks with torch.compile. Compiling takes a minute; the result is kept on disk."""
    micro_batch: int | None = None
    """Maximum number of images whose activations are in memory, for a small GPU. By default the whole batch."""
    on_divergence: Literal["stop", "skip"] = "stop"
    """At a loss or a gradient that is no finite number: stop the run, or skip the gradient step and count it."""
    device_images: Literal["auto", "yes", "no"] = "auto"
    """Keep the images of the current tasks on the device. auto does so if they fit in half of a GPU's free memory."""
    device: Device = "auto"
    """Device of the policy. auto is an NVIDIA GPU if there is one, else the CPU. mps is Apple's GPU."""
    threads: int = 1
    """Number of CPU threads. Another number changes results by rounding."""


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """Tests beyond those of all tasks so far after each task."""

    test_before_tasks: bool = False
    """Also test each task before it is learned, for the measure forward_transfer."""
    label_fit: bool = False
    """Also test the training images of each task after it, for train_accuracy_clean and train_accuracy_flipped."""


@dataclass(frozen=True, kw_only=True)
class Settings(EvaluationSettings, LearningSettings, PolicySettings, StreamSettings):
    """Settings that all runs of a comparison share."""

    imports: tuple[str, ...] = ()
    """Your own Python modules to import first, which register objectives, methods, datasets or other parts."""

    def __post_init__(self) -> None:
        settle(self)
        for name in PATHS:
            if (place := getattr(self, name)) is not None:
                object.__setattr__(self, name, _absolute(place))
        object.__setattr__(self, "options", tuple(sorted(map(_canonical_option, self.options))))

    @property
    def backbone(self) -> str:
        """Name of the model: as set, or that of the dataset's card. It stays `"auto"` if the dataset is unknown.

        Raises:
            ValueError: An import, which may register the dataset, fails.
        """
        if self.model == "auto" and self.dataset not in DATASETS:
            import_modules(self.imports)
        named = self.model == "auto" and self.dataset in DATASETS
        return DATASETS[self.dataset].model if named else self.model


@dataclass(frozen=True, kw_only=True)
class RunConfig(Settings):
    """One run: one objective, one seed."""

    objective: str = "aepg"
    """Objective, with arguments or without: ce, epg, aepg, focal:gamma=2 ... (`cls-env objectives`); or none."""
    label_noise: float = 0.0
    """Fraction of each task's training labels that are flipped to another class of the task."""
    seed: int = 0
    """Random seed of images, class order, label noise, initial weights, batch order and sampled actions."""

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "model", self.backbone)

    @property
    def name(self) -> str:
        """Name of the run's folder: readable, and different for every different configuration."""
        noise = "matrix" if self.noise_matrix else f"{self.label_noise:g}"
        kind = (self.objective, *([] if self.method == "sequential" else [self.method]), self.peft)
        return folder_name((self.data_name, *kind, f"noise{noise}", f"seed{self.seed}"), type(self), self.as_json())

    @property
    def seeds(self) -> Seeds:
        """Independent seeds derived from the one seed; the same for every objective.

        `gym.make(..., seed=0)` shows other images in another order than a run with `seed=0`. Those of the run are:

            seeds = RunConfig(seed=0).seeds
            options = {"seed": seeds.images, "margin": 0}
            gym.make("cls_env/SplitGlyphs-v0", seed=seeds.stream, dataset_options=options)
        """
        return Seeds(*map(int, np.random.SeedSequence(self.seed).generate_state(len(fields(Seeds)))))

    def as_json(self) -> dict[str, Any]:
        """The fields as JSON represents them, and the precision that is computed in on this machine."""
        content: dict[str, Any] = json.loads(json.dumps(asdict(self)))
        return content | {"precision": precision_here(self.precision, self.device)}


@dataclass(frozen=True, kw_only=True)
class CompareConfig(Settings):
    """Objectives x label noise x seeds: the main job."""

    objectives: tuple[str, ...] = ("ce", "epg", "aepg")
    """Objectives to compare. The first is the baseline of the paired differences."""
    label_noise: tuple[float, ...] = (0.0, 0.2)
    """Fractions of flipped training labels; each is a condition of its own."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Random seeds; each objective runs with each of them."""


@dataclass(frozen=True, kw_only=True)
class BoundsConfig(Settings):
    """Compare a sequential learner with its bounds: a frozen random backbone, and joint training.

    Labels are clean. A_T weighs tasks equally, and joint training is one task. Where tasks differ much in size, the
    table therefore has the accuracy over images of all three.
    """

    objective: str = "aepg"
    """Objective of all three learners."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Random seeds; each contender runs with each of them."""


@dataclass(frozen=True)
class Seeds:
    """One seed for each source of randomness, so that contenders differ in one setting only."""

    images: int
    stream: int
    batch_order: int
    agent: int


def parse_options(options: Iterable[str], option: str = "--options") -> dict[str, Any]:
    """The arguments by name of an option such as `--options`.

    Args:
        options: Its words, each of the form `name=value`. Values that are not JSON stay text.
        option: Its name, for messages.

    Raises:
        ValueError: An option is not of the form name=value, or a name is given twice.
    """
    found: dict[str, Any] = {}
    for word in options:
        name, value = parse_option(word, option)
        if name in found:
            raise ValueError(f"{option} names {name} twice")
        found[name] = value
    return found


def parse_option(word: str, option: str = "--options") -> tuple[str, Any]:
    """The name and the value of a word `name=value` of an option. Values that are not JSON stay text.

    Raises:
        ValueError: There is no `=`.
    """
    name, equals, value = word.partition("=")
    if not equals:
        raise ValueError(f"{option} takes words of the form name=value, not {word!r}")
    return name, parse_value(value)


def _canonical_option(option: str) -> str:
    """An option with its value as JSON spells it; text that is not an option is left for `check`.

    >>> _canonical_option("test_fraction=0.250"), _canonical_option('resize="crop"'), _canonical_option("lists=[1,2]")
    ('test_fraction=0.25', 'resize=crop', 'lists=[1, 2]')
    """
    if "=" not in option:
        return option
    name, value = parse_option(option)
    as_word = f"{name}={value}" if isinstance(value, str) else ""
    if as_word and parse_option(as_word) == (name, value):
        return as_word
    return f"{name}={json.dumps(value, sort_keys=True)}"


def _absolute(place: str) -> str:
    """An absolute path; a URL, or a path in a home folder that does not exist, stays as it is."""
    if "://" in place:
        return place
    try:
        path = Path(place).expanduser()
    except RuntimeError:
        return place
    return str(path.resolve() if ".." in path.parts else path.absolute())


def shared_settings(config: Settings) -> dict[str, Any]:
    """The fields of `Settings`, to make a `RunConfig` of a comparison's configuration."""
    return {field.name: getattr(config, field.name) for field in fields(Settings)}
