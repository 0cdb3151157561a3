"""`cls-env export`: a trained agent as a folder that loads without this package."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import tyro


def export_command(model: tyro.conf.Positional[Path], to: Literal["timm", "onnx", "peft"], out: Path) -> None:
    """Write a trained classifier, head included, into a folder that loads without this package.

    Args:
        model: The file that the agent's `save` wrote.
        to: timm, a model with the PEFT module merged into its weights; peft, an adapter and its backbone; or onnx, a
            graph for onnxruntime, which every method has.
        out: A new folder. Its README.md has the lines that load it.
    """
    from agents.algorithms.load_agent import load_agent
    from agents.export import export_agent
    from agents.export.folder import check_free
    from experiments.console import say

    check_free(out)
    agent = load_agent(model, device="cpu")
    folder = export_agent(agent, to, out)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    say(f"{folder}: {len(agent.policy.seen_classes)} classes for {to}, {size / 1e6:.1f} MB")
    say(f"the lines that load it are in {folder / 'README.md'}")
