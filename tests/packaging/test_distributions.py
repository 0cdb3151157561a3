"""Wheel and sdist: they are built, have the right files, and pass the checks of a package index."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
ADDRESS = "https://example.org/owner/cls-env"
LARGEST_WHEEL = 15 * 10**6
DATA = {
    "agents/networks/pretrained/vit_micro_patch8_32.json",
    "agents/networks/pretrained/vit_micro_patch8_32.safetensors",
    "agents/networks/pretrained/vit_mini_patch16_64.json",
    "agents/networks/pretrained/vit_mini_patch16_64.safetensors",
    "agents/py.typed",
    "cls_env/datasets/glyphs/characters.json",
    "cls_env/datasets/photos/LICENSE.md",
    "cls_env/datasets/photos/photos.zip",
    "cls_env/py.typed",
    "experiments/catalogue/catalogue.json",
    "experiments/py.typed",
}


def run(*words: str | Path, folder: Path = ROOT) -> None:
    """Run a tool of this environment; show what it printed if it fails."""
    environment = os.environ | {"CLS_ENV_REPOSITORY": ADDRESS}
    process = subprocess.run(
        [sys.executable, "-m", *map(str, words)], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert process.returncode == 0, process.stdout + process.stderr


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    run("build", "--no-isolation", "--sdist", "--outdir", folder, ".")
    (file,) = folder.iterdir()
    return file


@pytest.fixture(scope="module")
def unpacked(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (root,) = folder.iterdir()
    return root


@pytest.fixture(scope="module")
def wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that is built from the sdist, as an index's users build it."""
    folder = tmp_path_factory.mktemp("wheel")
    run("build", "--no-isolation", "--wheel", "--outdir", folder, ".", folder=unpacked)
    (file,) = folder.iterdir()
    return file


def metadata_of(wheel: Path) -> Message:
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return message_from_bytes(archive.read(name))


def test_the_wheel_has_the_modules_and_the_data_and_nothing_else(wheel: Path) -> None:
    modules = {
        file.relative_to(ROOT).as_posix()
        for package in ("cls_env", "agents", "experiments")
        for file in (ROOT / package).rglob("*.py")
    }
    with zipfile.ZipFile(wheel) as archive:
        files = {name for name in archive.namelist() if ".dist-info/" not in name}
    assert files == modules | DATA
    assert wheel.stat().st_size <= LARGEST_WHEEL


def test_the_sdist_has_what_its_tests_and_documents_need(unpacked: Path) -> None:
    for name in ("LICENSE", "CHANGELOG.md", "CITATION.cff", "Makefile", "hatch_build.py", "docs/results.md"):
        assert (unpacked / name).is_file(), name
    assert (unpacked / "tests" / Path(__file__).relative_to(ROOT / "tests")).is_file()
    assert (unpacked / "experiments" / "results" / "quickstart" / "table.md").is_file()
    assert len(list((unpacked / "experiments" / "notebooks").glob("*.ipynb"))) == 7


def test_an_index_accepts_both(wheel: Path, sdist: Path) -> None:
    run("twine", "check", "--strict", wheel, sdist)
    run("check_wheel_contents", "--config", ROOT / "pyproject.toml", wheel, folder=ROOT)


def test_metadata_have_the_repository_and_no_relative_links(wheel: Path) -> None:
    metadata = metadata_of(wheel)
    urls = dict(url.split(", ") for url in metadata.get_all("Project-URL", []))
    assert urls["Repository"] == ADDRESS and urls["Paper"].startswith("https://arxiv.org/")
    assert set(urls) == {"Repository", "Documentation", "Changelog", "Issues", "Paper"}
    assert "](docs/" not in metadata.as_string() and f"]({ADDRESS}/blob/v" in metadata.as_string()
