"""Worker processes that end with their parent process, even if it is killed."""

from __future__ import annotations

import multiprocessing
import os
import time
from functools import lru_cache
from threading import Thread

SECONDS_BETWEEN_CHECKS = 0.5


@lru_cache(maxsize=1)
def end_with(parent: int) -> None:
    """Let this process end soon after its parent, even if the parent is killed.

    Args:
        parent: Process id of the process that started this one.
    """

    def watch() -> None:
        known = multiprocessing.parent_process()
        if known is not None and known.pid == parent:
            try:
                known.join()  # on every operating system
            except ValueError:  # this process is ending, and has closed what it waits on
                return
        else:
            while os.getppid() == parent:
                time.sleep(SECONDS_BETWEEN_CHECKS)
        os._exit(1)

    Thread(target=watch, daemon=True).start()
