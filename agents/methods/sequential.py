"""Sequential fine-tuning: the paper's rows LoRA, Adapter and Prefix."""

from __future__ import annotations

from agents.methods.base import Method


class Sequential(Method):
    """Learn one task after the other, in one head and one PEFT module, and nothing else.

    What protects earlier tasks is in the learner: the loss is local to the task's classes, and the PEFT module stays
    frozen for a part of every later task (`freeze_fraction`).
    """
