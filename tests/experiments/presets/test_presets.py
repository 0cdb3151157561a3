from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from experiments.__main__ import main
from experiments.comparisons.dry_run import make_plan
from experiments.comparisons.entries import objective_entries
from experiments.comparisons.native_size import size_warning
from experiments.config.settings import RunConfig
from experiments.config.validation import check
from experiments.presets import PRESETS, Preset
from experiments.presets.listing import preset_lines

pytestmark = pytest.mark.long


@pytest.mark.parametrize("preset", PRESETS.values(), ids=lambda preset: preset.name)
def test_presets_name_what_there_is(preset: Preset) -> None:
    config = preset.config
    for entry in objective_entries(config):
        check(entry.config)
    assert set(preset.reported) <= set(config.objectives)
    assert len({entry.config.name for entry in objective_entries(config)}) == len(objective_entries(config))
    assert set(preset.stated) <= set(vars(config)) and preset.source and preset.open and preset.departs
    lines = list(preset_lines(preset))
    assert [line for line in lines if not line.startswith(" ")][2:] == ["open:", "differs:"]
    assert ("A_T / avg. A in %" in lines[1]) == bool(preset.reported)
    assert lines[0] != "published: " and all(f"    - {choice}" in lines for choice in (*preset.open, *preset.departs))


@pytest.mark.parametrize(
    ("name", "choices"),
    [
        ("table1-5tasks", ("pixels", "test images", "split", "LoRA", "scale", "class orders", "alpha")),
        ("table1-20tasks-dualprompt", ("pixels", "test images", "split", "setting", "rate")),
        ("table1-10tasks-inflora", ("pixels", "test images", "split", "setting", "energy")),
        ("table2-cub200-prefix", ("pixels", "test images", "split", "Prefix", "strengths")),
        ("scratch-cifar100", ("pixels", "crops", "weight decay", "stem", "seeds")),
    ],
)
def test_open_choices_are_named(name: str, choices: tuple[str, ...]) -> None:
    named = "; ".join(PRESETS[name].open)
    assert all(choice in named for choice in choices)


def test_settings_as_published_are_those_of_the_run() -> None:
    (line,) = [line for line in preset_lines(PRESETS["scratch-cifar10"]) if line.startswith("as published")]
    assert "epochs 350, optimizer sgd" in line and "divided by 10 at epochs 150 225" in line
    (line,) = [line for line in preset_lines(PRESETS["lae-cifar100"]) if line.startswith("as published")]
    assert "crop fraction 0.875, interpolation bilinear, normalization none" in line
    assert "epochs 5, 3 of them head only in later tasks" in line and "blocks 0-4" in line


def test_dualprompts_and_infloras_settings_are_their_authors() -> None:
    config = PRESETS["table1-10tasks-dualprompt"].config
    assert (config.epochs, config.batch_size, config.learning_rate, config.freeze_fraction) == (50, 24, 4.6875e-4, 0)
    assert {"expert=20", "pull=1", "projected=false", "transfer=true"} <= set(config.method.split(":")[1].split(","))
    assert PRESETS["table1-5tasks-inflora"].config.method == "inflora:threshold=0.98,energy=moments"


def test_papers_protocol() -> None:
    config = PRESETS["table1-10tasks"].config
    assert config.model == "vit_base_patch16_224.augreg_in21k_ft_in1k" and config.num_tasks == 10
    assert (config.epochs, config.freeze_fraction, config.batch_size, config.learning_rate) == (50, 0.6, 256, 5e-4)
    assert (config.peft, config.blocks, config.crop_scale) == ("lora:r=4", (0, 1, 2, 3, 4), (0.05, 1.0))
    assert len(config.seeds) == 5 and (config.optimizer, config.weight_decay) == ("adam", 0.0)


def test_lists_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["presets"]) == 0
    printed = capsys.readouterr().out
    assert all(name in printed for name in PRESETS) and "77.2 / 81.9" in printed
    assert printed.startswith("Published figures are A_T / avg. A in %")
    assert len(printed.splitlines()) == 2 + 2 * len(PRESETS)


