"""The fine-tuning protocol of "Policy Gradient with Adaptive Entropy Annealing for Continual Fine-Tuning"."""

from __future__ import annotations

from typing import Any

from experiments.config.settings import CompareConfig

SOURCE = "arXiv 2602.14078"
BACKBONE = "vit_base_patch16_224.augreg_in21k_ft_in1k"
FIVE_SEEDS = (0, 1, 2, 3, 4)

STATED = (
    "model",
    "peft",
    "blocks",
    "epochs",
    "freeze_fraction",
    "optimizer",
    "learning_rate",
    "adam_betas",
    "weight_decay",
    "batch_size",
    "crop_scale",
    "seeds",
)
VIEWS = (
    "pixels are normalized as the checkpoint expects, by 0.5 / 0.5; LAE feeds them in [0, 1] (--normalization none)",
    "test images are resized to 256 px and cropped to 224 as by LAE, where timm's fraction is 0.9; bicubic as by timm, "
    "where LAE is bilinear",
)
ORDERS = "class orders are drawn from the seeds"
FIRST_TASK = (
    "the first task trains the module in all epochs, as LAE does: the paper does not say whether its first task begins "
    "with the head alone too"
)
ANNEALING = "alpha is annealed over all steps of a task, those of the head alone among them"
OPEN_BY_MODULE = {
    "lora": "LoRA is on keys and values as in LAE, not on q and v or all of qkv, and without LAE's learnable scale "
    "(scale=true)",
    "adapter": "the Adapter is parallel to the attention as in LAE, without LAE's learnable scale (scale=true)",
    "prefix": "the Prefix is without LAE's learnable scale and compensated weights (scale=true,compensatory=true)",
}
SPLITS = {
    "imagenet-r": "the split is that of L2P's and LAE's train_list.txt and val_list.txt; others of 24,000 and 6,000 "
    "images are in use",
    "food101": "the split is Food-101's own, of which the paper's counts, 750 and 250 a class, are",
    "cub200": "the split is CUB-200's own, 5,994 and 5,794 images; the paper counts them together",
    "clrs25": "the split is a seeded fifth of each class for testing",
}
CROP_SOURCE = "random crops are cut from the central square, stored at 256 px; the paper cuts them from the whole image"


def fine_tuning(dataset: str, num_tasks: int, **changes: Any) -> CompareConfig:
    """The paper's protocol: modules in blocks 0-4, 50 epochs a task, in later tasks the first 30 head only."""
    protocol: dict[str, Any] = {
        "dataset": dataset,
        "num_tasks": num_tasks,
        "model": BACKBONE,
        "crop_fraction": 0.875,
        "peft": "lora:r=4",
        "blocks": (0, 1, 2, 3, 4),
        "epochs": 50,
        "freeze_fraction": 0.6,
        "batch_size": 256,
        "optimizer": "adam",
        "learning_rate": 5e-4,
        "augment": "yes",
        "crop_scale": (0.05, 1.0),
        "label_noise": (0.0,),
        "seeds": FIVE_SEEDS,
    }
    return CompareConfig(**(protocol | changes))


def open_choices(config: CompareConfig, module: str = "lora") -> tuple[str, ...]:
    """What the paper leaves open of a run in its own protocol."""
    annealing = [ANNEALING] if any(objective.startswith("aepg") for objective in config.objectives) else []
    frozen = [FIRST_TASK] if config.freeze_fraction else []
    return (OPEN_BY_MODULE[module], *VIEWS, SPLITS[config.dataset], ORDERS, *frozen, *annealing)
