"""Settings of runs. The command line is made from these dataclasses, and each run saves its own as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import tyro

from cls_env.datasets.files.trees import plain_name
from cls_env.specification import parse_value
from experiments.config.fields import settle
from experiments.config.identity import folder_name, precision_here

PATHS = ("root", "weights", "noise_matrix")
"""Settings that are paths; they are made absolute, so that one file has one name."""


@dataclass(frozen=True, kw_only=True)
class StreamSettings:
    """The stream: its images, tasks and labels."""

    dataset: str = "glyphs"
    """Dataset: glyphs (embedded), folder (your own tree, zip or tar), or another of `cls-env datasets`."""
    root: str | None = None
    """Where the images are: the folder or archive, for --dataset folder; the folder of a published set."""
    image_size: int | None = None
    """Side in pixels at which images are stored; by default what the test view is cropped from: 248 for
    the 224 of augreg ViTs."""
    options: tuple[str, ...] = ()
    """Further arguments of the dataset's loader, all after one --options: test_fraction=0.2 on_error=skip."""
    scenario: str = "class-incremental"
    """class-incremental, task-incremental, domain-incremental, or online (one pass)."""
    num_tasks: int | tuple[int, ...] | None = None
    """Tasks of the stream, or the number of classes of each; 1 is joint training. By default as is customary."""
    init_classes: int | None = None
    """Classes of the first task, with --increment in place of --num-tasks."""
    increment: int | None = None
    """Classes of every later task."""
    class_order: Literal["natural"] | tuple[int, ...] | None = None
    """Class order: natural, or the classes one by one; by default drawn from the seed."""
    domains: tuple[str, ...] = ()
    """Domains of a domain-incremental stream, in order: of the dataset, or shifts such as identity rotate-90."""
    validation_fraction: float = 0.0
    """Share of each class's training images held out, and tested at the end; its labels are as noisy."""
    max_per_class: int | None = None
    """The most training images of each class in a task."""
    imbalance_factor: float = 1.0
    """How many times larger the largest class is than the smallest; above 1, a long tail."""
    noise_type: str = "symmetric"
    """What a flipped label becomes: symmetric, or pair-flip."""
    noise_matrix: str | None = None
    """CSV file of a K x K transition matrix of labels, in place of --label-noise."""

    @property
    def data_name(self) -> str:
        """Short name of the images: of the folder or archive, or of the set."""
        return plain_name(Path(self.root)) if self.dataset == "folder" and self.root is not None else self.dataset


@dataclass(frozen=True, kw_only=True)
class PolicySettings:
    """The policy: its network and its continual-learning method."""

    model: str = "vit_micro_patch8_32"
    """Backbone: the embedded micro ViT, or a timm name such as vit_base_patch16_224.augreg_in21k_ft_in1k."""
    pretrained: bool = True
    """Load the backbone's weights; otherwise they are random."""
    weights: str | None = None
    """A local file of weights for the model: .npz, .safetensors, .pth; nothing is fetched then."""
    normalization: Annotated[str, tyro.conf.arg(aliases=["--normalisation"])] = "checkpoint"
    """Of the pixels: checkpoint (as the model's weights expect), imagenet, half, clip, or none."""
    input_size: int | None = None
    """Side in pixels of the model's input; by default the size its weights were made for."""
    crop_fraction: float | None = None
    """Side of the central crop at test over the side of the resized image: by default as timm has it for the model's
    weights, 0.9 for augreg ViTs; characters are not cropped."""
    interpolation: Literal["bicubic", "bilinear"] | None = None
    """How images are resized when they are stored and when they are tested on; by default as timm has it for the
    model's weights."""
    peft: str = "lora"
    """PEFT module in the backbone: lora, adapter, prefix ... or lora:r=8,scale=true; full trains all of it, or none."""
    blocks: tuple[int, ...] = (0, 1, 2, 3, 4)
    """Transformer blocks that get a module, or a method's prompts."""
    method: str = "sequential"
    """Continual-learning method: sequential, lae, inflora, replay:size=500 ... of `experiments methods`."""


