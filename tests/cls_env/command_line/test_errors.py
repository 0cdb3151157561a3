from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cls_env import DATASETS, load_dataset
from cls_env.__main__ import main
from cls_env.datasets.storage.store import list_stores

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[3]


def test_every_set_is_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["datasets"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in DATASETS)


def test_cache_is_shown_and_freed(
    image_tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CLS_ENV_CACHE", str(tmp_path))
    load_dataset("folder", root=image_tree)
    assert main(["cache", "list"]) == 0
    assert "36 images" in capsys.readouterr().out
    assert main(["cache", "clear", "elsewhere"]) == 2
    assert "there are stores of: folder:images" in capsys.readouterr().err
    assert main(["cache", "clear"]) == 2
    printed = capsys.readouterr()
    assert "36 images" in printed.out and "--yes" in printed.err and printed.err.count("\n") == 1
    assert main(["cache", "clear", "--yes"]) == 0
    capsys.readouterr()
    assert main(["cache", "list"]) == 0
    assert capsys.readouterr().out.startswith("0 stores, 0 MiB")


@pytest.mark.parametrize(("answer", "left"), [("n", 1), ("", 1), ("y", 0), ("Yes", 0)])
def test_a_cache_is_freed_after_asking(
    answer: str,
    left: int,
    image_tree: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CLS_ENV_CACHE", str(tmp_path))
    load_dataset("folder", root=image_tree, image_size=8)
    typed = io.StringIO(f"{answer}\n")
    monkeypatch.setattr(typed, "isatty", lambda: True)
    monkeypatch.setattr("sys.stdin", typed)
    assert main(["cache", "clear"]) == 0
    assert "remove these stores? [y/N]" in capsys.readouterr().out
    assert len(list_stores()) == left


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cifr10", "did you mean 'cifar10'"),
        ("clrs25", "download it from"),
        ("digits", "digits has no download"),
    ],
)
def test_wrong_downloads(name: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["download", name, "--root", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_download_of_what_is_there_does_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in ("images", "meta"):
        (tmp_path / "food-101" / folder).mkdir(parents=True)
    (tmp_path / "food-101" / "meta" / "train.json").write_text("{}")
    assert main(["download", "food101", "--root", str(tmp_path)]) == 0
    assert str(tmp_path) in capsys.readouterr().out


def test_any_error_is_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("CLS_ENV_CACHE", "~no-such-user/cache")
    assert main(["cache", "list"]) in (1, 2)
    printed = capsys.readouterr().err
    assert printed.startswith("error: ") and printed.count("\n") == 1 and "Traceback" not in printed
    assert main(["cache", "--debug", "list"]) in (1, 2)
    printed = capsys.readouterr().err
    assert printed.startswith("Traceback") and "error: " in printed
    assert main(["--help"]) == 0
    assert "--debug, anywhere on the line" in " ".join(capsys.readouterr().out.split())


class _Interrupt:
    """Presses Ctrl-C while the commands are imported."""

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name == "cls_env.commands.datasets":
            raise KeyboardInterrupt


def test_interrupted_imports_leave_no_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cache", "list"]) == 0
    monkeypatch.delitem(sys.modules, "cls_env.commands.datasets")
    monkeypatch.setattr(sys, "meta_path", [_Interrupt(), *sys.meta_path])
    assert main(["datasets"]) == 130
    assert capsys.readouterr().err == "interrupted; if the command saves its progress, running it again resumes it\n"


def test_any_terminal_and_a_reader_that_goes_away(tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii", "CLS_ENV_CACHE": str(tmp_path)}
    store = tmp_path / "stores" / "für"
    store.mkdir(parents=True)
    words = [sys.executable, "-m", "cls_env", "cache", "list"]
    found = subprocess.run(words, env=environment, capture_output=True, check=True)
    assert b"f\\xfcr" in found.stdout and found.stderr == b""
    process = subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    assert (process.stderr.read(), process.wait()) == (b"", 1)
    process.stderr.close()


def test_glyphs_need_no_backend_and_leave_the_callers() -> None:
    code = "import cls_env.datasets.glyphs.masks, matplotlib, os; print(os.environ['MPLBACKEND'])"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "MPLBACKEND": "nonsense"}
    subprocess.run([sys.executable, "-c", code], env=environment, check=True)
    environment["MPLBACKEND"] = "module://of_ones_own"
    code += "; print(matplotlib.rcParams['backend'])"
    found = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["module://of_ones_own"] * 2
