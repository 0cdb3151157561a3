"""Which runs are on the page, that nothing can leave its place in it, and the command."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cls_env
from experiments.__main__ import main
from experiments.report_page.collect import Collection, collect, recorded_commands, run_folders
from experiments.report_page.page import asset, render

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[3]


def data_of(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)
    assert found is not None
    return json.loads(found[1])  # type: ignore[no-any-return]


def runs_in(folder: Path) -> Collection:
    return collect(run_folders([folder]))


@pytest.fixture
def copied(comparison: Path, tmp_path: Path) -> Path:
    """A copy of the runs, to damage."""
    return Path(shutil.copytree(comparison / "runs", tmp_path / "runs"))


def test_comparisons_write_their_reports(comparison: Path, algorithms: Path) -> None:
    data = data_of((comparison / "report.html").read_text(encoding="utf-8"))
    assert [contender["name"] for contender in data["contenders"]] == ["CE", "aEPG"]
    assert data["settings"] == ["glyphs, label noise 0 %", "glyphs, label noise 50 %"]
    assert {tuple(row["seeds"]) for row in data["rows"]} == {(0, 1)}
    assert data_of((algorithms / "report.html").read_text(encoding="utf-8"))["contenders"][1]["name"] == "PPO"


def test_the_command_reads_runs_of_any_command(
    comparison: Path, algorithms: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "both.html"
    assert main(["report", str(comparison), str(algorithms), str(comparison / "runs"), "--out", str(out)]) == 0
    assert capsys.readouterr().out == f"report of 10 runs {out}\n"
    html = out.read_text(encoding="utf-8")
    assert len(data_of(html)["rows"]) == 6 and len(html) < 2_000_000


def test_commands_are_those_that_tables_name(tmp_path: Path) -> None:
    for name, command in {"a": "cls-env compare --seeds 1", "b": "cls-env rl"}.items():
        (tmp_path / name / "runs").mkdir(parents=True)
        (tmp_path / name / "table.md").write_text(f"| table |\n\nMade by `{command}`.\n", encoding="utf-8")
    expected = ["cls-env compare --seeds 1", "cls-env rl"]
    assert sorted(recorded_commands([tmp_path / "a", tmp_path / "b" / "runs"])) == expected


def test_runs_that_are_not_finished_or_damaged_are_named(copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folders = sorted(copied.iterdir())
    (folders[0] / "metrics.json").unlink()
    (folders[1] / "accuracy_matrix.csv").write_text("nonsense")
    (folders[2] / "config.json").write_text("{")
    shutil.copytree(folders[3], copied / "twice")
    other = copied / "exported"
    other.mkdir()
    (other / "config.json").write_text('{"architecture": "vit"}')
    found = runs_in(copied)
    reasons = {path.name: reason.partition(":")[0] for path, reason in found.left_out}
    assert len(found.runs) == 5 and reasons == {
        folders[0].name: "not finished",
        folders[1].name: "damaged",
        folders[2].name: "damaged",
        "twice": f"the same run as {folders[3]}",
    }
    assert main(["report", str(copied), "--out", str(copied / "page.html")]) == 0
    assert "and 3 more, which the page names" in capsys.readouterr().err
    assert "not finished" in (copied / "page.html").read_text(encoding="utf-8")


def test_runs_that_learn_the_same_are_taken_once(copied: Path) -> None:
    first = sorted(copied.iterdir())[0]
    shutil.copytree(first, copied / "again")
    config = json.loads((first / "config.json").read_text())
    (copied / "again" / "config.json").write_text(json.dumps(config | {"cache_features": not config["cache_features"]}))
    found = runs_in(copied)
    assert len(found.runs) == 8 and [path.name for path, _ in found.left_out] in (["again"], [first.name])


def test_links_to_runs_are_followed(copied: Path, tmp_path: Path) -> None:
    links = tmp_path / "links"
    links.mkdir()
    for folder in sorted(copied.iterdir())[:2]:
        (links / folder.name).symlink_to(folder)
    (links / "circle").symlink_to(links)
    assert len(runs_in(links).runs) == 2


def test_odd_files_of_one_run_leave_the_others(copied: Path) -> None:
    folders = sorted(copied.iterdir())
    file = folders[0] / "predictions" / "after_task_1.npz"
    with np.load(file) as arrays:
        np.savez(file, **{name: values for name, values in arrays.items() if name != "confidence"})
    file = folders[2] / "predictions" / "after_task_1.npz"
    with np.load(file) as arrays:
        np.savez(file, **{name: values[:1] if name == "labels" else values for name, values in arrays.items()})
    card = json.loads((folders[4] / "protocol.json").read_text())
    del card["stream"]["images_sha256"]
    (folders[4] / "protocol.json").write_text(json.dumps(card))
    config = json.loads((folders[6] / "config.json").read_text())
    (folders[6] / "config.json").write_text(json.dumps(config | {"seed": "zero"}))
    found = runs_in(copied)
    assert [path for path, _ in found.left_out] == [folders[6]]
    html = render(found)
    assert "have no confidence" in html and "arrays of different lengths" in html
    assert len(data_of(html)["rows"]) == 4


def test_images_are_loaded_without_the_modules_of_the_run(copied: Path) -> None:
    for folder in copied.iterdir():
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"imports": ["no_such_module"], "objective": "own"}))
    data = data_of(render(runs_in(copied)))
    assert data["pictures"] and all(picture for row in data["rows"] for picture, *_ in row["errors"])


def test_damaged_predictions_and_missing_images_are_remarks(copied: Path) -> None:
    folders = sorted(copied.iterdir())
    (folders[0] / "predictions" / "after_task_1.npz").write_bytes(b"nonsense")
    for folder in folders[2:]:
        card = json.loads((folder / "protocol.json").read_text())
        card["stream"]["images_sha256"] = "0" * 64
        (folder / "protocol.json").write_text(json.dumps(card))
    html = render(runs_in(copied))
    assert "after_task_1.npz can&#39;t be read" in html and "the images have changed since the run" in html
    rows = data_of(html)["rows"]
    assert all(row["stats"] and row["accuracy"]["tasks"] for row in rows)
    assert all(picture is None for row in rows[1:] for picture, *_ in row["errors"])


def test_names_can_not_leave_their_place(copied: Path) -> None:
    evil = "</script><img src=x onerror=alert(1)>"
    for number, folder in enumerate(sorted(copied.iterdir())):
        text = (folder / "protocol.json").read_text()
        card = json.loads(text)
        card["stream"]["tasks"][0]["classes"][0] = evil
        (folder / "protocol.json").write_text(json.dumps(card))
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"objective": f"{evil}{config['objective']}"}))
        folder.rename(copied / f"<b>{number}&")
    (copied / "<i>unfinished").mkdir()
    shutil.copy(copied / "<b>0&" / "config.json", copied / "<i>unfinished")
    html = render(runs_in(copied), [f"cls-env {evil}"])
    assert "<img src=x" not in html and "<b>" not in html and "<i>" not in html
    assert html.count("</script>") == 3
    data = data_of(html)
    assert evil in data["streams"][0]["classes"] and evil in data["contenders"][0]["name"]


def test_measures_without_a_value_are_left_out(copied: Path) -> None:
    for folder in copied.iterdir():
        metrics = json.loads((folder / "metrics.json").read_text())
        (folder / "metrics.json").write_text(json.dumps(metrics | {"ece": float("nan"), "nll": None}))
    data = data_of(render(runs_in(copied)))
    assert not {"ece", "nll"} & {measure["name"] for measure in data["measures"]}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "no folders are given"),
        (["missing"], "does not exist: give the folder of a run"),
        (["file.txt"], "is a file: give the folder of a run"),
        (["empty"], "no finished run to report"),
        (["empty", "--out", "empty"], "is a folder: give the name of a file"),
    ],
)
def test_bad_input_is_one_line(
    words: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "file.txt").touch()
    assert main(["report", *words]) == 2
    said = capsys.readouterr().err
    assert message in said and said.count("\n") == 1
    assert sorted(file.name for file in tmp_path.iterdir()) == ["empty", "file.txt"]


def test_the_page_cites_as_the_citation_file_does(comparison: Path) -> None:
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    html = asset("template.html")
    quoted = [line.partition("title: ")[2].strip('"') for line in text.splitlines() if "title: " in line]
    assert len(quoted) == 2 and all(title in html for title in quoted)
    families = re.findall(r"family-names: (\w+)", text)
    assert " and ".join(families) in html and "arXiv:2602.14078" in html
    assert f"version = {{{cls_env.__version__}}}" in (comparison / "report.html").read_text(encoding="utf-8")
