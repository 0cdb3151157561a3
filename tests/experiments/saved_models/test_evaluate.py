"""`cls-env evaluate` measures a saved model on labeled images."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from agents import load_agent
from experiments.__main__ import main
from experiments.runs.metrics import expected_calibration_error
from experiments.saved_models.evaluation import Evaluation
from experiments.saved_models.labeled_images import find_labeled_images

FILES = {"metrics.json", "per_class.csv", "confusion.csv", "confusion.png", "confusion.pdf"}


def evaluate(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the command."""
    code = main(["evaluate", *map(str, words), "--device", "cpu"])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.fixture
def small() -> Evaluation:
    """Three classes, the last of which has no images."""
    probabilities = np.array([0.9, 0.8, 0.6, 0.7], dtype=np.float32)
    return Evaluation(
        ("a", "b", "c"),
        np.array([0, 0, 0, 1]),
        np.array([0, 1, 2, 1]),
        probabilities,
        np.log(np.array([0.9, 0.1, 0.2, 0.7], dtype=np.float32)),
    )


def test_measures_by_hand(small: Evaluation) -> None:
    found = small.measures
    assert found["accuracy"] == 0.5 and found["macro_accuracy"] == pytest.approx((1 / 3 + 1) / 2)
    assert found["nll"] == pytest.approx(-np.log([0.9, 0.1, 0.2, 0.7]).mean(), rel=1e-6)
    assert found["ece"] == expected_calibration_error(small.confidence, np.array([True, False, False, True]))
    assert small.confusion.tolist() == [[1, 1, 1], [0, 1, 0], [0, 0, 0]]
    assert small.per_class == [("a", 3, 1, 1 / 3), ("b", 1, 1, 1.0)]
    assert small.confusions == [("a", "b", 1), ("a", "c", 1)] and small.untested_names == ["c"]


@pytest.mark.long
def test_files_hold_what_classify_answers(
    model_file: Path, image_tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    code, printed, _ = evaluate(capsys, model_file, "--root", image_tree, "--out", out, "--batch-size", 5)
    assert code == 0 and {file.name for file in out.iterdir()} == FILES
    metrics = json.loads((out / "metrics.json").read_text(encoding="utf-8"))
    agent = load_agent(model_file, device="cpu")
    files = sorted((image_tree / "test").rglob("*.png"))
    first = [answer[0].name for answer in agent.classify(files)]
    right = [name == file.parent.name for name, file in zip(first, files, strict=True)]
    assert metrics["images"] == 12 and metrics["accuracy"] == np.mean(right) and 0 < metrics["nll"] < 10
    assert f"{metrics['accuracy']:.1%}" in printed and "expected calibration error" in printed
    with (out / "confusion.csv").open(encoding="utf-8", newline="") as file:
        heading, *rows = csv.reader(file)
    assert heading == ["true \\ predicted", "apple", "brücke", "cat", "dog"]
    counts = np.array([[int(count) for count in row[1:]] for row in rows])
    assert counts.sum(axis=1).tolist() == [3] * 4 and counts.trace() == sum(right)


@pytest.mark.long
def test_a_folder_without_splits_is_tested_whole(
    model_file: Path, image_tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for root, more, images in (
        (image_tree / "test", [], 12),
        (image_tree, ["--split", "train"], 24),
        (image_tree / "train", ["--options", "test_fraction=0.5"], 12),
    ):
        code, _, _ = evaluate(capsys, model_file, "--root", root, *more, "--out", tmp_path)
        assert code == 0 and json.loads((tmp_path / "metrics.json").read_text())["images"] == images


@pytest.mark.long
def test_classes_are_matched_by_name(
    model_file: Path, image_tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "tree"
    for source, name in (("apple", "zebra"), ("dog", "dog"), ("cat", "cat")):
        shutil.copytree(image_tree / "test" / source, root / name)
    code, _, err = evaluate(capsys, model_file, "--root", root)
    assert code == 2 and "has not learned 'zebra'" in err and "cls-env continue" in err and "--known-only" in err
    code, out, _ = evaluate(capsys, model_file, "--root", root, "--known-only", "--out", tmp_path / "out")
    assert code == 0 and "of the model's classes: apple, brücke" in out
    assert "left out: 3 images of classes that the model has not learned" in out
    with (tmp_path / "out" / "per_class.csv").open(encoding="utf-8", newline="") as file:
        assert [(row["class"], row["images"]) for row in csv.DictReader(file)] == [("cat", "3"), ("dog", "3")]


@pytest.mark.long
def test_undecodable_images(
    model_file: Path, image_tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(shutil.copytree(image_tree / "test", tmp_path / "tree"))
    (root / "dog" / "broken.png").write_bytes(b"x")
    code, _, err = evaluate(capsys, model_file, "--root", root)
    assert code == 2 and "broken.png can't be decoded" in err and "on_error=skip" in err
    code, out, _ = evaluate(capsys, model_file, "--root", root, "--options", "on_error=skip")
    assert code == 0 and "left out: 1 files that can't be decoded" in out


@pytest.mark.parametrize(
    ("words", "split", "message"),
    [
        (["resize=pad"], "test", "resize can't be chosen"),
        (["leaf_clases=true"], "test", "did you mean 'leaf_classes'"),
        (["seed=1", "seed=2"], "test", "names seed twice"),
        ([], "validation", "has no validation split"),
        ([], "tests", "did you mean 'test'"),
    ],
)
def test_wrong_options_are_named(words: list[str], split: str, message: str, image_tree: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        find_labeled_images(image_tree, words, split, tmp_path)
    with pytest.raises(ValueError, match="no split folders"):
        find_labeled_images(image_tree / "test", [], "train", tmp_path)
