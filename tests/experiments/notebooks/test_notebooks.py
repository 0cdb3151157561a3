"""The teaching notebooks run from top to bottom, offline, and are committed with their outputs."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from tests.slow_cases import slow_but

sys.path.insert(0, str(Path(__file__).parents[3] / "docs"))
from run_notebooks import FOLDER, SOLUTION, has_tag, printed, run

pytestmark = pytest.mark.long

NAMES = (
    "1_one_step_mdp",
    "2_from_reinforce_to_epg",
    "3_ce_explores_epg_exploits",
    "4_annealing",
    "5_forgetting_and_peft",
    "6_your_own_algorithm",
    "7_forgetting_on_photographs",
)
LARGEST_FILE = 400 * 1024
LONGEST_ALGORITHM = 60
NUMBER = re.compile(r"[-+]?\d+(\.\d+)?(e[-+]\d+)?")

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


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Those with code: the cells for answers are empty."""
    return [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source]


def comparable(text: str, measured: bool) -> str:
    """A printed text without its layout and, where other machines may measure other numbers, without the numbers."""
    return " ".join((NUMBER.sub("#", text) if measured else text).split())


def navigation(name: str) -> list[str]:
    """Links to the notebooks before and after."""
    place = NAMES.index(name)
    return [f"({other}.ipynb)" for other in NAMES[max(0, place - 1) : place + 2] if other != name]


def test_the_folder_holds_these_notebooks() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.ipynb")) == sorted(NAMES)


@pytest.mark.parametrize("name", slow_but(NAMES[:1], NAMES))
def test_runs_from_top_to_bottom_offline_and_solutions_print_what_they_show(name: str, tmp_path: Path) -> None:
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "offline.py").write_text(OFFLINE)
    empty = tmp_path / "empty"
    empty.mkdir()
    notebook = read(name)
    environment = os.environ | {"IPYTHONDIR": str(tmp_path / "ipython"), "HF_HUB_OFFLINE": "1"}
    executed = run(notebook, empty, environment)
    assert list(empty.iterdir()) == []  # nothing is written where a notebook is opened
    streams = [out.name for cell in code_cells(executed) for out in cell.outputs if out.output_type == "stream"]
    assert "stderr" not in streams  # no warnings, no progress bars
    for done, cell in zip(executed.cells, notebook.cells[1:], strict=False):
        if has_tag(cell, "solution"):
            (parts,), measured = SOLUTION.finditer(cell.source), has_tag(cell, "measured")
            assert comparable(parts["printed"], measured) == comparable(printed(done), measured)


@pytest.mark.parametrize("name", NAMES)
def test_has_exercises_with_an_empty_cell_and_a_folded_solution(name: str) -> None:
    cells = read(name).cells
    places = [place for place, cell in enumerate(cells) if has_tag(cell, "exercise")]
    assert len(places) == sum(has_tag(cell, "solution") for cell in cells) >= 2
    for place in places:
        answer, solution = cells[place + 1 : place + 3]
        assert answer.cell_type == "code" and has_tag(answer, "answer") and answer.source == "" and not answer.outputs
        assert solution.cell_type == "markdown" and has_tag(solution, "solution")
        assert solution.source.startswith("<details>\n<summary>Solution</summary>\n\n")
        assert solution.source.endswith("\n\n</details>")
        (parts,) = SOLUTION.finditer(solution.source)
        assert "assert " in parts["code"]  # a solution checks itself
        assert parts["printed"].strip()


@pytest.mark.parametrize("name", NAMES)
def test_leads_to_its_neighbours_at_top_and_bottom(name: str) -> None:
    cells = read(name).cells
    for cell in (cells[0], cells[-1]):
        assert re.findall(r"\(\d_\w+\.ipynb\)", cell.source) == navigation(name)
        for title, target in re.findall(r"\[([^\]]+)\]\((\d_\w+)\.ipynb\)", cell.source):
            assert f"# {title.strip('← →')}\n" in read(target).cells[0].source


@pytest.mark.parametrize("name", NAMES)
def test_is_committed_executed_and_small(name: str) -> None:
    path = FOLDER / f"{name}.ipynb"
    notebook = read(name)
    nbformat.validate(notebook)
    assert (notebook.nbformat, notebook.nbformat_minor) == (4, 5)
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.cells[0].cell_type == "markdown" and 'pip install -e ".[notebooks]"' in notebook.cells[0].source
    assert re.search(r"takes about (\d+ seconds|a minute)", notebook.cells[0].source)
    cells = code_cells(notebook)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell.outputs]
    assert any({"image/png", "image/jpeg"} & set(output.get("data", {})) for output in outputs)
    assert not any(output.output_type == "error" or output.get("name") == "stderr" for output in outputs)
    assert path.stat().st_size <= LARGEST_FILE
    text = path.read_text(encoding="utf-8")
    assert not any(trace in text for trace in ("/home/", "/root/", "/tmp/", "/work/", "site-packages"))


def test_the_algorithm_is_one_short_cell() -> None:
    (cell,) = [cell for cell in read("6_your_own_algorithm").cells if has_tag(cell, "algorithm")]
    assert len(cell.source.splitlines()) <= LONGEST_ALGORITHM
