"""`cls-env continue`: a trained model learns new classes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock, Timeout
from tyro.conf import Positional

from cls_env.arguments import number, whole_number
from experiments.config.settings import Device, parse_options

if TYPE_CHECKING:
    from agents.checkpoint.card import CardNotes
    from experiments.continuation.continuation import Continuation


def continue_command(
    model: Positional[Path],
    root: Path,
    out: Path | None = None,
    epochs: int = 20,
    options: tuple[str, ...] = (),
    learning_rate: float | None = None,
    device: Device = "auto",
    weights: Path | None = None,
    threads: int = 1,
    seed: int = 0,
    imports: tuple[str, ...] = (),
) -> None:
    """Let a trained model learn the new classes of a folder, as its next task, and write a new model.

    Classes are compared by name. Objective, method, PEFT module and batch size are the model's own.

    Args:
        model: File of the model, such as results/run/NAME/model.zip. It is not changed.
        root: Folder, zip or tar of images, with all classes of the model and new ones, or with new ones only.
        out: File of the new model. By default the model's name with -continued.
        epochs: Number of passes over the images of the new classes.
        options: Further arguments of the folder's loader, such as: --options on_error=skip
        learning_rate: Learning rate. By default the model's own.
        device: Device of the model. auto is an NVIDIA GPU if there is one, else the CPU.
        weights: Weights file of the backbone, if the file that the model was trained with has moved.
        threads: Number of CPU threads. Another number changes results by rounding.
        seed: Random seed of the order of the images.
        imports: Your own Python modules to import first, which register parts of the model.
    """
    _check_numbers(epochs, threads, seed, learning_rate)
    given, target = parse_options(options), new_file(model, out)

    import torch

    from experiments.config.imports import import_modules
    from experiments.console import say, show
    from experiments.continuation.continuation import begin

    torch.set_num_threads(threads)
    import_modules(imports)
    with _alone(target):
        continued = begin(model, root, given, device, learning_rate, weights)
        _introduce(continued, root, given)
        accuracies = _learn_and_save(continued, model, root, target, epochs, seed)
    show(accuracies)
    say(f"new model {target}; {model} is unchanged")


def _learn_and_save(continued: Continuation, model: Path, root: Path, target: Path, epochs: int, seed: int) -> Any:
    """Learn, save the new model, and return a table of its accuracies."""
    old, new = range(len(continued.stream.tasks) - 1), [len(continued.stream.tasks) - 1]
    before = continued.accuracy(old) if continued.shows_learned else None
    _learn(continued, epochs, seed)
    continued.agent.card_notes = _card_notes(continued, model, root, epochs, seed)
    accuracies = _accuracies(continued, old, new, before)
    continued.agent.save(target)  # the last thing that a stop can prevent
    return accuracies


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Be the only process that makes a file.

    Raises:
        FileExistsError: Another one makes it.
        OSError: Its folder can't be written.
    """
    from agents.checkpoint.folder_aside import check_writable

    check_writable(target)
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise FileExistsError(f"another process is making {target}: wait, or give another --out FILE") from None
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def _card_notes(continued: Continuation, model: Path, root: Path, epochs: int, seed: int) -> CardNotes:
    """Notes on the last task, for the model card."""
    accuracy = continued.accuracy([len(continued.stream.tasks) - 1])
    return {
        "Data": {"learned last": f"{len(continued.new)} new classes of {root.name}", "continued from": model.name},
        "Settings": {"epochs": epochs, "seed of the order of images": seed},
        "Measures": {"accuracy on the new classes": f"{accuracy:.1%}"},
        "Command": f"```\ncls-env continue {model.name} --root {root.name} --epochs {epochs} --seed {seed}\n```",
    }


def _learn(continued: Continuation, epochs: int, seed: int) -> None:
    """Learn, with a progress bar."""
    from experiments.console import progress_bar

    with progress_bar() as progress:
        bar = progress.add_task("new classes, images", total=epochs * continued.images)
        continued.learn(epochs, seed, lambda count: progress.advance(bar, count))
        progress.update(bar, completed=epochs * continued.images)


def new_file(model: Path, out: Path | None) -> Path:
    """Where the new model goes: `out`, with .zip where it has no suffix, or next to the model.

    Raises:
        FileExistsError: There is a file already.
    """
    target = model.with_name(f"{model.stem}-continued.zip") if out is None else out
    target = target if target.suffix else target.with_suffix(".zip")
    if target.exists():
        raise FileExistsError(f"{target} is there already: remove it, or give another --out FILE")
    return target


def _check_numbers(epochs: int, threads: int, seed: int, learning_rate: float | None) -> None:
    """Raise ValueError if a number is out of range."""
    whole_number("--epochs", epochs, least=1)
    whole_number("--threads", threads, least=1)
    whole_number("--seed", seed, least=0)
    if learning_rate is not None:
        number("--learning-rate", learning_rate, "(0, inf)")


def _introduce(continued: Continuation, root: Path, options: dict[str, Any]) -> None:
    """Say what is known, what is new, and what the report can't tell."""
    from cls_env.datasets.files.load_report import report_lines
    from experiments.console import say, warn
    from experiments.continuation.continuation import moved_classes
    from experiments.continuation.new_classes import named

    dataset, learned, new = continued.stream.dataset, continued.learned, continued.new
    say(f"{len(learned)} classes are learned, {len(new)} new: {named(new)}", highlight=False)
    for line in report_lines(dataset.left_out, dataset.remarks):
        say(line, highlight=False)
    if not continued.shows_learned:
        say(f"{root} has no image of the {len(learned)} learned classes: what is forgotten of them can't be tested")
    elif "test_fraction" in options and (moved := moved_classes(continued.found, learned)):
        warn(
            f"with test_fraction, images are held out by the position of their class, which has changed for {moved}: "
            "their accuracy counts images that were trained on; leave test_fraction out, here and in training"
        )


def _accuracies(continued: Continuation, old: range, new: list[int], before: float | None) -> Any:
    """A table of the accuracy on old, new and all classes."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    table = Table("classes", "number", "test images", "accuracy before", "after", box=SIMPLE_HEAD, show_edge=False)
    rows: dict[str, tuple[int, list[int], float | None]] = {"new": (len(continued.new), new, None)}
    if before is not None:
        rows = {"learned before": (len(continued.learned), list(old), before)} | rows
        rows["all"] = (continued.stream.num_classes, [*old, *new], None)
    for name, (count, tasks, earlier) in rows.items():
        shown = "" if earlier is None else f"{earlier:.1%}"
        table.add_row(name, str(count), str(continued.test_images(tasks)), shown, f"{continued.accuracy(tasks):.1%}")
    return table
