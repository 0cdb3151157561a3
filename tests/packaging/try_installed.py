"""Try an installed cls-env, with the extra `experiments`, outside of the repository: `python try_installed.py FOLDER`.

It needs no pytest, so that it can be run in an environment that has only what a user installs.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

import gymnasium as gym
from PIL import Image

import cls_env

REPOSITORY = Path(__file__).resolve().parents[2]
LISTS = ("--help", "datasets", "objectives", "modules", "methods", "study", "presets", "stream")


def check_packages() -> None:
    """Check that the packages are typed, of one version, and not those of the repository."""
    for name in ("cls_env", "agents", "experiments"):
        (folder,) = (find_spec(name) or sys.exit(f"{name} is not installed")).submodule_search_locations or ()
        if Path(folder).resolve() == REPOSITORY / name:
            sys.exit(f"{name} is that of the repository, and should be the installed one")
        if not (Path(folder) / "py.typed").is_file():
            sys.exit(f"{name} has no py.typed")
    if version("cls-env") != cls_env.__version__:
        sys.exit(f"the metadata say {version('cls-env')}, the package {cls_env.__version__}")


def write_images(folder: Path) -> None:
    """Write a folder of the first photographs and one of the first digits, which the environments show."""
    for name in ("SplitPhotos", "SplitDigits"):
        image, info = gym.make(f"cls_env/{name}-v0").reset(seed=0)
        file = folder / name / str(info["label"]) / "first.png"
        file.parent.mkdir(parents=True)
        Image.fromarray(image).save(file)


def command(*words: str, folder: Path) -> str:
    """What `cls-env` prints; the other name of the command line is tried for words that begin with `-m`.

    Raises:
        subprocess.CalledProcessError: The command failed.
    """
    program = [sys.executable] if words[0] == "-m" else [str(Path(sys.executable).with_name("cls-env"))]
    print("$", *words, flush=True)
    return subprocess.run([*program, *words], cwd=folder, check=True, stdout=subprocess.PIPE, text=True).stdout


def main(folder: Path) -> None:
    """Make environments, list names, train, compare, and use the model, in a folder that is empty or not yet there."""
    folder.mkdir(parents=True, exist_ok=True)
    check_packages()
    write_images(folder)
    for words in LISTS:
        if not command(words, folder=folder):
            sys.exit(f"cls-env {words} printed nothing")
    small = ("--epochs", "1", "--num-tasks", "2")
    command("run", "--dataset", "digits", *small, "--out", "run", folder=folder)
    command("predict", "run/model.zip", "SplitDigits", folder=folder)
    command("export", "run/model.zip", "--to", "timm", "--out", "exported", folder=folder)
    command("-m", "experiments", "compare", "--dataset", "digits", *small, "--seeds", "1", folder=folder)
    expected = ["run/metrics.json", "exported", "results/compare/digits/table.md"]
    if missing := [name for name in expected if not (folder / name).exists()]:
        sys.exit(f"the commands wrote no {', '.join(missing)} in {folder}")
    print(f"cls-env {cls_env.__version__} works on Python {sys.version.split()[0]}")


if __name__ == "__main__":
    if shutil.which("cls-env", path=str(Path(sys.executable).parent)) is None:
        sys.exit(f"there is no command cls-env beside {sys.executable}: pip install 'cls-env[experiments]'")
    main(Path(sys.argv[1]).absolute())
