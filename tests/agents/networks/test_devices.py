"""Devices that are not there are refused."""

from __future__ import annotations

import pytest
import torch

from agents.networks.devices import checked_device
from agents.networks.precision import precision_on


@pytest.mark.skipif(torch.cuda.is_available() or torch.backends.mps.is_available(), reason="tests errors without a GPU")
@pytest.mark.parametrize("device", ["cuda", "cuda:1", "mps", torch.device("mps")])
def test_a_missing_device_is_one_line(device: str | torch.device) -> None:
    with pytest.raises(ValueError, match=r"is not there: PyTorch sees .*; use device='auto' or 'cpu'"):
        checked_device(device)


def test_unknown_devices_and_known_ones() -> None:
    with pytest.raises(ValueError, match="device must be 'auto', 'cpu', 'cuda', 'mps' or"):
        checked_device("gpu")
    assert checked_device("auto") == "auto" and checked_device("cpu") == torch.device("cpu")


def test_auto_is_float32_on_an_apple_gpu() -> None:
    assert precision_on("auto", torch.device("mps")) == "float32"
    with pytest.raises(ValueError, match="precision='tf32' needs an NVIDIA GPU"):
        precision_on("tf32", torch.device("mps"))
