"""Command lines of `cls-env`, run in this process and in an empty folder."""

from __future__ import annotations

import io
import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import fields
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

from hypothesis import strategies as some

from agents.methods import METHODS
from agents.objectives import OBJECTIVES
from agents.peft_modules import PEFT_MODULES
from cls_env.__main__ import main
from cls_env.commands.listing import COMMANDS
from cls_env.specification import quoted
from experiments.benchmarks.fuzzing.attempts import Attempt
from experiments.benchmarks.fuzzing.specifications import specifications
from experiments.benchmarks.fuzzing.values import WORDS
from experiments.config.comparison import ComparisonOptions
from experiments.config.entry import Entry
from experiments.config.settings import BoundsConfig, CompareConfig, RunConfig
from experiments.config.watching import WatchSettings
from experiments.rl.algorithms import ALGORITHMS
from experiments.rl.config import RlConfig

EXIT_CODES = (0, 2)
"""Of an accepted and of a refused line. 1 is for errors of the program; 130 and 143 need a signal."""
PLANS = (
    "experiments.comparisons.show_plan.show_plan",
    "experiments.commands.study.show_plan",
    "experiments.rl.plan.show_algorithms",
)
"""The last step of a dry run: it takes some training steps, to measure their time."""
CONFIGS: dict[str, tuple[list[str], tuple[type[Any], ...]]] = {
    "run": (["--dry-run"], (RunConfig, WatchSettings)),
    "stream": ([], (RunConfig,)),
    "compare": (["--dry-run"], (CompareConfig, ComparisonOptions)),
    "bounds": (["--dry-run"], (BoundsConfig, ComparisonOptions)),
    "study entropy": (["--dry-run"], (CompareConfig, ComparisonOptions)),
    "presets table1-5tasks": (["--dry-run"], (CompareConfig, ComparisonOptions)),
    "rl": (["--dry-run"], (RlConfig, ComparisonOptions)),
}
"""Commands with many options, what is added to each line, and the settings that are options."""
FILES = ("missing.zip", "garbage.zip", "empty", "folder", ".", "", "\0", "x" * 300)
FURTHER: dict[str, tuple[str, ...]] = {
    "predict": ("--top", "--json", "--csv", "--batch-size", "--device", "--weights", "--imports"),
    "evaluate": ("--root", "--options", "--split", "--known-only", "--out", "--batch-size", "--device"),
    "export": ("--to", "timm", "onnx", "peft", "--out", "--weights"),
    "continue": ("--root", "--out", "--epochs", "--device", "--dry-run"),
    "report": ("--out",),
    "datasets": ("--root",),
    "download": ("glyphs", "--root"),
    "cache": ("list", "clear", "--yes"),
    "objectives": ("--x",),
    "modules": ("--x",),
    "methods": ("--x",),
    "study": ("entrpy",),
    "presets": ("table9",),
}
"""Words that follow the other commands, with those of `FILES` and `WORDS`."""
# No word of any kind: it could be a module, which would be executed, or a dataset, which would be fetched.
_SPECIFIED: dict[str, some.SearchStrategy[str]] = {
    "objective": specifications(OBJECTIVES),
    "objectives": specifications(OBJECTIVES),
    "method": specifications(METHODS),
    "peft": specifications(PEFT_MODULES),
    "algorithms": specifications(ALGORITHMS),
    "imports": some.sampled_from(["no_such_module", "..", "", ".a", "1", "os\0"]),
    "model": some.sampled_from(["test_vit", "auto", "resnet18", "no_such", "a/b"]),
    "dataset": some.sampled_from(["glyphs", "digits", "folder", "no_such"]),
    "options": some.sampled_from(["seed=1", "margin=x", "num_classes=0", "train_per_class=[]", "hard_fraction=nan"]),
    "scenario": some.sampled_from(["class-incremental", "task-incremental", "domain-incremental", "online", "x"]),
    "num_tasks": some.sampled_from(["1", "5", "0", "50", "51", "x"]),
}


LONGEST_NAME = 20
"""Characters of a word that a message must contain if it names the word."""


class RefusedLineError(ValueError):
    """A line that ended with exit code 2; its message is what was printed on standard error."""


