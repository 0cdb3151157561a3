"""Studies of objectives and methods: `cls-env study` lists them, `study NAME` carries one out."""

from __future__ import annotations

from typing import Any

from cls_env.registry import Registry
from experiments.studies.annealing import ANNEALING
from experiments.studies.backbones import BACKBONES
from experiments.studies.beyond_aepg import BEYOND_AEPG
from experiments.studies.blocks_and_rank import BLOCKS_AND_RANK
from experiments.studies.crops import CROPS
from experiments.studies.entropy import ENTROPY
from experiments.studies.from_scratch import FROM_SCRATCH
from experiments.studies.full_length import FULL_LENGTH
from experiments.studies.label_noise import LABEL_NOISE
from experiments.studies.learning_rate import LEARNING_RATE
from experiments.studies.length import LENGTH
from experiments.studies.methods import METHODS_STUDY, METHODS_UNDER_NOISE
from experiments.studies.objectives_by_module import OBJECTIVES_BY_MODULE
from experiments.studies.strength import STRENGTH
from experiments.studies.study import Study, StudyConfig

__all__ = ["STUDIES", "Study", "StudyConfig"]

STUDIES: Registry[Study[Any]] = Registry(
    "study",
    {
        study.name: study
        for study in (
            OBJECTIVES_BY_MODULE,
            ENTROPY,
            ANNEALING,
            STRENGTH,
            LABEL_NOISE,
            FROM_SCRATCH,
            BLOCKS_AND_RANK,
            LEARNING_RATE,
            CROPS,
            BACKBONES,
            LENGTH,
            BEYOND_AEPG,
            METHODS_STUDY,
            METHODS_UNDER_NOISE,
            FULL_LENGTH,
        )
    },
)
