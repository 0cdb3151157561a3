"""Runs that are kept on another file system, and go on on another machine."""

from __future__ import annotations

import shutil
import signal
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import fsspec
import pytest

from cls_env.command_line.errors import ReportedError
from experiments.benchmarks.faults.same_results import differences
from experiments.config.entry import Entry
from experiments.config.settings import RunConfig
from experiments.execution.engines.local import LocalEngine
from experiments.execution.run_all import run_all
from experiments.execution.store import Store, done_in_store, progress_of, run_in_store
from experiments.runs.errors import RunFailedError
from experiments.runs.job import is_finished
from experiments.runs.run_folder import RunFolder
from experiments.runs.runner import run
from tests.experiments.runs.test_stopped_runs import signal_after

pytestmark = pytest.mark.long

CONFIG = RunConfig(dataset="digits", num_tasks=2, epochs=3, max_per_class=4, batch_size=4, device="cpu")
HERE = LocalEngine(0)


@pytest.fixture
def url() -> Iterator[str]:
    """A folder in memory."""
    yield "memory://runs"
    fsspec.filesystem("memory").rm("/runs", recursive=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = RunFolder(tmp_path_factory.mktemp("whole") / CONFIG.name)
    run(CONFIG, folder)
    return folder.path


def keep(folder: Path, url: str, listener: Any = lambda count: None) -> None:
    run_in_store(run, url, CONFIG, RunFolder(folder), listener, 0.0)


@pytest.mark.parametrize("images", [20, 80])
def test_a_stopped_run_goes_on_in_an_empty_folder(images: int, url: str, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        keep(tmp_path / "first" / CONFIG.name, url, signal_after(images, signal.SIGTERM))
    seen: list[int] = []
    folder = tmp_path / "second" / CONFIG.name
    keep(folder, url, seen.append)
    assert differences(folder, whole) == []
    assert sum(seen[:2]) >= images - 4 and not list(folder.glob(".*"))


@pytest.mark.slow
def test_a_killed_run_goes_on_after_its_last_checkpoint(url: str, whole: Path, tmp_path: Path) -> None:
    class KilledError(BaseException):
        pass

    class Killing(Store):
        def push(self, folder: Path) -> None:
            super().push(folder)
            if progress_of(folder)[1] == 1:
                raise KilledError

    folder = tmp_path / "first" / CONFIG.name
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KilledError):
        patch.setattr("experiments.execution.store.Store", Killing)
        keep(folder, url)
    shutil.rmtree(folder)
    keep(folder, url)
    assert differences(folder, whole) == []


def test_finished_runs_are_taken_from_the_store(url: str, whole: Path, tmp_path: Path) -> None:
    entries = [Entry("", "aepg", CONFIG)]
    first = run_all(entries, tmp_path / "first", HERE, store=url)
    second = run_all(entries, tmp_path / "second", HERE, store=url)
    assert first.drop(columns="folder").equals(second.drop(columns="folder"))
    assert differences(tmp_path / "second" / CONFIG.name, whole) == []


def test_a_run_that_was_finished_before_is_kept_too(url: str, whole: Path, tmp_path: Path) -> None:
    shutil.copytree(whole, tmp_path / "runs" / CONFIG.name)
    run_all([Entry("", "aepg", CONFIG)], tmp_path / "runs", HERE, store=url)
    assert Store(url).holds_finished(whole)


def test_a_folder_that_is_further_is_not_replaced(url: str, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        keep(tmp_path / "first" / CONFIG.name, url, signal_after(20, signal.SIGTERM))
    shutil.copytree(whole, tmp_path / "second" / CONFIG.name)
    keep(tmp_path / "second" / CONFIG.name, url)
    assert differences(tmp_path / "second" / CONFIG.name, whole) == []
    shutil.rmtree(tmp_path / "first")
    Store(url).pull(tmp_path / "first" / CONFIG.name)
    assert RunFolder(tmp_path / "first" / CONFIG.name).finished


def test_a_folder_whose_replacement_was_interrupted_is_replaced_again(
    url: str, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store(url).push(whole)
    folder, copied, copy = tmp_path / CONFIG.name, [], shutil.copyfile

    def interrupted(source: Path, target: Path) -> None:
        copied.append(target)
        if target.name == "metrics.json":
            raise KeyboardInterrupt
        copy(source, target)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shutil, "copyfile", interrupted)
        Store(url).pull(folder)
    assert len(copied) == len(list(folder.rglob("*.*"))) + 1 and not RunFolder(folder).finished
    Store(url).pull(folder)
    assert differences(folder, whole) == []


@pytest.mark.slow
def test_workers_keep_their_runs(whole: Path, tmp_path: Path) -> None:
    url = (tmp_path / "store").as_uri()
    run_all([Entry("", "aepg", CONFIG)], tmp_path / "runs", LocalEngine(1), store=url)
    assert [file.name for file in (tmp_path / "store").iterdir()] == [f"{CONFIG.name}.zip"]
    shutil.rmtree(tmp_path / "runs")
    Store(url).pull(tmp_path / "runs" / CONFIG.name)
    assert differences(tmp_path / "runs" / CONFIG.name, whole) == []


def hostile(content: dict[str, bytes], tmp_path: Path) -> Store:
    """A store of one archive."""
    (tmp_path / "store").mkdir()
    with zipfile.ZipFile(tmp_path / "store" / "run.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in content.items():
            archive.writestr(name, data)
    return Store((tmp_path / "store").as_uri())


@pytest.mark.parametrize(
    ("content", "words"),
    [({"../metrics.json": b"{}"}, "leads out of the folder"), ({"metrics.json": bytes(2**27)}, "times its size")],
)
def test_a_hostile_archive_is_refused(content: dict[str, bytes], words: str, tmp_path: Path) -> None:
    store = hostile(content, tmp_path)
    with pytest.raises(OSError, match=rf"run\.zip in --store .*{words}"):
        store.pull(tmp_path / "runs" / "run")
    assert [file.name for file in tmp_path.iterdir()] == ["store"]


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "run.zip").write_bytes(b"PK")
    with pytest.raises(OSError, match=r"run\.zip in --store file.*BadZipFile"):
        Store((tmp_path / "store").as_uri()).pull(tmp_path / "run")


def test_an_archive_of_another_run_does_not_replace_ours(url: str, whole: Path, tmp_path: Path) -> None:
    other = replace(CONFIG, seed=1)
    run(other, RunFolder(tmp_path / "other"))
    Store(url).push(shutil.copytree(tmp_path / "other", tmp_path / "archived" / CONFIG.name))
    folder = tmp_path / "runs" / CONFIG.name
    with pytest.raises(SystemExit):
        run(CONFIG, RunFolder(folder), signal_after(20, signal.SIGTERM))
    before = {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}
    with pytest.raises(RunFailedError, match=r"in --store memory://runs: .*it holds a run of another configuration"):
        run_all([Entry("", "aepg", CONFIG)], tmp_path / "runs", HERE, store=url)
    assert before == {file.name: file.read_bytes() for file in folder.iterdir() if file.is_file()}


def test_a_damaged_archive_stops_its_run_alone(url: str, tmp_path: Path) -> None:
    other = replace(CONFIG, seed=1)
    fsspec.filesystem("memory").pipe_file(f"/runs/{other.name}.zip", b"PK")
    entries = [Entry("", "aepg", CONFIG), Entry("", "aepg", other)]
    with pytest.raises(RunFailedError, match=r"seed1.*BadZipFile.*the other one is finished"):
        run_all(entries, tmp_path, HERE, store=url)


def test_a_newer_folder_replaces_an_archive_of_an_unfinished_run(url: str, whole: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        keep(tmp_path / "first" / CONFIG.name, url, signal_after(20, signal.SIGTERM))
    memory = fsspec.filesystem("memory")
    assert [Path(each).name for each in memory.ls("/runs", detail=False)] == [f"{CONFIG.name}.unfinished.zip"]
    assert done_in_store(is_finished, url, RunFolder(whole))
    assert [Path(each).name for each in memory.ls("/runs", detail=False)] == [f"{CONFIG.name}.zip"]


def test_file_systems_that_are_not_there_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nowhere"):
        Store("nowhere://bucket")
    if not _has("s3fs"):
        with pytest.raises(ReportedError, match=r"--store s3://bucket: .*s3fs"):
            Store("s3://bucket")


def _has(package: str) -> bool:
    from importlib.util import find_spec

    return find_spec(package) is not None


def test_every_checkpoint_is_kept_once(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed: list[Any] = []
    push = Store.push
    monkeypatch.setattr(Store, "push", lambda store, folder: (pushed.append(progress_of(folder)), push(store, folder)))
    run_in_store(run, url, CONFIG, RunFolder(tmp_path / CONFIG.name), lambda count: None, checkpoint_every=60.0)
    assert [progress[:2] for progress in pushed] == [(False, 1), (True, 0)]
