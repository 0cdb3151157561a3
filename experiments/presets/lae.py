"""LAE's own settings: Gao et al., "A Unified Continual Learning Framework with General PEFT", ICCV 2023."""

from __future__ import annotations

from experiments.comparison import CompareConfig
from experiments.presets.preset import Preset

REMARK = (
    "in the first of LAE's three class orders, the natural; "
    "its batches drop the last images of an epoch, ours go on into the next"
)


MODULES = {
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
        normalisation="none",
        peft=peft,
        method="lae",
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


def _presets(module: str, peft: str) -> tuple[Preset, Preset]:
    ending = "" if module == "lora" else f"-{module}"
    return (
        Preset(
            name=f"lae-cifar100{ending}",
            title=f"LAE's setting on Split-CIFAR-100, 10 tasks, {module}: 5 epochs, the first 3 head only",
            config=lae("cifar100", 5, 0.0028125, peft),
            remark=REMARK,
        ),
        Preset(
            name=f"lae-imagenet-r{ending}",
            title=f"LAE's setting on Split-ImageNet-R, 10 tasks, {module}: 50 epochs, the first 30 head only",
            config=lae("imagenet-r", 50, 0.00046875, peft),
            remark=REMARK,
        ),
    )


LAE = tuple(preset for module, peft in MODULES.items() for preset in _presets(module, peft))
