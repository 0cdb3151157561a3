"""Processes that runs are carried out in: started from one that has imported what they need, where that is possible."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Mapping
from multiprocessing.context import BaseContext

from cls_env.command_line.processes import end_with

PRELOADED = ["experiments.runs.runner"]


def worker_context() -> BaseContext:
    """A context whose processes start from a server that has imported the runner, once for all; or anew on Windows.

    Importing PyTorch and peft takes several seconds, which each process would spend again. The server has computed
    nothing and used no GPU, so that copies of it begin as a new process does.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    return context


def begin_worker(parent: int, environment: Mapping[str, str]) -> None:
    """Prepare a process for runs: it ends with its parent, and at Ctrl-C without a traceback.

    Args:
        parent: Process id.
        environment: The parent's variables, which may have changed since the server started.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    end_with(parent)
    os.environ.clear()
    os.environ.update(environment)
