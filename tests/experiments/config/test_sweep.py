"""A sweep runs the combinations that its file lists, and a wrong file is refused in a line."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from experiments.__main__ import main
from experiments.config.settings import RunConfig
from experiments.config.sweep import read_sweep

TOML = """
baseline = "epg + lora"
[constants]
dataset = "digits"
epochs = 2
[axes]
label_noise = [0.0, 0.2]
objective = ["ce", "epg"]
module = [{peft = "lora"}, {peft = "adapter", learning_rate = 0.001, name = "adapter, fast"}]
seed = [3, 4]
"""
YAML = """
baseline: epg + lora
constants: {dataset: digits, epochs: 2}
axes:
  label_noise: [0.0, 0.2]
  objective: [ce, epg]
  module:
    - {peft: lora}
    - {peft: adapter, learning_rate: 0.001, name: "adapter, fast"}
  seed: [3, 4]
"""


def written(folder: Path, text: str, name: str = "sweep.toml") -> Path:
    file = folder / name
    file.write_text(text)
    return file


def test_all_combinations_are_run(tmp_path: Path) -> None:
    sweep = read_sweep(written(tmp_path, TOML))
    assert len(sweep.entries) == 16 and sweep.baseline == "epg + lora"
    assert [entry.config.seed for entry in sweep.entries[:3]] == [3, 4, 3]  # the last axis varies fastest
    assert list(dict.fromkeys(entry.condition for entry in sweep.entries)) == ["0% label noise", "20% label noise"]
    contenders = ["ce + lora", "ce + adapter, fast", "epg + lora", "epg + adapter, fast"]
    assert list(dict.fromkeys(entry.contender for entry in sweep.entries)) == contenders
    last = RunConfig(
        dataset="digits", epochs=2, label_noise=0.2, objective="epg", peft="adapter", learning_rate=0.001, seed=4
    )
    assert sweep.entries[-1].config == last


def test_yaml_and_toml_are_the_same(tmp_path: Path) -> None:
    assert read_sweep(written(tmp_path, YAML, "sweep.yaml")) == read_sweep(written(tmp_path, TOML))


def test_what_does_not_vary_is_not_named(tmp_path: Path) -> None:
    sweep = read_sweep(written(tmp_path, '[constants]\nobjective = "epg"\n[axes]\nseed = [0, 1]\n'))
    assert {(entry.condition, entry.contender) for entry in sweep.entries} == {("0% label noise", "epg")}
    numbers = read_sweep(written(tmp_path, "[axes]\nnum_tasks = [2, 5]\nlearning_rate = [0.001]\n"))
    assert [(entry.condition, entry.contender) for entry in numbers.entries] == [
        ("num tasks 2", "learning rate 0.001"),
        ("num tasks 5", "learning rate 0.001"),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[axis]\nseed = [0]", r"unknown section of .*sweep\.toml 'axis'.*did you mean 'axes'"),
        ("[axes]\nsead = [0]", r"unknown setting in axes of .*sweep\.toml 'sead'.*'seed'"),
        ("[constants]\nepoch = 3", r"unknown setting in constants of .* 'epoch'.*'epochs'"),
        ("[axes]\nseed = 3", "axis seed must be a list of values, not 3"),
        ("[axes]\nseed = []", r"axis seed must be a list of values, not \[\]"),
        ("axes = 3", "axes must be settings by name, not 3"),
        ("[axes]\nseed = ['x']", r"sweep\.toml: seed must be a whole number, not 'x'"),
        ("[axes]\nmodule = [{name = 'x'}]", "a table of axis module has no settings"),
        ("[axes]\nmodule = [{pef = 'lora'}]", "unknown setting in axis module of .* 'pef'"),
        ("[constants]\nseed = 1\n[axes]\nseed = [0]", "gives seed in several places"),
        ("baseline = 'ce'\n[axes]\nobjective = ['epg']", "baseline is 'ce', and the contenders are: epg"),
        ("[axes]\nseed = [0", "can't be read as a sweep: "),
        (
            f"[axes]\nseed = {list(range(400))}\nepochs = {list(range(1, 400))}",
            "has 159,600 runs, more than 100,000",
        ),
    ],
)
def test_a_wrong_file_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        read_sweep(written(tmp_path, text))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: &x [0]\naxes: {seed: *x}", r"it has an alias \(\*name\)"),
        ("axes: !!python/object/apply:os.system ['true']", "could not determine a constructor"),
        ("- 1", "it has no sections axes and constants"),
        ("[" * 5000, "can't be read as a sweep"),
    ],
)
def test_yaml_makes_plain_values_alone(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        read_sweep(written(tmp_path, text, "sweep.yaml"))


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"nowhere\.toml can't be read as a sweep: .*No such file"):
        read_sweep(tmp_path / "nowhere.toml")
    with pytest.raises(ValueError, match=r"its name ends with neither \.toml nor \.yaml"):
        read_sweep(written(tmp_path, "{}", "sweep.json"))
    with pytest.raises(ValueError, match="it has more than 1,048,576 bytes"):
        read_sweep(written(tmp_path, "#" * (2**20 + 1)))


@pytest.mark.long
def test_the_command_runs_and_tabulates_a_sweep(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = written(
        tmp_path,
        '[constants]\ndataset = "digits"\nnum_tasks = 2\nepochs = 1\nmax_per_class = 4\ndevice = "cpu"\n'
        '[axes]\nobjective = ["ce", "aepg"]\nseed = [0, 1]\n',
    )
    assert main(["sweep", str(file), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "4 runs on digits: ce, aepg; 0% label noise; seeds 0 1" in said and "time here" in said
    assert main(["sweep", str(file), "--out", str(tmp_path / "out"), "--workers", "0"]) == 0
    table = (tmp_path / "out" / "table.md").read_text()
    assert "| CE |" in table and "| aEPG |" in table and "vs CE" in table
    assert (tmp_path / "out" / "accuracy_after_each_task.png").exists()
    assert len(list((tmp_path / "out" / "runs").iterdir())) == 4


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "sweep.toml")
    with pytest.raises(ValueError, match=r"can't be read as a sweep: sweep\.toml is not a regular file"):
        read_sweep(tmp_path / "sweep.toml")


def test_two_runs_of_one_name_are_refused(tmp_path: Path) -> None:
    file = written(tmp_path, '[axes]\nx = [{objective = "ce", name = "A"}, {objective = "epg", name = "A"}]\n')
    with pytest.raises(ValueError, match=r"names two runs .*, A, 0: give each value of an axis another name"):
        read_sweep(file)
