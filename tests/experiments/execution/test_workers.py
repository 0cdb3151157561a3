"""How a worker process starts."""

from __future__ import annotations

import gc
import os
from concurrent.futures import ProcessPoolExecutor

import pytest

from experiments.execution.workers import begin_worker, worker_context

pytestmark = pytest.mark.long


def test_a_worker_has_the_parents_environment_and_freezes_what_it_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A_VARIABLE_SET_LATER", "yes")
    context = worker_context()
    arguments = (os.getpid(), dict(os.environ), context.Queue())
    with ProcessPoolExecutor(1, context, begin_worker, arguments) as pool:
        assert pool.submit(os.getenv, "A_VARIABLE_SET_LATER").result() == "yes"
        assert pool.submit(gc.get_freeze_count).result() > 10_000
    assert gc.get_freeze_count() == 0
