from __future__ import annotations

import pytest
import torch

from agents.networks.head import GrowingHead


def test_head_grows_and_old_rows_stay() -> None:
    head = GrowingHead(32, 9, seed=0)
    assert head(torch.randn(2, 32)).tolist() == [[0.0] * 9] * 2
    head.grow([4, 2])
    old = head.weight.detach().clone()
    head.grow([2, 7, 8])
    assert head.actions.tolist() == [4, 2, 7, 8]
    assert torch.equal(head.weight[:2], old)
    logits = head(torch.randn(3, 32))
    assert logits.isneginf().nonzero()[:, 1].unique().tolist() == [0, 1, 3, 5, 6]


def test_new_rows_are_normal_with_deviation_a_thousandth() -> None:
    head = GrowingHead(512, 100, seed=0)
    head.grow(range(100))
    assert head.weight.std().item() == pytest.approx(0.001, rel=0.02)
    assert (head.bias == 0).all()
