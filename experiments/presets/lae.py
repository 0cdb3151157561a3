"""LAE's own settings: Gao et al., "A Unified Continual Learning Framework with General PEFT", ICCV 2023."""

from __future__ import annotations

from experiments.config.settings import CompareConfig
from experiments.presets.preset import Preset
from experiments.reports.display_names import display_name

SOURCE = "gqk/LAE, config/base and the transforms of its code"
STATED = (
    "model",
    "peft",
    "method",
    "blocks",
    "class_order",
    "epochs",
    "freeze_fraction",
    "optimizer",
    "learning_rate",
    "weight_decay",
    "batch_size",
    "crop_scale",
    "crop_fraction",
    "interpolation",
    "normalization",
)
OPEN = ("their weights file ViT-B_16.npz is taken to be timm's orig_in21k",)
DEPARTS = (
    "one of LAE's three class orders, the natural, is run; the others are given by --class-order",
    "their batches drop the last images of an epoch, ours go on into the next",
    "their accuracy is over images, A_T here is the mean over tasks",
)
LAE_CROP_SOURCE = "random crops are cut from the central square, stored at 256 px; theirs from the whole image"

LAE_MODULES = {
    "lora": "lora:r=5,scale=true",
    "adapter": "adapter:bottleneck=5,scale=true",
    "prefix": "prefix:length=10,scale=true,compensatory=true",
}


def lae(dataset: str, epochs: int, learning_rate: float, peft: str) -> CompareConfig:
    """LAE's protocol: the original in21k weights, pixels in [0, 1], modules in blocks 0-4, batches of 24."""
    return CompareConfig(
        dataset=dataset,
        num_tasks=10,
        class_order="natural",
        model="vit_base_patch16_224.orig_in21k",
        normalization="none",
        crop_fraction=0.875,
        interpolation="bilinear",
        peft=peft,
        method="lae:decay=0.9999,reference_batch=24",
        blocks=(0, 1, 2, 3, 4),
        epochs=epochs,
        freeze_fraction=0.6,
        batch_size=24,
        optimizer="adam",
        learning_rate=learning_rate,
        augment="yes",
        crop_scale=(0.08, 1.0),
        objectives=("ce", "aepg"),
        label_noise=(0.0,),
        seeds=(1,),
    )


def _preset(name: str, title: str, config: CompareConfig, departs: tuple[str, ...] = DEPARTS) -> Preset:
    return Preset(
        name=name,
        title=title,
        config=config,
        source=SOURCE,
        stated=STATED,
        open=OPEN,
        departs=departs,
    )


def _presets(module: str, peft: str) -> tuple[Preset, Preset]:
    ending = "" if module == "lora" else f"-{module}"
    return (
        _preset(
            f"lae-cifar100{ending}",
            f"LAE's setting on Split-CIFAR-100, 10 tasks, {display_name(module)}: 5 epochs, the first 3 head only",
            lae("cifar100", 5, 0.0028125, peft),
        ),
        _preset(
            f"lae-imagenet-r{ending}",
            f"LAE's setting on Split-ImageNet-R, 10 tasks, {display_name(module)}: 50 epochs, the first 30 head only",
            lae("imagenet-r", 50, 0.00046875, peft),
            (*DEPARTS, LAE_CROP_SOURCE),
        ),
    )


LAE = tuple(preset for module, peft in LAE_MODULES.items() for preset in _presets(module, peft))
