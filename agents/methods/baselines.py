"""Baselines, and the bounds between which methods lie."""

from __future__ import annotations

from collections.abc import Sequence

from agents.methods.base import Method
from agents.methods.common.fixed_backbone import FixedBackbone
from agents.methods.peft_requirement import PeftRequirement


class Sequential(Method):
    """Learn one task after the other, in one head and one PEFT module; the paper's rows LoRA, Adapter and Prefix.

    Earlier tasks are protected by the learner alone: the loss is local to the task's classes, and the PEFT module stays
    frozen for the first part of every later task (`freeze_fraction`).
    """


class Joint(Method):
    """Upper bound: learn every task from the images of all tasks so far, the loss over all their classes.

    Training continues from the weights of the task before. With a stream of one task it is joint training on
    everything. The environment must be set to the tasks that `training_tasks` returns; `experiments` does so.
    """

    def training_tasks(self, task: int) -> Sequence[int]:
        """All tasks so far."""
        return list(range(task + 1))


class LinearProbe(FixedBackbone):
    """Learn the head alone, by any objective, on the features of the pretrained backbone."""

    default_peft = "none"
    accepts_peft = PeftRequirement(("none",), reason="linear-probe leaves the backbone as it is")


class Frozen(FixedBackbone):
    """Lower bound: pretrained features and a head with its initial values, which predicts at random."""

    learns_by_gradient = False
    default_peft = "none"
    accepts_peft = PeftRequirement(("none",), reason="frozen learns nothing")
