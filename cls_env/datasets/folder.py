"""An ImageFolder tree, or a zip of one: `train/<class>/<image>` and `test/<class>/<image>`."""

from __future__ import annotations

import zipfile
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from cls_env.datasets.image_dataset import ImageDataset

IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".gif", ".ppm", ".pgm", ".tif", ".tiff", ".webp"})
Tree = Path | zipfile.Path


def load_folder(root: str | Path, image_size: int = 32) -> ImageDataset:
    """Decode a tree of labelled images into memory.

    Every image becomes RGB, upright as its EXIF tag says; its shorter side is resized to `image_size` (bicubic) and
    the centre square is kept. Files whose name starts with a dot, or does not end like an image's, are passed over.

    Args:
        root: A folder with `train/` and `test/`, or a zip of one, whose single top folder may hold them.
        image_size: Side of the square images, in pixels.

    Returns:
        The images; classes in the order of their names.

    Raises:
        FileNotFoundError: `root`, or its `train/` or `test/`, is missing.
        ValueError: There are no images, a class is empty, a file can't be decoded (the message names it), or the test
            split has a class that the training split lacks.
    """
    if image_size < 1:
        raise ValueError(f"image_size must be at least 1 pixel, not {image_size}")
    return _load(Path(root), image_size, _stamp(Path(root)))


@lru_cache(maxsize=2)
def _load(root: Path, image_size: int, stamp: tuple[tuple[str, int, int], ...]) -> ImageDataset:
    """Decode once in a process, and anew when a file of `stamp` has changed."""
    opened = {name: _open_split(root, name) for name in ("train", "test")}
    splits = {name: _class_files(folder, f"{root}: {name}") for name, folder in opened.items()}
    class_names = tuple(splits["train"])
    if strangers := sorted(set(splits["test"]) - set(class_names)):
        raise ValueError(
            f"{root}: test has classes that train lacks: {', '.join(strangers[:5])}"
            f"{' ...' if len(strangers) > 5 else ''}; remove them or add training images"
        )

    def decode(files: dict[str, list[Tree]]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        labelled = [(class_names.index(name), file) for name in files for file in files[name]]
        images = np.empty((len(labelled), image_size, image_size, 3), dtype=np.uint8)
        for row, (_, file) in enumerate(labelled):
            images[row] = read_image(file, image_size)
        return images, np.array([label for label, _ in labelled], dtype=np.int64)

    return ImageDataset(f"folder:{root.stem}", *decode(splits["train"]), *decode(splits["test"]), class_names)


def read_image(file: Tree, image_size: int) -> NDArray[np.uint8]:
    """Decode one file to uint8 RGB of shape (image_size, image_size, 3).

    Raises:
        ValueError: The file can't be decoded; the message names it.
    """
    try:
        with file.open("rb") as stream, Image.open(stream) as image:
            upright = ImageOps.exif_transpose(image)
            if upright.mode.startswith("I;16"):
                upright = Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
            if upright.mode in ("I", "F"):
                raise ValueError("32-bit pixels have no agreed range; save the image with 8 or 16 bits")
            square = ImageOps.fit(upright.convert("RGB"), (image_size, image_size), Image.Resampling.BICUBIC)
            return np.asarray(square)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError(f"{file} can't be decoded as an image ({error}); replace or remove it") from error


def _open_split(root: Path, split: str) -> Tree:
    if not root.exists():
        raise FileNotFoundError(f"{root} does not exist; give a folder with train/ and test/, or a zip of one")
    if root.is_file() and not zipfile.is_zipfile(root):
        raise ValueError(f"{root} is neither a folder nor a zip file")
    top: Tree = zipfile.Path(root) if root.is_file() else root
    inner = _visible(top)
    if len(inner) == 1 and inner[0].name not in ("train", "test"):
        top = inner[0]
    if not (top / split).is_dir():
        raise FileNotFoundError(
            f"{top} has no folder {split!r}; the layout is train/<class>/<image> and test/<class>/<image>"
        )
    return top / split


def _class_files(split: Tree, place: str) -> dict[str, list[Tree]]:
    """Class name to its image files, both sorted by name."""
    classes = {folder.name: folder for folder in _visible(split) if folder.is_dir()}
    files = {
        name: [file for file in _files(classes[name]) if Path(file.name).suffix.lower() in IMAGE_SUFFIXES]
        for name in sorted(classes)
    }
    if not files:
        raise ValueError(f"{place} is empty: it holds no class folders")
    for name, images in files.items():
        if not images:
            raise ValueError(f"{place}: class {name!r} holds no images; add some or remove the folder")
    return files


def _files(folder: Tree) -> list[Tree]:
    """All files below a folder, as torchvision's ImageFolder takes them."""
    found: list[Tree] = []
    for child in _visible(folder):
        found += _files(child) if child.is_dir() else [child]
    return found


def _stamp(root: Path) -> tuple[tuple[str, int, int], ...]:
    """Name, size and time of the zip, or of every file of the tree."""
    files = sorted(root.rglob("*")) if root.is_dir() else [root] if root.exists() else []
    stats = [(str(file), file.stat()) for file in files]
    return tuple((name, stat.st_size, stat.st_mtime_ns) for name, stat in stats)


def _visible(folder: Tree) -> list[Tree]:
    children = [child for child in folder.iterdir() if not child.name.startswith((".", "__MACOSX"))]
    return sorted(children, key=lambda child: child.name)
