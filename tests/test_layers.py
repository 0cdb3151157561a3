"""Imports go one way: between the packages, and between the folders of each."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGES = ("cls_env", "agents", "experiments")
FORBIDDEN = {"cls_env": {"agents", "experiments", "torch"}, "agents": {"experiments"}}


def imported_modules(file: Path) -> set[str]:
    """The modules that a file imports, also within functions and for type checks."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
            names |= {f"{node.module}.{alias.name}" for alias in node.names if _is_module(node.module, alias.name)}
    return names


def _is_module(parent: str, name: str) -> bool:
    path = ROOT / parent.replace(".", "/") / name
    return path.is_dir() or path.with_suffix(".py").is_file()


def room_of(module: str) -> str:
    """The folder of a package in which a module lies, or the module itself where it lies in none."""
    return ".".join(module.split(".")[:2])


def imports_between_rooms(package: str) -> dict[str, set[str]]:
    graph: dict[str, set[str]] = {}
    for file in (ROOT / package).rglob("*.py"):
        module = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        if module == f"{package}.__init__":
            continue
        room = room_of(module)
        imported = {room_of(name) for name in imported_modules(file) if name.split(".")[0] == package}
        graph.setdefault(room, set()).update(imported - {room})
    return graph


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_layer_imports_a_higher_one(package: str) -> None:
    for file in (ROOT / package).rglob("*.py"):
        tops = {name.split(".")[0] for name in imported_modules(file)}
        assert not tops & FORBIDDEN[package], file


@pytest.mark.parametrize("package", PACKAGES)
def test_folders_of_a_package_import_one_another_in_one_direction(package: str) -> None:
    try:
        TopologicalSorter(imports_between_rooms(package)).prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' <- '.join(error.args[1])}")


def test_a_circle_is_noticed() -> None:
    with pytest.raises(CycleError):
        TopologicalSorter({"agents.policy": {"agents.methods"}, "agents.methods": {"agents.policy"}}).prepare()


@pytest.mark.parametrize(("package", "most"), [("agents", 4), ("experiments", 5), ("cls_env", 5)])
def test_few_files_lie_outside_the_folders(package: str, most: int) -> None:
    assert len(list((ROOT / package).glob("*.py"))) <= most


def test_files_and_functions_are_short() -> None:
    for folder in (*PACKAGES, "tests", "docs"):
        for file in (ROOT / folder).rglob("*.py"):
            text = file.read_text(encoding="utf-8")
            assert len(text.splitlines()) <= 350, file
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    assert (node.end_lineno or 0) - node.lineno < 50, f"{file}: {node.name}"


def test_agents_import_only_general_tools_of_cls_env() -> None:
    tools = {"cls_env.specification", "cls_env.arguments", "cls_env.registry", "cls_env.command_line.printable"}
    tools |= {"cls_env.command_line.leftovers"}
    tools |= {f"cls_env.bounded.{name}" for name in ("arrays", "json_text", "limits", "regular_files", "zip_files")}
    tools |= {"cls_env.datasets.files.decoding"}  # so that a saved agent sees a file as its stored images were decoded
    for file in (ROOT / "agents").rglob("*.py"):
        assert {name for name in imported_modules(file) if name.startswith("cls_env")} <= tools, file


def test_importing_cls_env_needs_numpy_and_gymnasium_only() -> None:
    heavy = ["torch", "timm", "peft", "stable_baselines3", "matplotlib", "PIL", "scipy", "pandas", "pygame"]
    heavy += ["joblib", "torchvision", "sklearn", "datasets", "tqdm", "platformdirs", "filelock"]
    code = f"import sys, cls_env; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert result.stdout.strip() == "[]"
