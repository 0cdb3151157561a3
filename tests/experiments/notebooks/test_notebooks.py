"""The teaching notebooks run from top to bottom, offline, and are committed with their outputs."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import nbformat
import pytest
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbformat import NotebookNode

from tests.slow_cases import slow_but

pytestmark = pytest.mark.long

FOLDER = Path(__file__).parents[3] / "experiments" / "notebooks"
NAMES = (
    "1_one_step_mdp",
    "2_from_reinforce_to_epg",
    "3_ce_explores_epg_exploits",
    "4_annealing",
    "5_forgetting_and_peft",
    "6_your_own_algorithm",
)
LARGEST_FILE = 400 * 1024
LONGEST_ALGORITHM = 60

# Run by IPython before the first cell: Python's sockets reach this machine alone.
OFFLINE = """
import socket


def _guarded(connect):
    def guarded(self, address):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise OSError(f"a notebook wanted to reach {address}, but must run without a network")
        return connect(self, address)

    return guarded


socket.socket.connect = _guarded(socket.socket.connect)
socket.socket.connect_ex = _guarded(socket.socket.connect_ex)
"""


def read(name: str) -> NotebookNode:
    return nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)


def code_cells(notebook: NotebookNode, tag: str | None = None) -> list[NotebookNode]:
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return cells if tag is None else [cell for cell in cells if tag in cell.metadata.get("tags", [])]


def own_kernel(folder: Path) -> AsyncKernelManager:
    """A kernel of the running interpreter, whatever kernels are installed."""
    specification = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Python 3",
        "language": "python",
    }
    (folder / "python3").mkdir(parents=True)
    (folder / "python3" / "kernel.json").write_text(json.dumps(specification))
    known = KernelSpecManager(kernel_dirs=[str(folder)], ensure_native_kernel=False)
    return AsyncKernelManager(kernel_name="python3", kernel_spec_manager=known)


def test_the_folder_holds_these_notebooks() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(NAMES)


@pytest.mark.parametrize("name", slow_but(NAMES[:2], NAMES))
def test_runs_from_top_to_bottom_offline(name: str, tmp_path: Path) -> None:
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "offline.py").write_text(OFFLINE)
    empty = tmp_path / "empty"
    empty.mkdir()
    environment = os.environ | {"IPYTHONDIR": str(tmp_path / "ipython"), "HF_HUB_OFFLINE": "1"}
    notebook = read(name)
    client = NotebookClient(
        notebook,
        km=own_kernel(tmp_path / "kernels"),
        timeout=300,
        resources={"metadata": {"path": str(empty)}},
    )
    client.execute(env=environment)
    assert list(empty.iterdir()) == []  # nothing is written where a notebook is opened
    streams = [out.name for cell in code_cells(notebook) for out in cell.outputs if out.output_type == "stream"]
    assert "stderr" not in streams  # no warnings, no progress bars


@pytest.mark.parametrize("name", NAMES)
def test_has_exercises_with_hidden_solutions(name: str) -> None:
    cells = read(name).cells
    exercises = [cell for cell in cells if "exercise" in cell.metadata.get("tags", [])]
    solutions = [place for place, cell in enumerate(cells) if "solution" in cell.metadata.get("tags", [])]
    assert len(exercises) == len(solutions) >= 2
    for place in solutions:
        assert cells[place].metadata["jupyter"] == {"source_hidden": True}
        assert cells[place - 1].source == "**Solution** (click to unfold)"
        assert "assert " in cells[place].source  # a solution checks itself


@pytest.mark.parametrize("name", NAMES)
def test_is_committed_executed_and_small(name: str) -> None:
    path = FOLDER / f"{name}.ipynb"
    notebook = read(name)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.cells[0].cell_type == "markdown" and 'pip install -e ".[notebooks]"' in notebook.cells[0].source
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert any({"image/png", "image/jpeg"} & set(output.get("data", {})) for output in outputs)
    assert not any(output.output_type == "error" or output.get("name") == "stderr" for output in outputs)
    assert path.stat().st_size <= LARGEST_FILE
    text = path.read_text(encoding="utf-8")
    assert not any(trace in text for trace in ("/home/", "/root/", "/tmp/", "/work/", "site-packages"))


def test_the_algorithm_is_one_short_cell() -> None:
    (cell,) = code_cells(read("6_your_own_algorithm"), "algorithm")
    assert len(cell.source.splitlines()) <= LONGEST_ALGORITHM
