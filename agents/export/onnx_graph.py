"""A policy as one ONNX graph, from the pixels of a view to scores and probabilities."""

from __future__ import annotations

import copy
import importlib.util
import json
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from agents.export.classifier import CHECKED_IMAGES, LARGEST_DIFFERENCE, Classifier
from agents.export.timm_model import merged_model
from agents.methods.lae import LAE

MODEL, INPUT, OUTPUTS = "model.onnx", "pixels", ("logits", "probabilities")
REQUIRED = ("onnx", "onnxruntime")
OPSET = 17
"""Version of the operators, which onnxruntime reads from 1.12 on."""


class PixelsToProbabilities(nn.Module):
    """Scores and their softmax, for the pixels of views in [0, 1].

    Args:
        classifier: The classifier to export.
        scores: From inputs of the backbone to scores; the classifier itself, or what gives the same more simply.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, classifier: Classifier, scores: nn.Module) -> None:
        super().__init__()
        self.scores = scores
        self.register_buffer("mean", classifier.network.preprocessing.mean.clone())
        self.register_buffer("std", classifier.network.preprocessing.std.clone())

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and probabilities of the seen classes, each (B, K), for pixels [B, 3, h, w]."""
        scores = self.scores((pixels - self.mean) / self.std)
        return scores, scores.softmax(dim=1)


class TwoModules(nn.Module):
    """LAE's scores from two networks, where LAE itself exchanges tensors of one, which can't be traced.

    Args:
        classifier: The classifier to export.
        method: Its method.
    """

    def __init__(self, classifier: Classifier, method: LAE) -> None:
        super().__init__()
        self.actions = classifier.actions
        averaged = copy.deepcopy(classifier.network)
        for average, tensor in zip(method.offline, averaged.peft_parameters, strict=True):
            tensor.data.copy_(average)
        one_task = classifier.network.tasks_begun < 2
        self.networks = nn.ModuleList([classifier.network] if one_task else [classifier.network, averaged])

    def forward(self, inputs: Tensor) -> Tensor:
        """The larger of the log-probabilities of the seen classes, (B, K)."""
        answers = [network(inputs)[:, self.actions].log_softmax(dim=1) for network in self.networks]
        return torch.stack(answers).amax(dim=0)


def write_onnx(classifier: Classifier, folder: Path) -> None:
    """Write the graph, the names of its outputs and the steps before it.

    Raises:
        ModuleNotFoundError: onnx or onnxruntime is not installed.
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
        "made_square_by": steps.decoding.resize,
        "stored_width_and_height": list(steps.stored),
        "stored_by_interpolation": steps.decoding.interpolation,
        "resize_to_width_and_height": list(steps.resized),
        "interpolation": steps.interpolation,
        "crop_left_upper_right_lower": list(steps.box),
        "normalization_in_the_graph": {"mean": list(steps.mean), "std": list(steps.std)},
    }
    text = json.dumps(description, indent=2) + "\n"
    (folder / "preprocessing.json").write_text(text, encoding="utf-8")


def _write_graph(classifier: Classifier, file: Path) -> None:
    module = PixelsToProbabilities(classifier, _simplest(classifier)).eval()
    names = (INPUT, *OUTPUTS)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of the exporter on itself, and on sizes that `_check_graph` checks
            torch.onnx.export(
                module,
                (classifier.random_pixels(2),),
                str(file),
                input_names=names[:1],
                output_names=names[1:],
                dynamic_axes={name: {0: "N"} for name in names},
                opset_version=OPSET,
                dynamo=False,  # the newer exporter takes 30 times as long, and needs onnxscript
            )
    except OSError:
        raise
    except Exception as error:  # the exporter's are of many kinds
        config = classifier.network.config
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(
            f"the scores of method {config.method!r} with peft={config.peft!r} can't be traced to an ONNX graph: "
            f"{reason}"
        ) from error


def _simplest(classifier: Classifier) -> nn.Module:
    """A plain model with the same scores if there is one, else the classifier: its graph is smaller."""
    if isinstance(classifier.method, LAE):
        return TwoModules(classifier, classifier.method)
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
