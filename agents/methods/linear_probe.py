"""Linear probe: the head learns on features that stay as they were pretrained."""

from __future__ import annotations

from agents.methods.base import Method


class LinearProbe(Method):
    """Learn the head alone, by any objective."""

    requires_no_peft = "linear-probe leaves the backbone as it is"
