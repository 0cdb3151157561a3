"""One configuration has one spelling; what differs from another is said."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from agents.methods import METHODS, Method
from experiments.__main__ import main
from experiments.comparisons.entries import objective_entries
from experiments.comparisons.unused_options import refuse_unused
from experiments.config.builders import loader_options
from experiments.config.entry import Entry
from experiments.config.pretraining import CharactersConfig
from experiments.config.settings import CompareConfig, RunConfig
from experiments.config.validation import check
from experiments.pretraining.characters import pretrain
from experiments.rl.config import RlConfig, algorithm_entries
from experiments.rl.runner import run_algorithm
from experiments.rl.variance import variance_of_entries
from experiments.runs.run_folder import RunFolder, run_paths
from experiments.runs.runner import run

pytestmark = pytest.mark.long


@pytest.fixture
def here(image_tree: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with one of images, where the process is."""
    (tmp_path / "photos").symlink_to(image_tree / "train")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def options_of(*words: str) -> RunConfig:
    return RunConfig(
        dataset="folder",
        root="photos",
        options=words,
        num_tasks=2,
        epochs=1,
        batch_size=8,
        image_size=32,
        max_per_class=2,
        device="cpu",
    )


@pytest.mark.parametrize("root", ["./photos", "photos/", "{here}/photos", "{here}/./photos"])
def test_spellings_of_one_path_are_one_configuration(root: str, here: Path) -> None:
    config = options_of("test_fraction=0.25", "workers=1")
    other = replace(config, root=root.format(here=here), options=("workers=1", "test_fraction=0.250"))
    assert other == config and other.name == config.name and other.root == str(here / "photos")
    given = {"root": other.root, "test_fraction": 0.25, "workers": 1}
    assert loader_options(check(other)) == given | {"image_size": 32, "interpolation": "bicubic"}
    assert replace(config, root="s3://bucket/x", weights="w.pth").root == "s3://bucket/x"
    assert RunConfig(weights="w.pth", noise_matrix="m.csv").weights == str(here / "w.pth")


def test_a_run_goes_on_in_a_folder_that_an_earlier_version_wrote(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = options_of("test_fraction=0.25", "workers=1")
    runs = Path("results/run")
    place = runs / "named-by-its-spelling"
    run(config, RunFolder(place))
    old = config.as_json() | {"root": "photos", "options": ["workers=1", "test_fraction=0.250"]}
    old["normalisation"] = old.pop("normalization")
    (place / "config.json").write_text(json.dumps(old))
    assert run_paths([config, replace(config, seed=1)], runs) == [place, runs / replace(config, seed=1).name]
    words = "run --dataset folder --root ./photos --options workers=1 test_fraction=0.25 --num-tasks 2 --epochs 1"
    assert (
        main([*words.split(), *["--batch-size", "8", "--image-size", "32", "--max-per-class", "2", "--device", "cpu"]])
        == 0
    )
    assert f"results in {place}\n" in capsys.readouterr().out
    assert list(runs.iterdir()) == [place]


def test_folders_are_named_as_by_the_version_without_the_added_settings() -> None:
    assert RunConfig().name == "glyphs-aepg-lora-noise0-seed0-d080341c"
    assert RunConfig(label_noise=0.2).name == "glyphs-aepg-lora-noise0.2-seed0-07fe49b8"
    assert algorithm_entries(RlConfig(seeds=(0,)))[0].config.name == "glyphs-epg-seed0-273c6644"
    changes = [{}, {"test_before_tasks": True}, {"label_fit": True}, {"compile": True}, {"precision": "bfloat16"}]
    assert len({RunConfig(**change).name for change in changes}) == len(changes)
    assert RunConfig(precision="float32", device="cpu").name == RunConfig(device="cpu").name


def test_the_former_spelling_of_an_option_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stream", "--normalisation", "half", "--model", "nothing"]) == 2
    assert "unknown model 'nothing'" in capsys.readouterr().err


def test_a_refusal_says_what_differs(here: Path) -> None:
    config = options_of("test_fraction=0.25")
    folder = RunFolder(here / "run")
    folder.claim(config)
    with pytest.raises(FileExistsError) as refused:
        folder.claim(replace(config, epochs=20, objective="ce"))
    assert str(refused.value) == (
        f"{here / 'run'} holds a run of another configuration: epochs is 1 there and 20 here, "
        'objective is "aepg" there and "ce" here; choose another --out'
    )
    with pytest.raises(FileExistsError, match=r"num_tasks is 2 there and null here, and \d+ entries more"):
        folder.claim(algorithm_entries(RlConfig(seeds=(3,)))[0].config)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("test_fraction=0.2", "test_fraction=0.3"), "--options names test_fraction twice"),
        (("root=elsewhere",), "root is given twice: as --root and among --options"),
        (("image_size=16",), "image_size is given twice: as --image-size and among --options"),
    ],
)
def test_an_option_given_twice_is_refused(options: tuple[str, ...], message: str, here: Path) -> None:
    with pytest.raises(ValueError, match=message):
        loader_options(check(options_of(*options)))


