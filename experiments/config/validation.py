"""Checks of a configuration before any long work."""

from __future__ import annotations

from dataclasses import dataclass
from inspect import Parameter, signature
from pathlib import Path

import torch

from agents.methods import NO_OBJECTIVE, Method, check_compilable, check_method
from agents.networks.native_view import NativeView, native_view
from agents.objectives import Objective, make_objective
from agents.peft_modules import check_peft_module
from cls_env import DATASETS
from cls_env.arguments import number, range_of_areas
from cls_env.specification import lookup
from experiments.config.imports import import_modules
from experiments.config.settings import PATHS, RunConfig, Settings, parse_option

RANGES = {
    "epochs": "[1, inf)",
    "batch_size": "[1, inf)",
    "micro_batch": "[1, inf)",
    "threads": "[1, inf)",
    "input_size": "[1, inf)",
    "seed": "[0, inf)",
    "label_noise": "[0, 1)",
    "momentum": "[0, 1)",
    "weight_decay": "[0, inf)",
    "learning_rate": "(0, inf)",
    "crop_fraction": "(0, 1]",
    "freeze_fraction": "[0, 1]",
    "adam_betas": "[0, 1)",
    "rate_milestones": "(0, 1)",
}
"""The interval of each setting, and of each number of those that hold several."""
_HOW_TO_GIVE = {"root": "--root PATH, the folder, zip or tar of your images", "image_size": "--image-size SIDE"}
_ANY = (Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD)


@dataclass(frozen=True, eq=False)
class CheckedRun:
    """A configuration whose names are known and whose values are in range, with the parts that it names.

    Attributes:
        config: The configuration.
        method: The continual-learning method, not attached to a policy. Copy it before use.
        objective: The objective; None for a method that learns without gradients.
        view: What the model is shown at test: side in pixels, crop fraction and interpolation.
        augments: Whether training uses random crops and flips.
    """

    config: RunConfig
    method: Method
    objective: Objective | None
    view: NativeView
    augments: bool

    @property
    def extra_passes(self) -> tuple[str, ...]:
        """The passes that the run makes for measures: `test_before_tasks`, `label_fit`."""
        return tuple(name for name in ("test_before_tasks", "label_fit") if getattr(self.config, name))

    @property
    def method_name(self) -> str:
        """Name of the method without its arguments."""
        return self.config.method.partition(":")[0]

    @property
    def peft_name(self) -> str:
        """Name of the PEFT module without its arguments."""
        return self.config.peft.partition(":")[0]


def check(config: RunConfig) -> CheckedRun:
    """Check a configuration, without loading images or weights, and make the parts that it names.

    Raises:
        ValueError: A name is unknown or a value is impossible. The message names the setting and, for an unknown
            name, the nearest known one.
    """
    import_modules(config.imports)
    DATASETS.lookup(config.dataset)
    _check_loader(config)
    objective = None if config.objective == NO_OBJECTIVE else make_objective(config.objective)
    check_peft_module(config.peft)
    _check_paths(config)
    method = check_method(config.method, config.peft, config.objective)
    if config.compile:
        check_compilable(config.method, method)
    view = configured_view(config)
    _check_ranges(config)
    _check_online(config, method)
    if config.noise_matrix is not None and config.label_noise:
        raise ValueError("--noise-matrix says which labels are wrong: drop --label-noise")
    if config.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: torch sees no GPU here; use --device auto or cpu")
    if config.device == "mps" and not torch.backends.mps.is_available():
        raise ValueError("--device mps: torch sees no Apple GPU here; use --device auto or cpu")
    if config.precision == "tf32" and (config.device in ("cpu", "mps") or not torch.cuda.is_available()):
        raise ValueError("--precision tf32 is for NVIDIA GPUs: use --precision auto or float32")
    return CheckedRun(config, method, objective, view, augments(config))


def configured_view(config: Settings) -> NativeView:
    """The model's view at test: as configured, else as its weights were tested.

    Images of characters are not cropped unless the configuration says so.

    Raises:
        ValueError: timm does not know the model.
    """
    native = native_view(config.backbone)
    native_crop = native.crop_fraction if DATASETS[config.dataset].augment else 1.0
    return NativeView(
        size=native.size if config.input_size is None else config.input_size,
        crop_fraction=native_crop if config.crop_fraction is None else config.crop_fraction,
        interpolation=config.interpolation or native.interpolation,
    )


def augments(config: Settings) -> bool:
    """Whether training uses random crops and flips: as configured, else as the dataset's card says."""
    return DATASETS[config.dataset].augment if config.augment == "auto" else config.augment == "yes"


def _check_loader(config: RunConfig) -> None:
    """Check the names of the loader's arguments, and that those without a default are given."""
    loader = DATASETS[config.dataset].load_function()
    parameters = [each for each in signature(loader).parameters.values() if each.kind not in _ANY]
    given = {name for name, _ in map(parse_option, config.options)}
    if len(parameters) == len(signature(loader).parameters):
        for name in sorted(given):
            lookup(f"name in --options of --dataset {config.dataset}:", name, {each.name: each for each in parameters})
    given |= {name for name in ("root", "image_size") if getattr(config, name) is not None}
    needed = [each.name for each in parameters if each.default is each.empty and each.name not in given]
    if needed:
        how = [_HOW_TO_GIVE.get(name, f"--options {name}=...") for name in needed]
        raise ValueError(f"--dataset {config.dataset} needs {' and '.join(how)}")


def _check_paths(config: RunConfig) -> None:
    for name in PATHS:
        if str(path := getattr(config, name)).startswith("~"):
            raise ValueError(f"--{name.replace('_', '-')} {path}: there is no such home folder; give a whole path")
    if config.weights is not None and not config.pretrained:
        raise ValueError("--weights is a file to load, --no-pretrained asks for random weights: give one of them")
    if config.weights is not None and not Path(config.weights).is_file():
        raise ValueError(f"--weights {config.weights}: there is no such file")


def _check_online(config: RunConfig, method: Method) -> None:
    if config.scenario != "online":
        return
    if config.epochs != 1:
        raise ValueError(f"--scenario online shows each image once: give --epochs 1, not {config.epochs}")
    if method.learns_by_gradient and method.needs_task_data:
        raise ValueError(f"--scenario online shows each image once, but {config.method} looks at a task's images again")
    if list(method.training_tasks(1)) != [1]:
        raise ValueError(f"--scenario online shows each image once, but {config.method} learns from old ones again")


def _check_ranges(config: RunConfig) -> None:
    for name, interval in RANGES.items():
        value = getattr(config, name)
        if isinstance(value, tuple):
            for entry in value:
                number(f"each of {name}", entry, interval)
        elif value is not None:
            number(name, value, interval)
    range_of_areas("crop_scale", config.crop_scale)
