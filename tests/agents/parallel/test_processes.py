"""What a launcher says of the processes."""

from __future__ import annotations

import pytest
import torch

from agents.parallel.exchange import average_gradients, check_same, from_leader, largest, leader_first, wait_for_all
from agents.parallel.processes import VARIABLES, Processes, current, joined, launched


def test_the_processes_of_a_launcher() -> None:
    environment = {"RANK": "3", "WORLD_SIZE": "4", "LOCAL_RANK": "1", "MASTER_ADDR": "host", "MASTER_PORT": "29500"}
    found = launched(environment)
    assert found == Processes(3, 4, 1) and found.several and not found.leads
    for name in VARIABLES:
        assert launched({key: value for key, value in environment.items() if key != name}) == Processes()
    with pytest.raises(ValueError, match="must be numbers, as torchrun sets them"):
        launched(environment | {"RANK": "first"})


def test_one_process_alone_changes_nothing() -> None:
    with joined(Processes()) as processes, leader_first():
        assert processes == current() == Processes() and processes.leads
        assert largest([3, 1]) == [3, 1] and from_leader("run") == "run"
        wait_for_all()
        check_same("the policies", [torch.ones(2)])
        tensor = torch.ones(2, requires_grad=True)
        tensor.sum().backward()
        average_gradients([tensor])
        assert tensor.grad is not None and tensor.grad.tolist() == [1, 1]
    assert not torch.distributed.is_initialized()
