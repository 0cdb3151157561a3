"""A Ray cluster of two nodes on this machine, of which one is lost."""

from __future__ import annotations

import threading
import time
from pathlib import Path

from ray.cluster_utils import Cluster

from cls_env.command_line.environment import variable
from experiments.benchmarks.engines.sweeps import ENDS, Outcome, execute, noted
from experiments.config.entry import Entry
from experiments.execution.engines.ray_engine import START_WAIT, RayEngine

STORE_BYTES = 2**27
"""Memory of each node for Ray's objects, which are small here."""
PATIENCE = 0.2


def execute_with_lost_node(entries: list[Entry], folder: Path, expected: Path) -> Outcome:
    """Execute runs on two nodes of one CPU, and kill one of them when a quarter of the runs has finished.

    Args:
        entries: The runs.
        folder: Holds their folders.
        expected: The folder of the same runs with the local engine.
    """
    node = {"num_cpus": 1, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    with variable(*START_WAIT):
        cluster = Cluster(initialize_head=True, head_node_args=node)
    try:
        second = cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
        cluster.wait_for_nodes()
        over = threading.Event()

        def lose() -> None:
            while sum(noted(folder, ENDS).values()) < len(entries) / 4:
                if over.wait(PATIENCE):
                    return
            time.sleep(PATIENCE)
            cluster.remove_node(second, allow_graceful=False)

        thread = threading.Thread(target=lose)
        thread.start()
        try:
            return execute(entries, folder, RayEngine(cluster.address), expected)
        finally:
            over.set()
            thread.join()
    finally:
        cluster.shutdown()
