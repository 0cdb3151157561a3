from __future__ import annotations

from pathlib import Path

import pytest

from cls_env import DATASETS, load_dataset
from cls_env.__main__ import main


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
    assert main(["cache", "clear"]) == 0
    capsys.readouterr()
    assert main(["cache", "list"]) == 0
    assert capsys.readouterr().out.startswith("0 stores, 0 MiB")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cifr10", "did you mean 'cifar10'"),
        ("clrs25", "fetch it by hand"),
        ("digits", "digits needs no download"),
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