@pytest.mark.parametrize(
    "option",
    [
        ["test_fraction=abc"],
        ["test_fraction=0,2"],
        ["test_fraction=0.4", "workers=two"],
        ["domains=yes"],
        ["train_list=1", "test_list=2"],
        ["test_fraction=0.4", "seed=x"],
    ],
)
def test_loader_options_of_the_wrong_kind_are_one_line(
    option: list[str], image_tree: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["stream", "--dataset", "folder", "--root", str(image_tree / "train"), "--num-tasks", "2"]
    assert main([*words, "--options", *option]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ") and printed.count("\n") == 1
    assert any(word.partition("=")[0] in printed for word in option)


def test_values_of_numpy_become_pythons() -> None:
    config = RunConfig(
        seed=np.int64(3),
        learning_rate=np.float32(0.5),
        pretrained=np.bool_(True),
        blocks=np.arange(2),
        class_order=[np.int64(1), 0],
        num_tasks=np.array([1, 1]),
        adam_betas=[0.5, np.float64(0.75)],
        root=Path("/x"),
        rate_milestones=range(0),
        label_noise=0,
    )
    assert config == RunConfig(
        seed=3,
        learning_rate=0.5,
        blocks=(0, 1),
        class_order=(1, 0),
        num_tasks=(1, 1),
        adam_betas=(0.5, 0.75),
        root="/x",
        label_noise=0.0,
    )
    again = RunConfig(**config.as_json() | {"precision": "auto"})
    assert again == config and hash(config) == hash(replace(config))
    assert {type(value) for value in (config.seed, config.blocks[0], config.num_tasks[0])} == {int}
    compare = CompareConfig(objectives=["ce"], label_noise=np.array([0.0, 0.5]), seeds=range(2))
    assert (compare.objectives, compare.label_noise, compare.seeds) == (("ce",), (0.0, 0.5), (0, 1))
    assert RlConfig(seeds=np.arange(2), tests_per_task=np.int32(2)).tests_per_task == 2
    assert CharactersConfig(images=np.int64(64), out="x") == CharactersConfig(images=64, out=Path("x"))


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (RunConfig, {"seed": "x"}, "seed must be a whole number, not 'x'"),
        (RunConfig, {"seed": 1.5}, "seed must be a whole number, not 1.5"),
        (RunConfig, {"epochs": None}, "epochs must be a whole number, not None"),
        (RunConfig, {"learning_rate": "fast"}, "learning_rate must be a number, not 'fast'"),
        (RunConfig, {"pretrained": 1}, "pretrained must be True or False, not 1"),
        (RunConfig, {"objective": 3}, "objective must be text, not 3"),
        (RunConfig, {"optimizer": "adm"}, "optimizer must be adam or sgd, not 'adm'"),
        (
            RunConfig,
            {"class_order": "drawn"},
            "class_order must be natural or a list",
        ),
        (RunConfig, {"adam_betas": (0.9,)}, "adam_betas must be 2 values, not 1"),
        (RunConfig, {"blocks": [0.5]}, "blocks must be a whole number, not 0.5"),
        (CompareConfig, {"objectives": "ce"}, "objectives must be a list, not 'ce'"),
        (RlConfig, {"tests_per_task": "all"}, "tests_per_task must be a whole number, not 'all'"),
        (CharactersConfig, {"images": "many"}, "images must be a whole number, not 'many'"),
    ],
)
def test_values_of_a_wrong_type_are_refused_by_name(kind: type, values: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        kind(**values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"images": 10}, "images must be at least a batch of 128, not 10"),
        ({"batch_size": 0}, "batch_size must be at least 1, not 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be positive, not nan"),
        ({"clip": 0}, "clip must be positive, not 0"),
        ({"seed": -1}, "seed must be at least 0, not -1"),
        ({"test_images_per_class": 0}, "test_images_per_class must be at least 1, not 0"),
    ],
)
def test_pretraining_out_of_range_is_refused_before_any_work(
    values: dict[str, object], message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=message):
        pretrain(CharactersConfig(out=tmp_path / "out", **values))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("run --momentum 0.5", "--momentum 0.5 has no effect: it is used only with --optimizer sgd"),
        (
            "run --optimizer sgd --adam-betas 0.5 0.9",
            "--adam-betas 0.5 0.9 has no effect: it is used only with",
        ),
        ("run --crop-scale 0.5 1", "--crop-scale 0.5 1.0 has no effect: it is used only with --augment yes"),
        ("run --augment no --crop-scale 0.5 1", "--crop-scale 0.5 1.0 has no effect"),
        (
            "run --noise-type pair-flip",
            "--noise-type pair-flip has no effect: it is used only with --label-noise above 0",
        ),
        ("run --peft none --blocks 0", "--blocks 0 has no effect: it is used only with a PEFT module"),
        ("run --method l2p --peft none --blocks 0", "--blocks 0 has no effect"),
        ("run --method ncm --peft none --objective none --learning-rate 1", "--learning-rate 1.0 has no effect"),
        ("run --method ncm --peft none --objective none --optimizer sgd", "--optimizer sgd has no effect"),
        ("run --method ncm --peft none --objective none --no-cache-features", "--no-cache-features has no effect"),
        ("compare --noise-matrix m.csv --label-noise 0.3", "drop --label-noise"),
        ("compare --label-noise 0 --noise-type pair-flip", "--noise-type pair-flip has no effect"),
        ("bounds --noise-type pair-flip", "--noise-type pair-flip has no effect"),
        ("rl --momentum 0.5", "--momentum 0.5 has no effect"),
        ("rl --crop-scale 0.5 1", "--crop-scale 0.5 1.0 has no effect"),
        ("rl --noise-matrix m.csv", "m.csv: not every algorithm of this comparison knows it"),
        ("rl --validation-fraction 0.2", "--validation-fraction 0.2: not every algorithm"),
        (
            "study objectives-by-module --peft dora",
            "--peft dora has no effect: this command sets",
        ),
        ("study learning-rate --learning-rate 1", "--learning-rate 1.0 has no effect: this command sets it"),
        ("study methods --method lae", "--method lae has no effect: this command sets it"),
        ("presets table1-10tasks --momentum 0.5", "--momentum 0.5 has no effect"),
        ("run --peft none --freeze-fraction 0.1", "--freeze-fraction 0.1 has no effect: it is used only with several"),
        ("run --num-tasks 1 --freeze-fraction 0.1", "--freeze-fraction 0.1 has no effect"),
        ("run --augment yes --no-cache-features", "--no-cache-features has no effect"),
        ("run --objective ce --anneal unfrozen", "--anneal unfrozen has no effect: it is used only with an annealed"),
        ("run --freeze-fraction 0 --anneal unfrozen", "--anneal unfrozen has no effect"),
        ("run --freeze-fraction 1 --anneal unfrozen", "--anneal unfrozen has no effect"),
        ("run --method l2p --peft none --anneal unfrozen", "--anneal unfrozen has no effect"),
        ("run --method l2p --peft none --freeze-fraction 0", "--freeze-fraction 0.0 has no effect"),
        ("run --epochs 1 --validation-fraction 0.2 --early-stopping", "--early-stopping has no effect: it is used"),
        ("run --interpolation bilinear", "--interpolation bilinear has no effect: it is used only with photographs"),
        ("run --crop-fraction 0.8", "--crop-fraction 0.8 has no effect"),
        ("study learning-rate --early-stopping", "--early-stopping: this study sets it for each run"),
        ("study learning-rate --epochs 10", "--fewer-epochs 10 are the epochs of all contenders already"),
        ("run --early-stopping", "--early-stopping judges passes on held-out images: give --validation-fraction"),
        ("rl --early-stopping", "--early-stopping: not every algorithm of this comparison knows it"),
        ("rl --label-fit", "--label-fit has no effect: no measure of this comparison needs it"),
        ("rl --algorithms ppo a2c --device-images yes", "--device-images yes has no effect"),
        ("run --method ncm --peft none --objective none --micro-batch 2", "--micro-batch 2 has no effect"),
        ("run --method ncm --peft none --objective none --compile", "--compile has no effect"),
        ("run --batch-size 16 --micro-batch 16", "--micro-batch 16 has no effect"),
        ("run --device cpu --precision tf32", "--precision tf32 is for NVIDIA GPUs"),
        ("run --method ncm --peft none --objective none --epochs 5", "--epochs 5 has no effect"),
        ("run --weights nowhere.pth", "nowhere.pth: there is no such file"),
        ("run --method inflora --compile", "compile=True can't be combined with method 'inflora'"),
        ("compare --workers -1", "--workers must be a whole number of at least 0, not -1"),
        ("compare --objectives ce ce", "is named twice"),
        ("bounds --seeds 0 0", "is named twice"),
        ("rl --algorithms epg epg", "is named twice"),
    ],
)
@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_options_that_change_nothing_are_refused(
    words: str, dry: list[str], message: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words.split(), *dry]) == 2
    printed = capsys.readouterr().err
    assert printed.startswith("error: ") and message in printed and printed.count("\n") == 1
    assert [file.name for file in here.iterdir()] == ["photos"]


