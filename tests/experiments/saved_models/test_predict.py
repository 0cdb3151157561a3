"""`cls-env predict` answers for files, folders and archives."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import tarfile
from pathlib import Path

import pytest

from agents import load_agent
from experiments.__main__ import main

pytestmark = pytest.mark.long


def predict(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the command."""
    code = main(["predict", *map(str, words), "--device", "cpu"])
    printed = capsys.readouterr()
    return code, printed.out, printed.err


@pytest.fixture
def mixed(image_tree: Path, tmp_path: Path) -> Path:
    """A folder of images in folders, with files that are not images, and two that can't be decoded."""
    folder = Path(shutil.copytree(image_tree / "test", tmp_path / "mixed"))
    (folder / "cat" / "notes.txt").write_text("x")
    (folder / ".hidden.png").write_bytes(b"")
    (folder / "dog" / "broken.png").write_bytes((folder / "dog" / "0.png").read_bytes()[:100])
    (folder / "dog" / "phone.heic").write_bytes(b"x")
    return folder


def test_json_holds_what_classify_answers(
    model_file: Path, image_tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = predict(capsys, model_file, image_tree / "test", "--json", "--top", 2, "--batch-size", 5)
    found = json.loads(out)
    files = sorted((image_tree / "test").rglob("*.png"))
    assert (code, err) == (0, "") and [entry["file"] for entry in found] == [str(file) for file in files]
    wanted = load_agent(model_file, device="cpu").classify(files, top=2)
    for entry, answer in zip(found, wanted, strict=True):
        assert [each["class"] for each in entry["predictions"]] == [each.name for each in answer]
        assert [each["probability"] for each in entry["predictions"]] == pytest.approx(
            [each.probability for each in answer], rel=1e-4
        )


def test_csv_and_table_say_the_same(model_file: Path, image_tree: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [image_tree / "test" / name / "0.png" for name in ("cat", "brücke")]
    code, out, _ = predict(capsys, model_file, *files, "--csv", "--top", 1)
    rows = list(csv.DictReader(io.StringIO(out)))
    assert code == 0 and [row["file"] for row in rows] == [str(file) for file in files]
    assert [row["rank"] for row in rows] == ["1", "1"]
    _, table, _ = predict(capsys, model_file, *files, "--top", 1)
    lines = table.splitlines()
    assert [word in lines[0] for word in ("file", "class", "probability")] == [True] * 3
    for row in rows:
        line = next(line for line in lines if row["file"] in line)
        assert row["class"] in line and f"{float(row['probability']):.1%}" in line


def test_what_is_left_out_and_what_fails(model_file: Path, mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = predict(capsys, model_file, mixed, "--json")
    assert code == 2 and len(json.loads(out)) == 12
    assert "left out: 1 hidden files" in err and "left out: 1 files that are not images (.txt)" in err
    assert "broken.png can't be decoded" in err and "phone.heic: the image format .heic is not supported" in err
    assert err.splitlines()[-1] == "error: 2 images can't be decoded; the lines above say which"


def test_archives_are_folders(
    model_file: Path, image_tree: Path, image_zip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = tmp_path / "test.tar.gz"
    with tarfile.open(packed, "w:gz") as archive:
        archive.add(image_tree / "test", "test")
    answers = []
    for place, top in ((image_tree, image_tree), (image_zip, image_zip), (packed, packed)):
        code, out, _ = predict(capsys, model_file, place, "--json")
        found = {str(Path(each["file"]).relative_to(top)): each["predictions"] for each in json.loads(out)}
        assert code == 0
        answers.append({name: found[name] for name in found if name.startswith("test/")})
    assert answers[0] == answers[1] and len(answers[0]) == 12
    assert {name: each[0]["class"] for name, each in answers[0].items()} == {
        name: each[0]["class"] for name, each in answers[2].items()
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["MODEL", "nothing.png"], "nothing.png does not exist; give an image, or a folder"),
        (["nothing.zip", "IMAGE"], "no saved model at nothing.zip"),
        (["MODEL", "IMAGE", "--json", "--csv"], "choose one"),
        (["MODEL", "IMAGE", "--top", "0"], "top must be a whole number of at least 1"),
        (["MODEL", "IMAGE", "--imports", "no_such_module"], "--imports no_such_module can't be imported"),
        (["MODEL", "EMPTY"], "there are no images in"),
    ],
)
def test_wrong_input_is_one_line(
    words: list[str],
    message: str,
    model_file: Path,
    image_tree: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {"MODEL": model_file, "IMAGE": image_tree / "test" / "cat" / "0.png", "EMPTY": tmp_path}
    code, out, err = predict(capsys, *[places.get(word, word) for word in words])
    assert (code, out) == (2, "") and err.startswith("error: ") and message in err and len(err.splitlines()) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused(model_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    os.mkfifo(tmp_path / "pipe")
    for words in ([str(model_file), str(tmp_path / "pipe")], [str(tmp_path / "pipe"), str(tmp_path)]):
        assert main(["predict", *words, "--device", "cpu"]) == 2
        assert "pipe is not a regular file" in capsys.readouterr().err
