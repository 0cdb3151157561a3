"""What does not fit is refused before weights are fetched, and a failed fetch names the way out."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents.networks.fetched_weights import needs_download
from tests.agents.policies import make_policy


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A hub that is not there, and an empty cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


@pytest.mark.usefixtures("offline")
def test_weights_of_the_hub_need_a_download() -> None:
    assert needs_download("vit_tiny_patch16_224.augreg_in21k")
    assert not any(
        map(needs_download, ("vit_micro_patch8_32", "resnet18_32", "no_such_model", "vit_micro_patch8_32.x"))
    )


@pytest.mark.usefixtures("offline")
@pytest.mark.parametrize(
    ("model", "peft", "message"),
    [
        ("resnet18.a1_in1k", "lora", "blocks"),
        ("vit_tiny_patch16_224.augreg_in21k", "lora:rank=8", "unknown argument"),
        ("vit_tiny_patch16_224.augreg_in21k", "prefix:length=0", "length"),
    ],
)
def test_what_does_not_fit_is_said_without_the_network(model: str, peft: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        make_policy(32, model=model, peft=peft)
    assert "fetched" not in str(error.value)


@pytest.mark.usefixtures("offline")
def test_weights_that_cannot_be_fetched_may_be_given_as_a_file() -> None:
    with pytest.raises(ValueError, match=r"can't be fetched, give a file of them, --weights FILE"):
        make_policy(32, model="vit_tiny_patch16_224.augreg_in21k")
