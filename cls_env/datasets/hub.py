"""Image sets of the Hugging Face hub, or any that its `datasets` library can read."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from cls_env.datasets.decoding import upright
from cls_env.datasets.listing import Listing, Row, split_by_seed
from cls_env.datasets.store import StoredDataset, StoreOptions, stored


@dataclass(frozen=True)
class HubReader:
    """Gives the images of a column, left undecoded by the library, by split and row."""

    splits: dict[str, Any]
    column: str

    def read(self, reference: tuple[str, int]) -> Image.Image:
        """The image of a row."""
        split, row = reference
        entry = self.splits[split][row][self.column]
        source: Any = BytesIO(entry["bytes"]) if entry["bytes"] is not None else entry["path"]
        with Image.open(source) as image:
            return upright(image)

    def place(self, reference: tuple[str, int]) -> str:
        """Split and row."""
        return f"split {reference[0]!r}, row {reference[1]}"


def load_hub(
    path: str,
    image_size: int = 256,
    *,
    image_column: str | None = None,
    label_column: str | None = None,
    train_split: str = "train",
    test_split: str = "test",
    test_fraction: float | None = None,
    seed: int = 0,
    revision: str | None = None,
    resize: str = "crop",
    on_error: str = "raise",
    workers: int | None = None,
) -> StoredDataset:
    """Load an image set through `datasets.load_dataset`, which fetches and caches it.

    Args:
        path: Its name on the hub, such as `"uoft-cs/cifar10"`, or a local folder of parquet files or images.
        image_size: Side of the square images in the store, in pixels.
        image_column: The column of images; by default the only one.
        label_column: The column of classes; by default the only one.
        train_split: Name of the training split.
        test_split: Name of the test split.
        test_fraction: Hold out this share of each class of the training split instead, in (0, 1).
        seed: Fixes which.
        revision: Branch, tag or commit on the hub.
        resize: `"crop"`, `"squash"` or `"pad"`, see `RESIZE_RULES`.
        on_error: `"raise"`, or `"skip"` to leave out images that can't be decoded.
        workers: Decoding processes; by default one for each core.

    Raises:
        ModuleNotFoundError: The library is not installed.
        ValueError: The set can't be fetched, or has no such split or column.
    """
    try:
        import datasets
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'sets of the Hugging Face hub need its library: pip install "cls-env[hub]"'
        ) from error
    options = StoreOptions(image_size=image_size, resize=resize, on_error=on_error, workers=workers)
    try:
        found = datasets.load_dataset(path, revision=revision)
    except Exception as error:  # the hub's client has many kinds: no network, no such set, no such revision, ...
        raise ValueError(f"datasets.load_dataset can't give {path!r}: {error}") from error
    wanted = (train_split,) if test_fraction is not None else (train_split, test_split)
    for split in wanted:
        if split not in found:
            raise ValueError(
                f"{path} has no split {split!r}, only {', '.join(found)}; without a test split give test_fraction"
            )
    features = found[train_split].features
    images = image_column or _only(path, features, datasets.Image, "image")
    labels = label_column or _only(path, features, datasets.ClassLabel, "label")
    if not isinstance(features[labels], datasets.ClassLabel):
        raise ValueError(
            f"{path}: column {labels!r} holds {features[labels]}, not classes; name another by label_column"
        )
    splits = {name: found[name].cast_column(images, datasets.Image(decode=False)) for name in wanted}
    reader = HubReader(splits, images)

    def make_listing(room: Path) -> Listing:
        rows = {
            name: tuple(Row((name, index), int(label)) for index, label in enumerate(split[labels]))
            for name, split in splits.items()
        }
        names = tuple(features[labels].names)
        if test_fraction is not None:
            return split_by_seed(reader, rows[train_split], names, test_fraction, seed)
        return Listing(reader, rows[train_split], rows[test_split], names)

    prints = [splits[name]._fingerprint for name in wanted]
    source = f"{prints} {images} {labels} {test_fraction} {test_fraction and seed}"
    return stored(f"huggingface:{Path(path).name}", source, make_listing, options)


def _only(path: str, features: Any, kind: type, what: str) -> str:
    """The one column of a kind.

    Raises:
        ValueError: There is none, or there are several.
    """
    columns = [name for name, feature in features.items() if isinstance(feature, kind)]
    if len(columns) != 1:
        raise ValueError(
            f"{path} has {len(columns)} columns of kind {kind.__name__} ({', '.join(columns) or 'none'} of "
            f"{', '.join(features)}); name one by {what}_column"
        )
    return columns[0]
