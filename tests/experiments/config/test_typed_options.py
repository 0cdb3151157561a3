"""A run's settings as the words of a command line."""

from __future__ import annotations

import shlex

import tyro

from experiments.config.settings import RunConfig
from experiments.config.typed_options import run_command_line


def test_the_command_gives_the_same_settings() -> None:
    config = RunConfig(
        dataset="folder",
        options=("test_fraction=0.25", "on_error=skip"),
        num_tasks=(2, 3),
        pretrained=False,
        peft="lora:r=8,scale=true",
        blocks=(0, 2),
        adam_betas=(0.8, 0.99),
        learning_rate=1e-5,
        label_noise=0.1,
        early_stopping=True,
        cache_features=False,
        device="cpu",
    )
    words = shlex.split(run_command_line(config))
    assert words[:2] == ["cls-env", "run"]
    assert tyro.cli(RunConfig, args=words[2:], config=(tyro.conf.OmitArgPrefixes,)) == config


def test_paths_are_shown_without_their_folders() -> None:
    config = RunConfig(dataset="folder", root="pictures/my photos.zip")
    assert run_command_line(config) == "cls-env run --dataset folder --root 'my photos.zip'"
