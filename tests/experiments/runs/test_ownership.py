"""A run folder has one owner, and the processes of a comparison end with it."""

from __future__ import annotations

import json
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from experiments.__main__ import main
from experiments.config.settings import RunConfig
from experiments.runs.errors import FolderInUseError
from experiments.runs.ownership import PATIENCE as ALIVE
from experiments.runs.ownership import owned
from experiments.runs.run_folder import RunFolder
from experiments.runs.runner import run
from experiments.runs.step_log import step_log

pytestmark = pytest.mark.long

SMALL = RunConfig(dataset="digits", num_tasks=2, epochs=1, max_per_class=4, device="cpu")
PASSING = {"seconds", "images_per_second", "peak_memory_bytes"}
PATIENCE = 120.0
ROOT = Path(__file__).parents[3]
needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="processes are looked up in Linux's /proc")


def wait_for(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_a_link_to_nowhere_is_not_owned(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to(tmp_path / "away")
    with pytest.raises(OSError, match=r"out links to .*away, which is missing: make it"), owned(tmp_path / "out"):
        pass


def test_another_owner_is_refused_with_who_it_is_and_nothing_is_left(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    with owned(folder):
        with pytest.raises(FolderInUseError) as refused, owned(folder):
            pass
        here = f"in use by process {os.getpid()} on {platform.node()}: wait until it ends, or choose another --out"
        assert str(refused.value) == f"{folder} is {here}"
    assert list(tmp_path.iterdir()) == []
    folder.mkdir(parents=True)
    (folder / ".lock").touch()  # of a process that was killed
    (folder / ".owner").write_text("{")
    with owned(folder):
        (folder / "mine").touch()
    assert [file.name for file in folder.iterdir()] == ["mine"]


def test_a_folder_of_a_process_that_was_killed_is_taken_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".owner").write_text(json.dumps({"pid": 7, "host": platform.node()}))
    with owned(tmp_path):
        said = capsys.readouterr().err
    assert (
        f"in use by process 7 on {platform.node()}, which ended without finishing; this process takes it over" in said
    )


def test_an_owner_on_another_machine_is_alive_while_it_touches_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As on a shared file system that knows locks on each machine by itself."""
    owner = tmp_path / ".owner"
    owner.write_text(json.dumps({"pid": 7, "host": "node12"}))
    with pytest.raises(FolderInUseError, match="in use by process 7 on node12, or was 0 seconds ago"), owned(tmp_path):
        pass
    assert owner.exists() and not capsys.readouterr().err
    earlier = owner.stat().st_mtime - ALIVE - 1
    os.utime(owner, (earlier, earlier))
    with owned(tmp_path):
        assert "process 7 on node12, which ended" in capsys.readouterr().err
        assert json.loads(owner.read_text())["pid"] == os.getpid()


def test_an_owner_touches_its_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("experiments.runs.ownership.BEAT", 0.01)
    with owned(tmp_path):
        os.utime(tmp_path / ".owner", (1, 1))
        wait_for(lambda: (tmp_path / ".owner").stat().st_mtime > 1)


def test_a_run_is_refused_while_another_writes_it_and_read_when_it_is_finished(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with owned(folder.path):
        with pytest.raises(FolderInUseError):
            run(SMALL, folder)
        assert not (folder.path / "config.json").exists()
    metrics = run(SMALL, folder)
    with owned(folder.path):  # as if it could not be written
        before = {file: file.stat().st_mtime_ns for file in folder.path.rglob("*")}
        assert run(SMALL, folder) == metrics
        assert before == {file: file.stat().st_mtime_ns for file in folder.path.rglob("*")}


@pytest.mark.parametrize("command", [["compare"], ["bounds"], ["rl"], ["study", "entropy"], ["presets", "label-noise"]])
def test_a_comparison_in_a_second_terminal_is_refused_before_any_work(
    command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with owned(tmp_path / "out"):
        small = ["--dataset", "digits", "--num-tasks", "2", "--seeds", "0"]
        assert main([*command, *small, "--out", str(tmp_path / "out")]) == 2
        assert f"in use by process {os.getpid()} on {platform.node()}" in capsys.readouterr().err
        assert {file.name for file in (tmp_path / "out").iterdir()} == {".lock", ".owner"}


FAMILY = """
import multiprocessing, os, subprocess, sys, time
from cls_env.command_line.processes import end_with

def work():
    end_with(os.getppid())
    print(os.getpid(), flush=True)
    time.sleep(600)

if sys.argv[1:]:
    work()
multiprocessing.get_context("fork").Process(target=work).start()
subprocess.Popen([sys.executable, __file__, "child"])
time.sleep(600)
"""


@needs_proc
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_workers_end_with_their_parent(number: signal.Signals, tmp_path: Path) -> None:
    """Both those of multiprocessing and those that some other library starts."""
    (tmp_path / "family.py").write_text(FAMILY)
    command = [sys.executable, str(tmp_path / "family.py")]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        assert parent.stdout is not None
        children = [parent.stdout.readline().strip() for _ in range(2)]
        try:
            assert all(alive(child) for child in children)
            parent.send_signal(number)
            assert parent.wait() == -number
            wait_for(lambda: not any(alive(child) for child in children), 20.0)
        finally:
            parent.kill()
            for child in filter(alive, children):
                os.kill(int(child), signal.SIGKILL)


@needs_proc
@pytest.mark.slow
def test_workers_end_with_a_killed_comparison_which_then_goes_on_to_the_same_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, config = tmp_path / "out", replace(SMALL, epochs=3, max_per_class=10, objective="ce")
    words = f"compare --dataset digits --num-tasks 2 --epochs {config.epochs} --max-per-class {config.max_per_class}"
    words += f" --device cpu --objectives ce --label-noise 0 --seeds 0 1 --workers 1 --out {out}"
    running, waiting = (out / "runs" / replace(config, seed=seed).name for seed in (0, 1))
    with (tmp_path / "printed").open("w") as printed:
        command = [sys.executable, "-m", "experiments", *words.split()]
        process = subprocess.Popen(command, stdout=printed, stderr=printed)
    try:
        logs = (running / "steps").glob
        wait_for(lambda: process.poll() is not None or any(log.stat().st_size for log in logs("*0.csv")))
        assert process.poll() is None, (tmp_path / "printed").read_text()
        with pytest.raises(FolderInUseError, match=f"in use by process {process.pid} on "), owned(out):
            pass
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        assert children
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    wait_for(lambda: not any(alive(child) for child in children))
    assert not (running / "metrics.json").exists()
    assert not waiting.exists()  # no worker has begun the next run
    monkeypatch.setattr("experiments.reports.figures.comparison_figures", lambda *_: {})  # they take seconds to draw
    assert main(words.split()) == 0
    assert RunFolder(waiting).finished
    undisturbed = RunFolder(tmp_path / "whole")
    whole, gone_on = run(config, undisturbed), RunFolder(running).metrics()
    assert {key: value for key, value in gone_on.items() if key not in PASSING} == {
        key: value for key, value in whole.items() if key not in PASSING
    }
    assert len(RunFolder(running).read_steps()) == len(undisturbed.read_steps())
    assert not list(out.rglob(".*"))


def alive(process: str) -> bool:
    """Whether a process runs; one that waits for its end to be noticed does not."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return False
    return "State:\tZ" not in status


def test_columns_of_step_logs_come_in_one_order(tmp_path: Path) -> None:
    log = step_log(tmp_path / "steps", "_task0")
    log.write({f"train/{letter}": 1.0 for letter in "hgfedcba"}, {})
    log.write({f"{group}/{letter}": 1.0 for group in ("train", "rollout") for letter in "hgfedcba"}, {})
    log.close()
    head = (tmp_path / "steps" / "progress_task0.csv").read_text().splitlines()[0]
    assert head == ",".join(f"{group}/{letter}" for group in ("train", "rollout") for letter in "abcdefgh")
