"""Ablations of arXiv 2602.14078 on Split-ImageNet-R with 10 tasks, published as figures or in words."""

from __future__ import annotations

from typing import Any

from experiments.presets.paper import CROP_SOURCE, SOURCE, STATED, fine_tuning, open_choices
from experiments.presets.preset import Preset


def _ablation(name: str, title: str, finding: str, objectives: tuple[str, ...], **changes: Any) -> Preset:
    config = fine_tuning("imagenet-r", 10, objectives=objectives, **changes)
    return Preset(
        name=name,
        title=f"{title}, Split-ImageNet-R, 10 tasks",
        config=config,
        source=SOURCE,
        stated=(*STATED, "objectives", *changes),
        open=open_choices(config),
        departs=(CROP_SOURCE,),
        finding=finding,
    )


ABLATIONS = (
    _ablation(
        "ablation-alpha",
        "Ablation: fixed alpha (1 is CE, 0 is EPG)",
        "as a figure: all fixed values are below the annealed ones",
        ("ce", "alpha-0.7", "alpha-0.5", "alpha-0.2", "alpha-0.1", "epg"),
    ),
    _ablation(
        "ablation-schedules",
        "Ablation: sigmoid, linear and cosine annealing",
        "as a figure: comparable results",
        ("aepg", "aepg-linear", "aepg-cosine"),
    ),
    _ablation(
        "ablation-strength",
        "Ablation: the strength of each regulariser",
        "as a figure",
        (
            "ce",
            *(f"focal:gamma={gamma}" for gamma in (0.5, 1, 2)),
            *(f"ls:gamma={gamma}" for gamma in (0.01, 0.05, 0.1)),
            *(f"cp:beta={beta}" for beta in (0.1, 0.2)),
            "ep:beta=1",
        ),
    ),
    _ablation(
        "label-noise",
        "20 % symmetric label noise",
        "in words: aEPG gains most here",
        ("ce", "epg", "aepg"),
        label_noise=(0.2,),
    ),
)
