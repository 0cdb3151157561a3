"""Folders of runs that are not what they seem, for the report; and stores of decoded images."""

from __future__ import annotations

import json
import os
import shutil
import sys
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cls_env.command_line.errors import ReportedError
from cls_env.datasets.storage.store import open_store
from experiments.benchmarks.hostile.archives import raw_zip
from experiments.benchmarks.hostile.case import HARMLESS, HarmError, HostileFile
from experiments.benchmarks.hostile.valid_files import (
    BOMB_BYTES,
    ValidFiles,
    answers,
    class_folders,
    deflated,
    nested_json,
    npy,
    objects,
    pickled,
    write_zip,
    zeros_checksum,
)
from experiments.report_page.collect import collect, recorded_commands, run_folders
from experiments.report_page.page import write_page

_MARKUP = "</script><script>alert(1)</script><img src=x onerror=alert(1)>"
_CONTROL = "\x1b[2J\x07\x00"
_MODULE = "this"
"""A module of Python's that nothing else imports."""
_IMPORTING = {"imports": [_MODULE], "dataset": "of others", "model": "auto"}
"""Settings that make a run import a module."""


def _report(folder: Path) -> object:
    """Write the report of a run; one that is left out is refused."""
    place = folder.parent
    page = place / "report.html"
    try:
        write_page(run_folders([place]), page, recorded_commands([place]))
    except ReportedError as error:
        raise ValueError(str(error)) from error
    if _MODULE in sys.modules:
        raise HarmError("the report imports a module that the run names")
    text = page.read_text(encoding="utf-8")
    if "<script>alert" in text or "<img src=x" in text:
        raise HarmError("the page holds a script of the run")
    return collect([folder])


def _run(name: str, content: Callable[[Path], bytes | str]) -> Callable[[Path, ValidFiles], Path]:
    """The folder of a run of which a file is replaced."""

    def make(inside: Path, valid_files: ValidFiles) -> Path:
        folder = valid_files.run(inside / "run")
        made = content(inside)
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(made.encode("utf-8", "surrogatepass") if isinstance(made, str) else made)
        return folder

    return make


def _json(name: str, change: Callable[[Any], Any]) -> Callable[[Path, ValidFiles], Path]:
    """The folder of a run of which a JSON file is changed."""

    def make(inside: Path, valid_files: ValidFiles) -> Path:
        folder = valid_files.run(inside / "run")
        content = change(json.loads((folder / name).read_text(encoding="utf-8")))
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
        return folder

    return make


def _answers(**changes: NDArray[Any] | None) -> Callable[[Path, ValidFiles], Path]:
    """The folder of a run with other predictions."""

    def make(inside: Path, valid_files: ValidFiles) -> Path:
        folder = valid_files.run(inside / "run")
        kept = {name: array for name, array in (answers() | changes).items() if array is not None}
        np.savez(folder / _PREDICTIONS, allow_pickle=True, **kept)
        return folder

    return make


def _predictions(content: Callable[[Path], bytes]) -> Callable[[Path, ValidFiles], Path]:
    """The folder of a run of whose predictions one array is replaced."""

    def make(inside: Path, valid_files: ValidFiles) -> Path:
        folder = valid_files.run(inside / "run")
        parts = {f"{name}.npy": npy(array) for name, array in answers().items()}
        write_zip(folder / _PREDICTIONS, parts | {"labels.npy": content(inside)})
        return folder

    return make


def _named(name: str) -> Callable[[Any], Any]:
    def change(card: Any) -> Any:
        card["stream"]["tasks"][0]["classes"] = [name, "dog"]
        return card

    return change


def _store(name: str, content: Callable[[Path], bytes]) -> Callable[[Path, ValidFiles], Path]:
    """A store of which a file is replaced."""

    def make(inside: Path, valid_files: ValidFiles) -> Path:
        from cls_env.datasets.loaders.folder import load_folder

        for file, image in class_folders().items():
            (inside / "images" / file).parent.mkdir(parents=True, exist_ok=True)
            (inside / "images" / file).write_bytes(image)
        store = shutil.copytree(load_folder(inside / "images", 8, workers=1).path, inside / "store")
        (store / name).write_bytes(content(inside))
        return Path(store)

    return make


