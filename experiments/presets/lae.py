"""LAE's own settings: Gao et al., "A Unified Continual Learning Framework with General PEFT", ICCV 2023."""

from __future__ import annotations

from experiments.comparison import CompareConfig
from experiments.presets.preset import Preset

REMARK = (
    "LAE without its averaged copy, in the first of its three class orders, the "
    "natural; its batches drop the last images of an epoch, ours go on into the next"
)


def lae(dataset: str, epochs: int, learning_rate: float) -> CompareConfig:
    """LAE's protocol: the original in21k weights, pixels in [0, 1], LoRA of rank 5, batches of 24."""
    return CompareConfig(
        dataset=dataset,
        num_tasks=10,
        class_order="natural",
        model="vit_base_patch16_224.orig_in21k",
        normalisation="none",
        peft="lora:r=5,scale=true",
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


LAE = (
    Preset(
        name="lae-cifar100",
        title="LAE's setting on Split-CIFAR-100, 10 tasks: 5 epochs, the first 3 head only",
        config=lae("cifar100", 5, 0.0028125),
        remark=REMARK,
    ),
    Preset(
        name="lae-imagenet-r",
        title="LAE's setting on Split-ImageNet-R, 10 tasks: 50 epochs, the first 30 head only",
        config=lae("imagenet-r", 50, 0.00046875),
        remark=REMARK,
    ),
)
