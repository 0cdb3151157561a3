"""The lower bound: nothing learns."""

from __future__ import annotations

from agents.methods.base import Method


class Frozen(Method):
    """Pretrained features and a head of initial values, which answers at random: what is gained without learning."""

    learns_by_gradient = False
    requires_no_peft = "frozen learns nothing"
