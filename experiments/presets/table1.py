"""Table 1 of arXiv 2602.14078: methods on Split-ImageNet-R, each in its own setting."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from experiments.presets.paper import (
    CROP_SOURCE,
    ORDERS,
    SOURCE,
    SPLITS,
    STATED,
    VIEWS,
    fine_tuning,
    open_choices,
)
from experiments.presets.preset import Preset

TABLE_1_TASKS = (5, 10, 20)

THEIR_SETTING = (
    "the paper does not say in which setting it ran this method: it is the setting of the method's authors, with the "
    "paper's backbone, crops and seeds"
)
OTHERS_OF_INFLORA = "theirs are the same ViT before its fine-tuning, crops of 8 % and more, and classes in order"


@dataclass(frozen=True)
class PublishedMethod:
    """A row of Table 1.

    Attributes:
        title: The method.
        reported: The published A_T / average A for each number of tasks, by objective.
        changes: Settings that differ from the paper's own protocol.
        source: Source of the settings.
        stated: Settings that the source states.
        open: Choices that the sources leave open; None for those of the paper's protocol.
        departs: Known differences to the published run.
    """

    title: str
    reported: Mapping[str, tuple[str, str, str]]
    changes: Mapping[str, Any] = field(default_factory=dict)
    source: str = SOURCE
    stated: tuple[str, ...] = STATED
    open: tuple[str, ...] | None = None
    departs: tuple[str, ...] = ()


AUTHORS_STATE = ("method", "epochs", "freeze_fraction", "optimizer", "learning_rate", "weight_decay", "batch_size")

INFLORA = PublishedMethod(
    "InfLoRA",
    {"ce": ("76.8 / 80.8", "74.2 / 79.5", "68.6 / 74.8")},
    {
        "method": "inflora:threshold=0.98,energy=moments",
        "peft": "lora:r=10",
        "blocks": tuple(range(12)),
        "batch_size": 128,
        "freeze_fraction": 0.0,
    },
    source=f"the code and the ImageNet-R settings of InfLoRA's authors (liangyanshuo/InfLoRA); figures of {SOURCE}",
    stated=(*AUTHORS_STATE, "peft", "blocks"),
    open=(
        f"{THEIR_SETTING}; {OTHERS_OF_INFLORA}",
        "the memory keeps the energy of second moments, as their code does; their text speaks of that of the "
        "activations (energy=activations)",
        *VIEWS,
        SPLITS["imagenet-r"],
        ORDERS,
    ),
    departs=(
        "the learning rate is constant, where theirs falls by a cosine",
        "second moments are those of the stored images, where theirs are of augmented ones",
        "after the first task the memory takes one direction more than theirs",
    ),
)
"""The authors' published figures come from their code, in which the energy is that of the second moments."""

DUALPROMPT = PublishedMethod(
    "DualPrompt",
    {"ce": ("72.9 / 76.0", "71.2 / 75.4", "71.2 / 74.8")},
    {
        "method": "dualprompt:general=5,expert=20,pull=1,projected=false,transfer=true,positive=true",
        "peft": "none",
        "epochs": 50,
        "learning_rate": 0.005 * 24 / 256,
        "batch_size": 24,
        "freeze_fraction": 0.0,
    },
    source=f"configs/imr_dualprompt.py of google-research/l2p, and of its port to PyTorch; figures of {SOURCE}",
    stated=(*AUTHORS_STATE, "blocks"),
    open=(
        f"{THEIR_SETTING}; theirs are the original in21k weights",
        "the rate is theirs, 0.005 times batch / 256, on one device of 24 images",
        *VIEWS,
        SPLITS["imagenet-r"],
        ORDERS,
    ),
    departs=("gradients are not clipped, where theirs are to a norm of 1",),
)
"""What the arguments rely on.

Their G-prompt has length 5 in blocks 0 and 1, their E-prompts length 20 in blocks 2 to 4, both prefixes
(`use_prefix_tune_for_g_prompt`, `use_prefix_tune_for_e_prompt`), which their code takes as keys and values themselves:
`projected=false`. `shared_prompt_pool=True` with `shared_prompt_key=False` begins an E-prompt, but not its key, as that
of the task before: `transfer=true`. `pull_constraint_coeff` is 1.0, and each image chooses by itself
(`batchwise_prompt=False`).
"""

TABLE_1 = {
    "": PublishedMethod(
        "LoRA",
        {
            "ce": ("74.8 / 79.8", "74.3 / 79.2", "73.2 / 78.7"),
            "aepg": ("77.2 / 81.9", "75.8 / 80.9", "74.1 / 79.7"),
        },
    ),
    "lae": PublishedMethod(
        "LAE (LoRA, EMA 0.999)",
        {
            "ce": ("76.1 / 80.6", "75.4 / 79.9", "73.9 / 79.2"),
            "aepg": ("78.3 / 82.3", "76.7 / 81.4", "75.0 / 80.0"),
        },
        {"method": "lae:decay=0.999,reference_batch=256"},
        stated=("method", *STATED),
    ),
    "inflora": INFLORA,
    "dualprompt": DUALPROMPT,
}


def _table1(name: str, row: PublishedMethod, place: int) -> Preset:
    num_tasks = TABLE_1_TASKS[place]
    config = fine_tuning("imagenet-r", num_tasks, objectives=tuple(row.reported), **row.changes)
    return Preset(
        name=f"table1-{num_tasks}tasks" + (f"-{name}" if name else ""),
        title=f"Table 1: Split-ImageNet-R, {num_tasks} tasks, {row.title}",
        config=config,
        source=row.source,
        stated=row.stated,
        open=open_choices(config) if row.open is None else row.open,
        departs=(*row.departs, CROP_SOURCE),
        reported={objective: figures[place] for objective, figures in row.reported.items()},
    )


PRESETS_1 = tuple(_table1(name, row, place) for place in range(len(TABLE_1_TASKS)) for name, row in TABLE_1.items())
