"""Descriptions of streams."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np

from cls_env import TaskStream
from tests.cls_env.tasks.conftest import (
    EVERYTHING,
    SKETCHES,
    domain_stream,
    hand_made,
)


def test_description_is_json_and_complete() -> None:
    stream = TaskStream(
        hand_made(), 2, seed=np.int64(4), class_order=[3, 1, 0, 2], noise_type="pair-flip", **EVERYTHING
    )
    described = json.loads(json.dumps(stream.describe()))
    assert described == {
        "dataset": "hand-made",
        "image_size": [4, 4],
        "scenario": "class-incremental",
        "seed": 4,
        "class_order": [3, 1, 0, 2],
        "num_classes": 4,
        "label_noise": {"type": "pair-flip", "share": 0.25},
        "validation_fraction": 0.2,
        "max_per_class": 7,
        "imbalance_factor": 3.0,
        "left_out": {},
        "remarks": {},
        "tasks": [
            {
                "task": index,
                "classes": names,
                "domain": None,
                "train_images": count,
                "validation_images": 4,
                "test_images": 6,
                "flipped_labels": round(count / 4),
            }
            # 7 / (1, 3**(1/3), 3**(2/3), 3) of a, b, c, d
            for index, (names, count) in enumerate(((["d", "b"], 2 + 4), (["a", "c"], 7 + 3)))
        ],
        "fingerprint": stream.fingerprint,
    }


def test_description_of_domains_a_matrix_and_the_natural_order() -> None:
    stream = domain_stream(domains=SKETCHES, class_order="natural", label_noise=np.full((4, 4), 0.25))
    described = json.loads(json.dumps(stream.describe()))
    assert described["class_order"] == "natural"
    assert described["label_noise"] == {"type": "transition", "share": "matrix"}
    assert [task["domain"] for task in described["tasks"]] == list(SKETCHES)
    assert {task["flipped_labels"] for task in described["tasks"]} == {30}  # a and b keep 3 of 10 each, c and d 2


def test_representation_is_one_line() -> None:
    line = repr(TaskStream(hand_made(), 2, scenario="online", label_noise=0.2))
    assert line.startswith("TaskStream('hand-made', online, 2 tasks, 4 classes, seed=0, label_noise=0.2, fingerprint=")
    assert "label_noise=matrix" in repr(TaskStream(hand_made(), 2, label_noise=np.eye(4)))
    assert "\n" not in line


def test_no_pixel_is_read(tmp_path: Path) -> None:
    """The file is cut to nothing once it is mapped: to read a single pixel of it would end the process (SIGBUS)."""
    code = f"""
import os
import numpy as np
from cls_env import ImageDataset, TaskStream

path, shape = {str(tmp_path / "pixels")!r}, (200_000, 224, 224, 3)
open(path, "wb").close()
os.truncate(path, np.prod(shape))
images = np.memmap(path, dtype=np.uint8, mode="r", shape=shape)
os.truncate(path, 0)
labels = np.arange(len(images)) % 100
domains = labels // 50
dataset = ImageDataset("large", images, labels, images[:1000], labels[:1000], tuple(map(str, range(100))),
                       domains, domains[:1000], ("near", "far"))
options = {{"validation_fraction": 0.1, "max_per_class": 500, "imbalance_factor": 10.0, "label_noise": 0.2}}
for scenario in ("class-incremental", "domain-incremental"):
    stream = TaskStream(dataset, scenario=scenario, **options)
    print(stream, stream.describe()["fingerprint"], stream.images("validation").shape, flush=True)
"""
    builds = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert builds.returncode == 0, builds.stderr
    assert builds.stdout.count("(200000, 224, 224, 3)") == 2
    reads = subprocess.run([sys.executable, "-c", code + "images[0].sum()"], capture_output=True, text=True)
    assert reads.returncode == -signal.SIGBUS
