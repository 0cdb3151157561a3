"""Export of a trained agent into a new folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from agents.algorithms.one_step import OneStepAlgorithm
from agents.checkpoint.folder_aside import folder_aside
from agents.export.classifier import Classifier
from agents.export.onnx_graph import write_onnx
from agents.export.peft_adapter import write_peft
from agents.export.readme import readme
from agents.export.timm_model import write_timm
from cls_env.specification import lookup

FORMATS: dict[str, Callable[[Classifier, Path], None]] = {"timm": write_timm, "peft": write_peft, "onnx": write_onnx}
"""Functions that write a classifier into an empty folder, and check that it gives the same scores."""


def export_agent(agent: OneStepAlgorithm, to: str, out: str | Path) -> Path:
    """Write a trained classifier, head included, into a folder that loads without this package.

    The folder has a README.md with the lines that load it and classify an image. Its outputs are the classes that the
    agent has seen, in the order of their actions; `labels.json` has their names. Before it is written, its scores are
    compared with the agent's.

    Args:
        agent: The agent. It is not changed.
        to: `"timm"`, a model for `timm.create_model("local-dir:...")` with the PEFT module merged into its weights;
            `"peft"`, an adapter for `PeftModel.from_pretrained`; or `"onnx"`, a graph for onnxruntime, of any method.
        out: The folder; it does not exist, or is empty.

    Returns:
        The folder.

    Raises:
        FileExistsError: It holds files.
        ModuleNotFoundError: The format needs a package that is not installed.
        OSError: The folder can't be written.
        ValueError: The format is unknown, the agent has seen no class, or the format can't give the agent's scores.
    """
    write, target = lookup("format", to, FORMATS), Path(out)
    check_free(target)
    with new_folder(target) as folder, torch.random.fork_rng(devices=[]):
        classifier = Classifier(agent.policy, agent.image_decoding)
        write(classifier, folder)
        names = json.dumps(classifier.class_names, indent=0, ensure_ascii=False) + "\n"
        (folder / "labels.json").write_text(names, encoding="utf-8")
        architecture = next((file.stem for file in sorted(folder.rglob("*.py"))), None)
        (folder / "README.md").write_text(readme(classifier, to, target, architecture), encoding="utf-8")
    return target


def check_free(target: Path) -> None:
    """Check that a folder does not exist, or is empty.

    Raises:
        FileExistsError: It holds files, or is a file.
    """
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise FileExistsError(f"{target} exists already and is not empty; choose another folder")


@contextmanager
def new_folder(target: Path) -> Iterator[Path]:
    """A context that fills a folder under a temporary name, and moves it into place if nothing fails.

    Args:
        target: The folder, which has passed `check_free`.
    """
    with folder_aside(target) as temporary:
        folder = temporary / target.name
        folder.mkdir()
        yield folder
        if target.exists():
            target.rmdir()  # it is empty
        folder.rename(target)