@pytest.mark.slow
def test_dry_run_of_images_that_are_not_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    small = ["--model", "vit_tiny_patch16_224.augreg_in21k", "--num-tasks", "20", "--seeds", "0"]
    assert main(["presets", "table1-10tasks", "--dry-run", *small]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "--num-tasks 20" in printed and "--dataset imagenet-r" in printed
    assert "not here, so taken to be as many of each class: imagenet-r needs imagenet-r or imagenet-r.tar" in printed
    assert "parameters:" in printed and "memory of the process" in printed and "time on an H100" in printed
    assert printed.count("1,200 300") == 20 and "all 2 runs" in printed
    assert list(tmp_path.iterdir()) == []


def test_dry_run_from_scratch(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small = ["--model", "resnet18_32", "--seeds", "0", "--batch-size", "1"]
    assert main(["presets", "scratch-cifar10", "--root", str(tmp_path), "--dry-run", *small]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "11,168,832 of PEFT modules in it" in printed and "all 4 runs" in printed


def test_dry_run_warns_of_a_large_native_size(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = "vit_small_patch14_dinov2.lvd142m"
    warning = size_warning(model, None)
    assert warning is not None and "images of 518 px, which cost 7.6 times as much as the customary 224 px" in warning
    assert size_warning(model, 224) is None
    assert size_warning("vit_base_patch16_224.augreg_in21k", None) is None
    monkeypatch.setattr("experiments.comparisons.native_size.CUSTOMARY", 16)
    assert main(["run", "--dry-run", "--num-tasks", "2"]) == 0
    assert "times as much as the customary 16 px: --input-size 16 takes these" in capsys.readouterr().out


@pytest.mark.slow
def test_preset_runs_with_its_options_changed(
    image_zip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = "--dataset folder --num-tasks 2 --epochs 1 --batch-size 8 --seeds 0 --objectives ce"
    place = ["--model", "vit_micro_patch8_32", "--root", str(image_zip), "--out", str(tmp_path), "--device", "cpu"]
    assert main(["presets", "table2-food101", *small.split(), *place]) == 0
    assert "| CE | 1 |" in (tmp_path / "table.md").read_text()
    assert "1 runs" in capsys.readouterr().out


def test_plan_counts_what_the_run_does() -> None:
    config = RunConfig(num_tasks=5, epochs=3, batch_size=32, freeze_fraction=0.5)
    plan = make_plan(check(config))
    assert [task.train_images for task in plan.tasks] == [200] * 5
    assert [task.learned_images for task in plan.tasks] == [608] * 5
    assert plan.fingerprint is not None and plan.parameters["head"] == 50 * 129
    test, step = plan.test_flops, plan.step_flops
    assert 1.5 * test < step < 3 * test
    learned = 608 * step + 4 * (288 * step + 200 * test)  # the frozen phase computes each image's features once
    assert 0.96 * learned < plan.training_flops < learned  # patches are embedded once a task
    assert plan.evaluation_flops == pytest.approx(sum(200 * (task + 1) for task in range(5)) * test, rel=1e-4)


def test_images_that_are_not_here_come_in_their_customary_tasks() -> None:
    config = RunConfig(dataset="cub200", epochs=1)
    assert [task.classes for task in make_plan(check(config)).tasks] == [20] * 10
    domains = replace(config, scenario="domain-incremental", domains=("identity", "rotate-90"))
    assert [(task.content, task.train_images) for task in make_plan(check(domains)).tasks] == [
        ("identity", 5_994),
        ("rotate-90", 5_994),
    ]


def test_plan_of_a_whole_backbone_needs_more_memory() -> None:
    lora, whole = (make_plan(check(RunConfig(peft=peft, num_tasks=5))) for peft in ("lora", "full"))
    assert whole.memory > lora.memory and whole.parameters["backbone"] == 0


def test_missing_folder_is_no_plan(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="does not exist"):
        make_plan(check(RunConfig(dataset="folder", root=str(tmp_path / "nowhere"))))


def test_stream_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stream", "--num-tasks", "2", "--validation-fraction", "0.2", "--label-noise", "0.25"]) == 0
    printed = capsys.readouterr().out
    assert "stream SHA-256" in printed and "validation" in printed and "flipped labels" in printed
