"""`cls-env export`: a trained agent as a folder that loads without this package."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import tyro


def export_command(
    model: tyro.conf.Positional[Path], to: Literal["timm", "onnx", "peft"], out: Path, weights: Path | None = None
) -> None:
    """Write a trained classifier, head included, into a folder that loads without this package.

    Args:
        model: File of the model: model.zip of a run, or a file of agent.save.
        to: timm (PEFT module merged into the weights), peft (adapter and backbone), or onnx (any method).
        out: New folder. Its README.md has the lines that load it.
        weights: Weights file of the backbone, if the file that the model was trained with has moved.
    """
    from agents.export import export_agent
    from agents.export.folder import check_free
    from experiments.console import say
    from experiments.saved_models.open_model import open_model

    check_free(out)
    agent = open_model(model, "cpu", weights)
    folder = export_agent(agent, to, out)
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    say(f"{folder}: {len(agent.policy.seen_classes)} classes for {to}, {size / 1e6:.1f} MB")
    say(f"the lines that load it are in {folder / 'README.md'}")
