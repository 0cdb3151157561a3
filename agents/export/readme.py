"""The README.md of an exported folder: lines of Python that classify an image without this package."""

from __future__ import annotations

from pathlib import Path

from agents.export.classifier import Classifier
from agents.export.image_steps import ImageSteps

REQUIRED = {"timm": "timm", "peft": "peft timm", "onnx": "onnxruntime pillow numpy"}
"""Packages that the lines need, as pip names them."""
NAMED = 20
"""Names of classes that are listed."""

_FOLDER = "folder = Path({folder!r})  # where this file lies\n"

_TIMM = """\
import json
{imports}from pathlib import Path

import timm
import torch
from PIL import Image, ImageOps

{folder}{registers}model = timm.create_model(f"local-dir:{{folder}}", pretrained=True).eval()
transform = timm.data.create_transform(**timm.data.resolve_data_config({{}}, model=model))
names = json.loads((folder / "labels.json").read_text(encoding="utf-8"))

{image}with torch.inference_mode():
    probabilities = model(transform(image)[None]).softmax(dim=1)[0]
{answer}"""

_PEFT = """\
import json
{imports}from pathlib import Path

import timm
import torch
from peft import PeftModel
from PIL import Image, ImageOps

{folder}{registers}names = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
backbone = timm.create_model(f"local-dir:{{folder / 'backbone'}}", pretrained=True, num_classes=len(names))
transform = timm.data.create_transform(**timm.data.resolve_data_config({{}}, model=backbone))
model = PeftModel.from_pretrained(backbone, str(folder)).eval()

{image}with torch.inference_mode():
    probabilities = model(transform(image)[None]).softmax(dim=1)[0]
{answer}"""

_ONNX = """\
import json
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image, ImageOps

{folder}names = json.loads((folder / "labels.json").read_text(encoding="utf-8"))
session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])

{image}planes = np.asarray(image, np.float32).transpose(2, 0, 1)
{view}pixels = planes[None] / 255
probabilities = session.run(["probabilities"], {{"pixels": pixels}})[0][0]
{answer}"""

_LINES = {"timm": _TIMM, "peft": _PEFT, "onnx": _ONNX}

_ANSWER = """\
for probability, name in sorted(zip(probabilities.tolist(), names), reverse=True)[:5]:
    print(f"{probability:.1%} {name}")
"""

_ABOUT = {
    "timm": 'The names of the outputs are also in `config.json`, and so in `model.pretrained_cfg["label_names"]`.',
    "peft": "`backbone/` is the timm model without a head, and this folder the adapter of peft, with the head.",
    "onnx": "`preprocessing.json` says how an image becomes `pixels`. The graph also gives the `logits`, and takes any "
    "number of images.",
}


def readme(classifier: Classifier, to: str, target: Path, architecture: str | None) -> str:
    """The text of README.md.

    Args:
        classifier: The classifier to export.
        to: The format, in `REQUIRED`.
        target: The folder.
        architecture: Name of the file, without suffix, that registers an architecture with timm; None if none does.
    """
    config, names = classifier.network.config, classifier.class_names
    listed = ", ".join(names[:NAMED]) + (", ..." if len(names) > NAMED else "")
    lines = _LINES[to].format(
        folder=_FOLDER.format(folder=target.as_posix()),
        imports="import sys\n" if architecture else "",
        registers=_registers(architecture, to) if architecture else "",
        image=_image_lines(classifier.steps),
        view=_view_lines(classifier.steps),
        answer=_ANSWER,
    )
    paragraphs = [
        f"# A classifier of {len(names)} classes",
        f"It was trained with cls-env, and does not need it: `pip install {REQUIRED[to]}` suffices. The backbone is "
        f"`{config.model}`, the PEFT module `{config.peft}`, the method `{config.method}`.",
        f"These lines classify an image:\n\n```python\n{lines}```",
        f"`labels.json` holds the names of the outputs, in their order: {listed}. {_ABOUT[to]}",
    ]
    if architecture:
        paragraphs.append(
            f"timm has no architecture `{architecture}`. Importing `{architecture}.py` registers it with timm; the "
            "file needs timm and torch alone."
        )
    return "\n\n".join(paragraphs) + "\n"


def _registers(architecture: str, to: str) -> str:
    place = 'folder / "backbone"' if to == "peft" else "folder"
    return f"sys.path.insert(0, str({place}))\nimport {architecture}  # registers the architecture with timm\n\n"


_SQUARED = {"crop": "ImageOps.fit(image, {})", "squash": "image.resize({})", "pad": "ImageOps.pad(image, {})"}
"""How an image becomes one of the stored size, by the rule of `Decoding.resize`."""


def _image_lines(steps: ImageSteps) -> str:
    gray = '.convert("L")' if steps.gray else ""
    filtered = f"{steps.stored}, Image.Resampling.{steps.decoding.interpolation.upper()}"
    squared = _SQUARED[steps.decoding.resize].format(filtered)
    return (
        f'image = ImageOps.exif_transpose(Image.open("image.png")){gray}.convert("RGB")\n'
        f"image = {squared}  # the size of the training images\n"
    )


def _view_lines(steps: ImageSteps) -> str:
    """Resizing and cropping in floating point, as the policy does; timm's transform rounds and clips in between."""
    if steps.resized == steps.stored and steps.size == steps.stored:
        return ""
    filtered = f"{steps.resized}, Image.Resampling.{steps.interpolation.upper()}"
    return (
        f"planes = [np.asarray(Image.fromarray(plane).resize({filtered}).crop({steps.box})) for plane in planes]\n"
        "planes = np.clip(planes, 0, 255)\n"
    )