def _pipe(name: str, folder: Callable[[Path, ValidFiles], Path]) -> Callable[[Path, ValidFiles], Path]:
    """A folder in which a pipe, whose reader waits for ever, is in the place of a file."""

    def make(inside: Path, valid_files: ValidFiles) -> Path:
        made = folder(inside, valid_files)
        (made / name).unlink()
        os.mkfifo(made / name)
        return made

    return make


def _changed_card(**changes: Any) -> Callable[[Path, ValidFiles], Path]:
    make = _store("unused", lambda _: b"")

    def changed(inside: Path, valid_files: ValidFiles) -> Path:
        store = make(inside, valid_files)
        card = json.loads((store / "store.json").read_text()) | changes
        (store / "store.json").write_text(json.dumps(card))
        return store

    return changed


def _bomb(inside: Path) -> bytes:
    return raw_zip("labels.npy", deflated(), BOMB_BYTES, zeros_checksum(), zipfile.ZIP_DEFLATED)


_PREDICTIONS = "predictions/after_task_1.npz"
_STEPS = "steps/progress_task0.csv"
_RUN = partial(HostileFile, "run", read=_report)
_SHOWN = partial(_RUN, expected=HARMLESS)
_JSON_FILES = ("config.json", "protocol.json", "metrics.json")
_RUNS = [
    *(_RUN(f"pickle as {name}", _run(name, pickled)) for name in (*_JSON_FILES, "accuracy_matrix.csv")),
    *(_RUN(f"deep {name}", _run(name, lambda _: nested_json(100_000)), says="levels deep") for name in _JSON_FILES),
    *(_RUN(f"list as {name}", _run(name, lambda _: "[1]"), says="run") for name in _JSON_FILES),
    *(_RUN(f"{name} cut off", _run(name, lambda _: '{"a": ')) for name in _JSON_FILES),
    *(_RUN(f"{name} of 64 MiB", _run(name, lambda _: '"' + "a" * 2**26 + '"'), says="bytes") for name in _JSON_FILES),
    _RUN(
        "protocol.json 500 levels deep", _json("protocol.json", lambda card: card | {"a": json.loads(nested_json(500))})
    ),
    _RUN("seed that is a list", _json("config.json", lambda config: config | {"seed": [1]})),
    _SHOWN(
        "settings of other kinds", _json("config.json", lambda config: config | {"peft": [1], "objective": {"a": 1}})
    ),
    _SHOWN("images of another place", _json("config.json", lambda config: config | {"root": "/etc"})),
    _SHOWN("module to import", _json("config.json", lambda config: config | {"imports": ["antigravity_of_others"]})),
    _SHOWN("module to import, for a dataset that is unknown", _json("config.json", lambda config: config | _IMPORTING)),
    _SHOWN(
        "markup in the settings", _json("config.json", lambda config: config | {"method": _MARKUP, "root": _MARKUP})
    ),
    _RUN("tasks that are text", _json("protocol.json", lambda card: card | {"stream": {"tasks": "ab"}})),
    _RUN("no stream", _json("protocol.json", lambda card: {"config": {}})),
    _SHOWN("markup as class name", _json("protocol.json", _named(_MARKUP))),
    _SHOWN("control characters as class name", _json("protocol.json", _named(_CONTROL))),
    _SHOWN("lone surrogate as class name", _json("protocol.json", _named("\ud800"))),
    _RUN("measures that are text", _json("metrics.json", lambda found: found | {"forgetting": _MARKUP, _MARKUP: 1})),
    _RUN("measures of another run", _json("metrics.json", lambda found: found | {"accuracy_curve": [0.1, 0.1]})),
    _SHOWN("measures that are no numbers", _json("metrics.json", lambda found: found | {"forgetting": float("nan")})),
    _SHOWN("measures of 400 digits", _json("metrics.json", lambda found: found | {"forgetting": 10**400})),
    _RUN(
        "accuracies that are text",
        _run("accuracy_matrix.csv", lambda _: f"end_task,task_0,task_1\n0,{_MARKUP},\n1,1,1\n"),
    ),
    _RUN("accuracies without end", _run("accuracy_matrix.csv", lambda _: "end_task,task_0,task_1\n0,inf,\n1,1,1\n")),
    _RUN("accuracies above 1", _run("accuracy_matrix.csv", lambda _: "end_task,task_0,task_1\n0,1e308,\n1,1,1\n")),
    _RUN("accuracies of fewer tasks", _run("accuracy_matrix.csv", lambda _: "end_task,task_0\n0,1\n"), says="tasks"),
    _RUN("no accuracies", _run("accuracy_matrix.csv", lambda _: "")),
    _SHOWN("pickle as predictions", _run(_PREDICTIONS, pickled)),
    _SHOWN("predictions of objects", _predictions(lambda inside: npy(objects(inside)))),
    _SHOWN("predictions, shape beyond their bytes", _predictions(lambda _: npy(np.zeros(4), (2**40,)))),
    _SHOWN("predictions, bomb", _run(_PREDICTIONS, _bomb)),
    _SHOWN("predictions of no class", _answers(labels=np.array([-9, 2**40, 2, 3]))),
    _SHOWN("predictions of no task", _answers(task=np.array([-9, 2**40, 2, 3]))),
    _SHOWN("predictions that are text", _answers(labels=np.array(["a", "b", "c", "d"]))),
    _SHOWN("predictions of another shape", _answers(labels=np.zeros((4, 4), dtype=int))),
    _SHOWN("predictions that are NaN", _answers(confidence=np.full(4, np.nan, dtype=np.float32))),
    _SHOWN("predictions without confidence", _answers(confidence=None)),
    _SHOWN("pickle as step log", _run(_STEPS, pickled)),
    *(
        _RUN(f"pipe as {name}", _pipe(name, _run(name, lambda _: "")), says="not a regular file")
        for name in (*_JSON_FILES, "accuracy_matrix.csv")
    ),
    *(_SHOWN(f"pipe as {name}", _pipe(name, _run(name, lambda _: ""))) for name in (_PREDICTIONS, _STEPS)),
    _SHOWN("command of markup", _run("table.md", lambda _: f"Made by `cls-env {_MARKUP}`")),
]
_CASE = partial(HostileFile, "store", read=open_store)
_STORES = [
    _CASE("pickle as images", _store("train_images.npy", pickled)),
    _CASE("images of objects", _store("train_images.npy", lambda inside: npy(objects(inside)))),
    _CASE("zip as images", _store("train_images.npy", lambda _: b"PK\3\4" + bytes(100))),
    _CASE(
        "images, shape beyond their bytes", _store("train_images.npy", lambda _: npy(np.zeros(4, np.uint8), (2**40,)))
    ),
    _CASE("labels of objects", _store("train_labels.npy", lambda inside: npy(objects(inside))), says="Python objects"),
    _CASE("labels, shape beyond their bytes", _store("train_labels.npy", lambda _: npy(np.zeros(4), (2**40,)))),
    _CASE("labels that are no classes", _store("train_labels.npy", lambda _: npy(np.full(4, 10**9)))),
    _CASE("labels that are text", _store("train_labels.npy", lambda _: npy(np.array(["a"] * 4)))),
    _CASE("labels, zip", _store("train_labels.npy", _bomb)),
    _CASE("deep store.json", _store("store.json", lambda _: nested_json(100_000).encode()), says="levels deep"),
    _CASE("pickle as store.json", _store("store.json", pickled)),
    _CASE("list as store.json", _store("store.json", lambda _: b"[1]")),
    _CASE("validation images of 10**12", _changed_card(validation_images=10**12)),
    *(
        _CASE(f"pipe as {name}", _pipe(name, _store(name, lambda _: b"")), says="not a regular file")
        for name in ("store.json", "train_images.npy", "train_labels.npy")
    ),
    _CASE("class names that are a number", _changed_card(class_names=3)),
    _CASE("remarks that are a number", _changed_card(remarks=3)),
]
CASES = [*_RUNS, *_STORES]
"""What `cls-env report` and `open_store` read."""