@dataclass(frozen=True, kw_only=True)
class LearningSettings:
    """Training."""

    epochs: int = 20
    """Passes over each task's training images."""
    batch_size: int = 32
    """Images a gradient step."""
    optimizer: Literal["adam", "sgd"] = "adam"
    """adam, or sgd with --momentum."""
    learning_rate: float = 5e-4
    """The optimizer's rate."""
    rate_milestones: tuple[float, ...] = ()
    """Shares of a task at which the rate is divided by ten."""
    momentum: float = 0.9
    """Momentum of sgd, in [0, 1)."""
    adam_betas: tuple[float, float] = (0.9, 0.999)
    """Decay rates of adam's first and second moments, in [0, 1)."""
    weight_decay: float = 0.0
    """Weight decay of the optimizer. Parameters without gradient in a task, such as the head's rows of old classes, are
    not decayed."""
    freeze_fraction: float = 0.6
    """Share of each later task's steps during which only the head is trained."""
    anneal: Literal["task", "unfrozen"] = "task"
    """Steps over which alpha falls: task, all steps of a task; unfrozen, those in which the PEFT module is trained."""
    early_stopping: bool = False
    """After each task, restore the pass with the best accuracy on held-out images; needs --validation-fraction."""
    augment: Literal["auto", "yes", "no"] = "auto"
    """Train on random crops and flips; auto does so for photographs, and not for characters."""
    crop_scale: tuple[float, float] = (0.05, 1.0)
    """Smallest and largest share of the image's area in a random crop."""
    cache_features: bool = True
    """Without augmentation: compute each image's features once in the head-only phase, and on a CPU its patch
    embeddings once in a task. Exact."""
    precision: Literal["auto", "float32", "tf32", "bfloat16"] = "auto"
    """Arithmetic of the backbone in training and tests; auto is bfloat16 on a GPU that computes in it, and float32
    elsewhere; bfloat16 is autocast; tf32 is for GPUs."""
    compile: bool = False
    """Compile the backbone's blocks: faster steps, after a minute or so of compiling; the result is kept on disk."""
    micro_batch: int | None = None
    """The most images whose activations are in memory at once, for a GPU with little memory; by default the batch. The
    result is the same up to rounding; a step takes one more forward pass. Images that a method replays pass
    all at once."""
    device_images: Literal["auto", "yes", "no"] = "auto"
    """Keep the images of the current tasks on the device; auto does so on a GPU, if half of its free memory holds
    them."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """Where the policy runs; auto takes a GPU where there is one."""
    threads: int = 1
    """CPU threads of a run; fixed, because sums in another order round differently."""


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """Tests beyond those of all tasks so far after each task."""

    test_before_tasks: bool = False
    """Test each task right before it is learned too, for forward_transfer; --measures forward_transfer does so by
    itself."""
    label_fit: bool = False
    """Classify the training images of each task after it too, for train_accuracy_clean, train_accuracy_flipped and
    train_recovered; --measures with one of them does so by itself."""


@dataclass(frozen=True, kw_only=True)
class Settings(EvaluationSettings, LearningSettings, PolicySettings, StreamSettings):
    """Settings that all runs of a comparison share."""

    imports: tuple[str, ...] = ()
    """Python modules of your own to import first, which register objectives, methods, datasets and other parts."""

    def __post_init__(self) -> None:
        settle(self)
        for name in PATHS:
            if (place := getattr(self, name)) is not None:
                object.__setattr__(self, name, _absolute(place))
        object.__setattr__(self, "options", tuple(sorted(map(_canonical_option, self.options))))


@dataclass(frozen=True, kw_only=True)
class RunConfig(Settings):
    """One run: one objective, one seed."""

    objective: str = "aepg"
    """ce, epg, aepg, focal:gamma=2, or another of agents.objectives.OBJECTIVES; none for methods without gradient."""
    label_noise: float = 0.0
    """Share of each task's training labels flipped to another class of the task."""
    seed: int = 0
    """Fixes images, class order, label noise, initialisation, batch order and sampled actions, by a stream each."""

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
            gym.make("cls_env/SplitGlyphs-v0", seed=seeds.stream, dataset_options={"seed": seeds.images})
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
    """Contenders; the first is the baseline of the paired differences."""
    label_noise: tuple[float, ...] = (0.0, 0.2)
    """Shares of flipped training labels."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Every contender runs on each of them."""


@dataclass(frozen=True, kw_only=True)
class BoundsConfig(Settings):
    """Compare a sequential learner with its bounds: a frozen random backbone, and joint training.

    Labels are clean. A_T weighs tasks equally, and joint training is one task. Where tasks differ much in size, the
    table therefore has the accuracy over images of all three.
    """

    objective: str = "aepg"
    """The objective of all three."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Every contender runs on each of them."""


@dataclass(frozen=True)
class Seeds:
    """One seed for each source of randomness, so that contenders differ in one setting only."""

    images: int
    stream: int
    batch_order: int
    agent: int


def parse_option(option: str) -> tuple[str, Any]:
    """The name and the value of `name=value` on the command line. Values that are not JSON stay text.

    Raises:
        ValueError: There is no `=`.
    """
    name, equals, value = option.partition("=")
    if not equals:
        raise ValueError(f"--options are of the form name=value, not {option!r}")
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
