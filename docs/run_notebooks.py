"""Runs the teaching notebooks, and writes what they show and what their solutions print into them.

python docs/run_notebooks.py 1_one_step_mdp
"""

from __future__ import annotations

import copy
import json
import os
import re
import sys
import tempfile
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime
from io import BytesIO
from pathlib import Path

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient
from nbformat import NotebookNode
from PIL import Image

FOLDER = Path(__file__).parents[1] / "experiments" / "notebooks"
SOLUTION = re.compile(r"```python\n(?P<code>.*?)\n```\n\n```text\n(?P<printed>.*?)\n```", re.DOTALL)
"""The code of a folded solution, and what it prints."""
COLORS = 128
"""Of a picture; with all colors it is three times as large."""
LONGEST_CELL = 600
"""Seconds after which a cell is given up."""


def has_tag(cell: NotebookNode, tag: str) -> bool:
    """Whether a cell has a tag."""
    return tag in cell.metadata.get("tags", [])


def with_solutions(notebook: NotebookNode) -> NotebookNode:
    """A copy in which each solution is a code cell, in place of the empty cell before it.

    Args:
        notebook: With an empty code cell, tagged `answer`, before each Markdown cell that is tagged `solution`.
    """
    filled = copy.deepcopy(notebook)
    for empty, cell in zip(filled.cells, filled.cells[1:], strict=False):
        if has_tag(cell, "solution"):
            (parts,) = SOLUTION.finditer(cell.source)
            empty.source = parts["code"]
    return filled


def printed(cell: NotebookNode) -> str:
    """The text that a code cell printed."""
    return "".join(output.text for output in cell.outputs if output.output_type == "stream").rstrip("\n")


def run(notebook: NotebookNode, folder: Path, environment: Mapping[str, str] | None = None) -> NotebookNode:
    """Run a notebook with its solutions, from top to bottom, in a kernel of this interpreter.

    Args:
        notebook: The notebook. It is not changed.
        folder: Where the notebook runs.
        environment: Variables of the kernel; by default those of this process.

    Returns:
        The notebook of `with_solutions`, executed.
    """
    filled = with_solutions(notebook)
    with tempfile.TemporaryDirectory() as kernels:
        client = NotebookClient(
            filled,
            km=_own_kernel(Path(kernels)),
            timeout=LONGEST_CELL,
            resources={"metadata": {"path": str(folder)}},
        )
        client.owns_km = True  # so that it ends the kernel
        client.execute(env=dict(os.environ if environment is None else environment))
    return filled


def with_outputs(notebook: NotebookNode, executed: NotebookNode) -> NotebookNode:
    """A copy of a notebook with the outputs of its executed form; a solution has its own as text."""
    written, count = copy.deepcopy(notebook), 0
    for place, (cell, done) in enumerate(zip(written.cells, executed.cells, strict=True)):
        if has_tag(cell, "solution"):
            shown = f"```text\n{printed(executed.cells[place - 1])}\n```"
            start = cell.source.index("```text\n")
            end = cell.source.index("\n```", start) + len("\n```")
            cell.source = cell.source[:start] + shown + cell.source[end:]
        elif cell.cell_type == "code" and cell.source:
            count += 1
            cell.outputs, cell.execution_count = done.outputs, count
            for output in cell.outputs:
                if "execution_count" in output:
                    output["execution_count"] = count
                if "image/png" in output.get("data", {}):
                    output["data"]["image/png"] = small_png(output["data"]["image/png"])
            cell.metadata.pop("execution", None)
    if "widgets" in executed.metadata:
        written.metadata.widgets = executed.metadata.widgets
    return written


def small_png(encoded: str) -> str:
    """A PNG picture with few colors, in base64."""
    picture, file = Image.open(BytesIO(b64decode(encoded))).convert("RGB"), BytesIO()
    picture.quantize(COLORS, dither=Image.Dither.NONE).save(file, "png", optimize=True)
    return b64encode(file.getvalue()).decode()


def _own_kernel(folder: Path) -> AsyncKernelManager:
    """A kernel of the running interpreter, whatever kernels are installed."""
    specification = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        "display_name": "Python 3",
        "language": "python",
    }
    (folder / "python3").mkdir()
    (folder / "python3" / "kernel.json").write_text(json.dumps(specification))
    known = KernelSpecManager(kernel_dirs=[str(folder)], ensure_native_kernel=False)
    return AsyncKernelManager(kernel_name="python3", kernel_spec_manager=known)


def seconds_of_cells(executed: NotebookNode) -> dict[int, float]:
    """Seconds that each executed code cell took, by its place."""
    taken = {}
    for place, cell in enumerate(executed.cells):
        times = cell.metadata.get("execution", {})
        if "iopub.status.busy" in times and "iopub.status.idle" in times:
            busy, idle = (
                datetime.fromisoformat(times[key].replace("Z", "+00:00"))
                for key in ("iopub.status.busy", "iopub.status.idle")
            )
            taken[place] = (idle - busy).total_seconds()
    return taken


def main(names: Sequence[str]) -> None:
    """Run the notebooks of these names, or all of them, and write them anew. Prints the seconds of slow cells."""
    for path in sorted(FOLDER.glob("*.ipynb")):
        if names and path.stem not in names:
            continue
        notebook = nbformat.read(path, as_version=4)
        with tempfile.TemporaryDirectory() as folder:
            executed = run(notebook, Path(folder))
        taken = seconds_of_cells(executed)
        aside = path.with_suffix(".tmp")
        nbformat.write(with_outputs(notebook, executed), aside)
        aside.replace(path)
        slow = ", ".join(f"cell {place} {seconds:.0f} s" for place, seconds in taken.items() if seconds >= 5)
        print(f"{path.stem}: {sum(taken.values()):.0f} s; {slow or 'no slow cell'}")


if __name__ == "__main__":
    main(sys.argv[1:])