def test_options_that_change_some_run_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(Method):
        """Mine."""

    monkeypatch.setitem(METHODS, "mine", Mine)
    for changes in (
        {"optimizer": "sgd", "momentum": 0.5},
        {"augment": "yes", "crop_scale": (0.5, 1.0)},
        {"label_noise": 0.2, "noise_type": "pair-flip"},
        {"method": "dualprompt", "peft": "none", "blocks": (0, 1, 2)},
        {"method": "mine", "peft": "none", "blocks": (0,)},
    ):
        config = RunConfig(**changes)
        refuse_unused(config, RunConfig(), [Entry("", "", config)])
    compare = CompareConfig(noise_type="pair-flip")  # without effect on the clean half of the runs
    refuse_unused(compare, CompareConfig(), objective_entries(compare))
    check(RunConfig(momentum=0.5))  # one run of many may have no use for a setting that all share


def test_an_algorithms_run_is_not_reused_on_other_images_or_weights(tmp_path: Path) -> None:
    options = ("num_classes=4", "train_per_class=8", "test_per_class=4")
    shared = {"options": options, "num_tasks": 2, "batch_size": 8, "epochs": 1, "tests_per_task": 1, "device": "cpu"}
    for algorithm in ("epg", "ppo"):
        (entry,) = algorithm_entries(RlConfig(algorithms=(algorithm,), seeds=(0,), **shared))
        folder = RunFolder(tmp_path / algorithm)
        metrics = run_algorithm(entry.config, folder)
        assert run_algorithm(entry.config, folder) == metrics
        card = json.loads((folder.path / "protocol.json").read_text())
        for section, key in (("stream", "images_sha256"), ("stream", "fingerprint"), ("weights", "sha256")):
            changed = card | {section: card[section] | {key: "other"}}
            (folder.path / "protocol.json").write_text(json.dumps(changed))
            with pytest.raises(FileExistsError, match=rf"other data or weights \({section}, {key}\)"):
                run_algorithm(entry.config, folder)
        (folder.path / "protocol.json").write_text(json.dumps({key: card[key] for key in card if key != "weights"}))
        assert run_algorithm(entry.config, folder) == metrics  # of a version that kept no hash of the weights


def test_a_damaged_measurement_of_variance_is_named(tmp_path: Path) -> None:
    entries = algorithm_entries(RlConfig(algorithms=("epg",), seeds=(0,)))
    file = tmp_path / "runs" / entries[0].config.name / "gradient_variance_4.csv"
    file.parent.mkdir(parents=True)
    pd.DataFrame({"total": ["1.0", "1.0.0"]}).to_csv(file)
    with pytest.raises(ValueError, match=r"gradient_variance_4\.csv can't be read .*remove it, and the same command"):
        variance_of_entries(entries, 4, tmp_path, tmp_path / "runs")


def test_a_home_that_is_not_there_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", "--dataset", "folder", "--root", "~no-such-user/x"]) == 2
    assert "--root ~no-such-user/x: there is no such home folder" in capsys.readouterr().err
    assert os.environ.get("MPLBACKEND") != "agg"  # commands leave the environment as it was
