"""Imports go one way: cls_env, then agents, then experiments."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FORBIDDEN = {"cls_env": {"agents", "experiments", "torch"}, "agents": {"experiments"}}


def imported_modules(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


@pytest.mark.parametrize("package", FORBIDDEN)
def test_no_layer_imports_a_higher_one(package: str) -> None:
    for file in (ROOT / package).rglob("*.py"):
        tops = {name.split(".")[0] for name in imported_modules(file)}
        assert not tops & FORBIDDEN[package], file


def test_agents_know_the_world_through_gymnasium_alone() -> None:
    tools = {"cls_env.registry", "cls_env.specification", "cls_env.arguments"}
    for file in (ROOT / "agents").rglob("*.py"):
        assert {name for name in imported_modules(file) if name.startswith("cls_env")} <= tools, file


def test_importing_cls_env_needs_numpy_and_gymnasium_only() -> None:
    heavy = ["torch", "timm", "peft", "stable_baselines3", "matplotlib", "PIL", "scipy", "pandas", "pygame"]
    heavy += ["joblib", "torchvision", "sklearn", "datasets", "tqdm", "platformdirs", "filelock"]
    code = f"import sys, cls_env; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert result.stdout.strip() == "[]"
