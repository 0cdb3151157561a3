"""Optimizers of a policy: their fast implementations."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from agents.optimization.optimizers import make_optimizer


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW, torch.optim.SGD])
@pytest.mark.parametrize("arguments", [{}, {"weight_decay": 0.1}])
def test_tensors_are_updated_together_to_the_same_numbers(
    kind: type[torch.optim.Optimizer], arguments: dict[str, Any]
) -> None:
    trained = []
    for extra in ({}, {"foreach": False}):
        random = torch.Generator().manual_seed(0)
        parameters = [torch.nn.Parameter(torch.randn(5, 3, generator=random)) for _ in range(3)]
        optimizer = make_optimizer(kind, parameters, lambda _: 0.1, arguments | extra)
        assert optimizer.defaults["foreach"] is (not extra)
        for _ in range(5):
            for parameter in parameters:
                parameter.grad = torch.randn(5, 3, generator=random)
            optimizer.step()
        trained.append(parameters)
    assert all(torch.equal(together, alone) for together, alone in zip(*trained, strict=True))


def test_an_implementation_that_is_named_is_left() -> None:
    parameter = torch.nn.Parameter(torch.zeros(2))
    optimizer = make_optimizer(torch.optim.Adam, [parameter], lambda _: 0.1, {"fused": True})
    assert optimizer.defaults["fused"] and not optimizer.defaults["foreach"]
