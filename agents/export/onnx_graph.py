"""A policy as one ONNX graph, from the pixels of a view to scores and probabilities."""

from __future__ import annotations

import importlib.util
import json
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from agents.export.classifier import CHECKED_IMAGES, LARGEST_DIFFERENCE, Classifier
from agents.export.timm_model import merged_model

MODEL, INPUT, OUTPUTS = "model.onnx", "pixels", ("logits", "probabilities")
REQUIRED = ("onnx", "onnxruntime", "onnxscript")
LARGEST_IN_ONE_FILE = 1_500_000_000
"""Bytes of weights; a file of this format holds at most 2 GB, and larger weights lie beside it."""


class PixelsToProbabilities(nn.Module):
    """Scores and their softmax, for the pixels of views in [0, 1].

    Args:
        classifier: Of the policy.
        scores: From inputs of the backbone to scores; the classifier itself, or what gives the same more simply.
    """

    def __init__(self, classifier: Classifier, scores: nn.Module) -> None:
        super().__init__()
        self.scores = scores
        self.register_buffer("mean", classifier.network.preprocessing.mean.clone())
        self.register_buffer("std", classifier.network.preprocessing.std.clone())

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and probabilities of the seen classes, each (B, K), for pixels [B, 3, h, w]."""
        scores = self.scores((pixels - self.mean) / self.std)
        return scores, scores.softmax(dim=1)


def write_onnx(classifier: Classifier, folder: Path) -> None:
    """Write the graph, the names of its outputs and the steps before it.

    Raises:
        ModuleNotFoundError: onnx, onnxruntime or onnxscript is not installed.
        ValueError: The scores can't be traced, or the graph gives others.
    """
    missing = [name for name in REQUIRED if importlib.util.find_spec(name) is None]
    if missing:
        raise ModuleNotFoundError(f"an ONNX graph needs {', '.join(missing)}: pip install 'cls-env[onnx]'")
    _write_graph(classifier, folder / MODEL)
    _check_graph(classifier, folder / MODEL)
    steps = classifier.steps
    description = {
        "input": {"name": INPUT, "shape": ["N", 3, steps.size[1], steps.size[0]], "range": [0, 1], "channels": "RGB"},
        "outputs": {name: ["N", len(classifier.actions)] for name in OUTPUTS},
        "gray": steps.gray,
        "fit_to_width_and_height": list(steps.stored),
        "resize_to_width_and_height": list(steps.resized),
        "interpolation": steps.interpolation,
        "crop_left_upper_right_lower": list(steps.box),
        "normalization_in_the_graph": {"mean": list(steps.mean), "std": list(steps.std)},
    }
    text = json.dumps(description, indent=2) + "\n"
    (folder / "preprocessing.json").write_text(text, encoding="utf-8")


def _write_graph(classifier: Classifier, file: Path) -> None:
    module = PixelsToProbabilities(classifier, _simplest(classifier)).eval()
    size = sum(tensor.numel() * tensor.element_size() for tensor in module.state_dict().values())
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporter, on its own deprecations
            program: Any = torch.onnx.export(
                module,
                (classifier.random_pixels(2),),
                dynamo=True,
                input_names=[INPUT],
                output_names=list(OUTPUTS),
                dynamic_shapes={INPUT: {0: torch.export.Dim("N")}},
                verbose=False,
            )
            program.save(file, external_data=size > LARGEST_IN_ONE_FILE)
    except Exception as error:  # the exporter's are of many kinds
        config = classifier.network.config
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"the scores of method {config.method!r} with peft={config.peft!r} can't be traced to an ONNX graph: "
            f"{reason}"
        ) from error


def _simplest(classifier: Classifier) -> nn.Module:
    """A plain model with the same scores where there is one: its graph is smaller."""
    try:
        model = merged_model(classifier).model
        classifier.check_same(model, "")
    except ValueError:
        return classifier
    return model


def _check_graph(classifier: Classifier, file: Path) -> None:
    """Raise ValueError unless the graph gives the scores and probabilities of the policy, for one image and several."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    pixels = classifier.random_pixels(CHECKED_IMAGES)
    with torch.no_grad():
        wanted = classifier(classifier.normalized(pixels))
    for rows in (slice(1), slice(1, None)):
        found = [torch.from_numpy(output) for output in session.run(list(OUTPUTS), {INPUT: pixels[rows].numpy()})]
        largest = wanted.abs().max().clamp(min=1)
        differences = (found[0] - wanted[rows]) / largest, found[1] - wanted[rows].softmax(dim=1)
        for name, difference in zip(OUTPUTS, differences, strict=True):
            if not (worst := float(difference.abs().max())) <= LARGEST_DIFFERENCE:
                raise ValueError(f"the ONNX graph gives {name} that differ from the agent's by {worst:.0e}")
