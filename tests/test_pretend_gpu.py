"""The pretend GPU finds planted faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch
from torch import nn

from tests.pretend_gpu import CUDA, Record, pretend_gpu


@pytest.fixture
def record(monkeypatch: pytest.MonkeyPatch) -> Iterator[Record]:
    with pretend_gpu(monkeypatch) as record:
        yield record


def on_gpu(*shape: int) -> torch.Tensor:
    return torch.ones(*shape).to("cuda")


ERRORS: dict[str, Callable[[], object]] = {
    "two devices in cat": lambda: torch.cat([on_gpu(2), torch.ones(2)]),
    "two devices in a sum": lambda: on_gpu(2) + torch.ones(2),
    "two devices in a layer": lambda: nn.Linear(3, 3).to("cuda")(torch.ones(2, 3)),
    "a generator of the CPU": lambda: torch.rand(2, device="cuda", generator=torch.Generator()),
    "a generator of the GPU": lambda: torch.rand(2, generator=torch.Generator("cuda")),
    "numpy": lambda: on_gpu(2).numpy(),
    "np.asarray": lambda: np.asarray(on_gpu(2)),
    "an index of the GPU": lambda: torch.ones(3)[torch.tensor([0]).to("cuda")],
}


@pytest.mark.parametrize("fault", ERRORS)
def test_errors_are_found(fault: str, record: Record) -> None:
    ERRORS[fault]()
    assert len(record.errors) == 1, record.errors


WAITS: dict[str, Callable[[], object]] = {
    "item": lambda: on_gpu(1).sum().item(),
    "bool": lambda: bool(on_gpu(1).sum() > 0),
    "cpu": lambda: on_gpu(2).cpu(),
    "nonzero": lambda: on_gpu(2).nonzero(),
    "boolean index": lambda: on_gpu(2)[on_gpu(2) > 0],
    "index from a list": lambda: on_gpu(2)[[0, 1]],
    "multinomial": lambda: torch.multinomial(on_gpu(2), 1),
}


@pytest.mark.parametrize("fault", WAITS)
def test_waits_are_found(fault: str, record: Record) -> None:
    WAITS[fault]()
    waits = [wait for wait in record.waits if "not pinned" not in wait]
    assert len(waits) == 1, record.waits


def test_copies_are_counted(record: Record) -> None:
    torch.ones(4).to("cuda", non_blocking=True)  # pageable memory waits all the same
    torch.ones(4).pin_memory().to("cuda", non_blocking=True)
    assert [count for count, _ in record.uploads] == [16, 16]
    assert len(record.waits) == 1


def test_what_is_right_gives_no_error(record: Record) -> None:
    layer = nn.Linear(3, 3).to("cuda")
    out = layer(on_gpu(2, 3)) * 2.0 + torch.tensor(1.0)
    out.sum().backward()
    assert layer.weight.device == layer.weight.grad.device == out[0].device == CUDA
    torch.rand(2, device="cuda", generator=torch.Generator("cuda"))
    out.detach().cpu().numpy()
    assert record.errors == []


def test_nothing_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    with pretend_gpu(monkeypatch):
        kept = on_gpu(2)
    assert kept.device.type == "cpu"
    assert not torch.cuda.is_available() or torch.cuda.get_device_name() != "pretend"
    assert type(torch.Generator()) is torch.Generator
