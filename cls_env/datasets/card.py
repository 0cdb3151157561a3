"""What is known of an image set before it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from cls_env.datasets.image_dataset import ImageDataset

Loader = Callable[..., ImageDataset]


@dataclass(frozen=True, kw_only=True)
class DatasetCard:
    """The declaration of an image set.

    Attributes:
        name: By which it is asked for.
        loader: The function that loads it, or its place, `"module:function"`, imported when it is asked for.
        title: In words.
        classes: How many classes; None where the user's files decide.
        images: Training and test images; None where the user's files decide.
        split: How the two splits come about.
        task_counts: Customary numbers of tasks; the first is the default.
        image_size: Side of the images as published, in pixels; None where it varies.
        augment: Whether random crops and flips keep the label, as with photographs and unlike characters.
        generated: Whether the loader's `seed` draws other images, and not another split of the same.
        source: Where it comes from.
        citation: Who made it.
        licence: What is known of its terms; the source has the last word.
    """

    name: str
    loader: str | Loader
    title: str = ""
    classes: int | None = None
    images: tuple[int, int] | None = None
    split: str = ""
    task_counts: tuple[int, ...] = (5,)
    image_size: int | None = None
    augment: bool = True
    generated: bool = False
    source: str = ""
    citation: str = ""
    licence: str = ""

    def load_function(self) -> Loader:
        """The loader itself.

        Raises:
            ValueError: There is none at the place that the card names.
        """
        if callable(self.loader):
            return self.loader
        module, function = self.loader.split(":")
        try:
            loader: Loader = getattr(import_module(module), function)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"dataset {self.name!r} has no loader at {self.loader}: {error}") from error
        return loader