def run_line(words: Sequence[str]) -> None:
    """Run a command line in an empty folder.

    Raises:
        RefusedLineError: It was refused.
        AssertionError: It ended in another way than documented, or wrote something although it was refused.
    """
    out, err = io.StringIO(), io.StringIO()
    with _empty_folder() as folder, redirect_stdout(out), redirect_stderr(err):
        before = sorted(folder.rglob("*"))
        try:
            code: Any = main(list(words))
        except SystemExit as ended:  # of the parsers
            code = ended.code or 0
        written = [path.name for path in sorted(folder.rglob("*")) if path not in before]
    told = err.getvalue().strip()
    assert code in EXIT_CODES, f"exit code {code}: {told}"
    assert "Traceback" not in told + out.getvalue(), f"a traceback: {told}"
    assert not (written and (code or "--dry-run" in words)), f"exit code {code}, but it wrote {written}"
    if code and told.startswith("error: "):
        raise RefusedLineError(told)
    if code:  # a parser draws its errors in boxes of several lines
        raise RefusedLineError(f"refused by the parser: {quoted(words)}")


@contextmanager
def _empty_folder() -> Iterator[Path]:
    """A working folder with a few useless files."""
    before = Path.cwd()
    with TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "garbage.zip").write_bytes(b"PK garbage")
        (folder / "empty").write_bytes(b"")
        (folder / "folder").mkdir()
        os.chdir(folder)
        try:
            yield folder
        finally:
            os.chdir(before)


@contextmanager
def without_measuring() -> Iterator[None]:
    """Let dry runs check all their runs, and omit the measurement, which takes seconds."""
    with ExitStack() as stack:
        for place in PLANS:
            stack.enter_context(mock.patch(place, _check_entries))
        yield


def _check_entries(entries: Sequence[Entry], *rest: object) -> None:
    for entry in entries:
        assert entry.checked


def lines() -> some.SearchStrategy[Attempt]:
    """Command lines. A refusal names an option or a word, where the command has many."""
    return some.one_of(_with_settings(), _with_settings(), (_with_files() | _of_any_words()).map(_attempt))


def _attempt(words: list[str], names: tuple[str, ...] = ()) -> Attempt:
    return Attempt("cls-env", shlex.join(words), names, partial(run_line, words))


@some.composite
def _with_settings(draw: some.DrawFn) -> Attempt:
    """A command with up to three of its settings."""
    command = draw(some.sampled_from(sorted(CONFIGS)))
    added, kinds = CONFIGS[command]
    known = {field.name: field for kind in kinds for field in fields(kind) if field.name != "dry_run"}
    chosen = draw(some.lists(some.sampled_from(sorted(known)), max_size=3, unique=True))
    further = [word for name in chosen for word in draw(_option(name, known[name].default))]
    values = (word.partition(":")[0][:LONGEST_NAME] for word in further if not word.startswith("--"))
    return _attempt([*command.split(), *added, *further], (*chosen, *(value for value in values if len(value) > 1)))


@some.composite
def _option(draw: some.DrawFn, name: str, default: object) -> list[str]:
    option = f"--{name.replace('_', '-')}"
    if isinstance(default, bool):
        return [draw(some.sampled_from([option, option.replace("--", "--no-", 1)]))]
    usual = [str(value) for value in (default if isinstance(default, tuple) else [default])]
    values = some.one_of(some.just(usual), some.lists(_SPECIFIED.get(name, some.sampled_from(WORDS)), max_size=2))
    return [option, *draw(values)]


@some.composite
def _with_files(draw: some.DrawFn) -> list[str]:
    """A command that reads files, which are missing or useless, or that lists something."""
    command = draw(some.sampled_from(sorted(FURTHER)))
    words = some.sampled_from(FURTHER[command]) | some.sampled_from(FILES) | some.sampled_from(["-1", "0", "x"])
    return [command, *draw(some.lists(words, max_size=4))]


@some.composite
def _of_any_words(draw: some.DrawFn) -> list[str]:
    """Words that are no command."""
    word = some.sampled_from(WORDS) | some.text(max_size=6).filter(lambda text: text not in COMMANDS)
    return draw(some.lists(word, max_size=3))
