"""Peak memory of a run."""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import torch

_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def reset_peak(device: torch.device) -> None:
    """Start a new measurement, so that earlier runs of the same process do not count."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        with suppress(OSError):  # not Linux, or a container that forbids it: the process's peak stays
            _CLEAR.write_text("5", encoding="ascii")


def peak_bytes(device: torch.device) -> int | None:
    """Peak bytes since `reset_peak`: allocated on the GPU, or resident in the process on the CPU.

    Where the system can't reset the peak, as on macOS and in some containers, it is the peak since the process began.
    None where the system does not report it, as on Windows.
    """
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    for line in _STATUS.read_text(encoding="utf-8", errors="replace").splitlines() if _STATUS.exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024  # "VmHWM:   1234 kB"
    if find_spec("resource") is None:
        return None
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
