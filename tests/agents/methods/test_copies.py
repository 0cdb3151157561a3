"""Copies of tensors as buffers of a method."""

from __future__ import annotations

import torch

from agents.methods import Method


def test_copies_are_buffers_and_do_not_follow_the_original() -> None:
    method, tensors = Method(), [torch.nn.Parameter(torch.zeros(2)), torch.ones(3)]
    method.keep_copies("then", tensors)
    tensors[0].data.add_(5)
    assert [tensor.tolist() for tensor in method.copies("then")] == [[0, 0], [1, 1, 1]]
    assert set(method.state_dict()) == {"then_0", "then_1"} and not method.copies("then")[0].requires_grad
    assert method.state_bytes == 4 * 5


def test_a_further_call_replaces_all_copies() -> None:
    method = Method()
    method.keep_copies("then", [torch.zeros(2), torch.zeros(2), torch.zeros(2)])
    method.keep_copies("other", [torch.ones(1)])
    method.keep_copies("then", [torch.ones(4)])
    assert [tensor.tolist() for tensor in method.copies("then")] == [[1, 1, 1, 1]]
    assert set(method.state_dict()) == {"then_0", "other_0"} and method.copies("absent") == []
