"""The answers of a saved agent for images, as a table, JSON or CSV."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, TypeVar

from rich.box import SIMPLE_HEAD
from rich.table import Table

from agents.algorithms.classification import Prediction
from agents.algorithms.one_step import OneStepAlgorithm
from cls_env.command_line.printable import printable
from experiments.console import show
from experiments.saved_models.image_sources import Picture

Item = TypeVar("Item")


class Answer(NamedTuple):
    """An image file, and its most probable classes."""

    file: str
    predictions: list[Prediction]


def answers(agent: OneStepAlgorithm, pictures: Iterable[Picture[str]], top: int, batch_size: int) -> Iterator[Answer]:
    """Classify images batch by batch; only the images of a batch are in memory.

    Args:
        agent: The agent.
        pictures: The images.
        top: Number of classes to name for each image.
        batch_size: Images that pass the network at once.
    """
    for batch in batches(pictures, batch_size):
        predictions = agent.classify([picture.pixels for picture in batch], top, batch_size)
        yield from (Answer(picture.about, best) for picture, best in zip(batch, predictions, strict=True))


def batches(items: Iterable[Item], size: int) -> Iterator[Sequence[Item]]:
    """Split items into lists of at most `size`, read when they are needed.

    >>> list(batches("abc", 2))
    [['a', 'b'], ['c']]
    """
    source = iter(items)
    while batch := list(islice(source, size)):
        yield batch


def print_table(rows: Iterable[Answer]) -> None:
    """Print a table with a line for each class, after all images are classified."""
    table = Table(box=SIMPLE_HEAD, show_edge=False)
    table.add_column("file")
    table.add_column("class", no_wrap=True)
    table.add_column("probability", no_wrap=True, justify="right")
    for file, predictions in rows:
        for rank, (name, probability) in enumerate(predictions):
            table.add_row("" if rank else printable(file), printable(name), f"{probability:.1%}")
    if table.row_count:
        show(table)


def print_json(rows: Iterable[Answer]) -> None:
    """Print a JSON list with an object for each image, batch by batch."""
    before = "["
    for file, predictions in rows:
        entries = [{"class": name, "probability": probability} for name, probability in predictions]
        sys.stdout.write(f"{before}\n  {json.dumps({'file': file, 'predictions': entries})}")
        before = ","
    sys.stdout.write("[]\n" if before == "[" else "\n]\n")


def print_csv(rows: Iterable[Answer]) -> None:
    """Print CSV with a line for each class: file, rank, class and probability."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("file", "rank", "class", "probability"))
    for file, predictions in rows:
        for rank, (name, probability) in enumerate(predictions, start=1):
            writer.writerow((file, rank, name, f"{probability:.9g}"))
