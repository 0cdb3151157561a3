"""The datasets that come with a name, each declared by a card."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from cls_env.datasets.image_dataset import ImageDataset

Loader = Callable[..., ImageDataset]


@dataclass(frozen=True, kw_only=True)
class DatasetCard:
    """What is known about a dataset before it is loaded.

    Attributes:
        name: The name by which `load_dataset` finds it.
        loader: The function that loads it, or its import path `"module:function"`, which is imported on first use.
        title: In words.
        env_id: Id of the environment of its tasks, `task_counts[0]` of them; None for no such environment.
        classes: Number of classes; None where the user's files decide.
        images: Numbers of training and test images; None where the user's files decide.
        split: How training and test images are separated.
        task_counts: Customary numbers of tasks; the first is the default.
        image_size: Side of the images as published, in pixels; None where it varies.
        observation_size: Side of the observations by default, in pixels, if it is not `image_size`.
        model: Name of the backbone that experiments use by default: one that knows such images.
        augment: Whether random crops and flips keep the label, as for photographs but not for characters.
        generated: Whether the loader's `seed` draws other images, rather than another split of the same images.
        source: Where it comes from.
        citation: Who made it.
        licence: What is known of its terms; the source decides.
    """

    name: str
    loader: str | Loader
    title: str = ""
    env_id: str | None = None
    classes: int | None = None
    images: tuple[int, int] | None = None
    split: str = ""
    task_counts: tuple[int, ...] = (5,)
    image_size: int | None = None
    observation_size: int | None = None
    model: str = "vit_mini_patch16_64"
    augment: bool = True
    generated: bool = False
    source: str = ""
    citation: str = ""
    licence: str = ""

    def load_function(self) -> Loader:
        """The loader, imported where the card gives its import path.

        Raises:
            ValueError: There is none at this path.
        """
        if callable(self.loader):
            return self.loader
        module, function = self.loader.split(":")
        try:
            loader: Loader = getattr(import_module(module), function)
        except (ImportError, AttributeError) as error:
            raise ValueError(f"dataset {self.name!r} has no loader at {self.loader}: {error}") from error
        return loader


_LOADERS = "cls_env.datasets.loaders"

BENCHMARKS = (
    DatasetCard(
        name="glyphs",
        loader="cls_env.datasets.glyphs:load_glyphs",
        title="Drawn characters of many scripts (embedded)",
        env_id="cls_env/SplitGlyphs-v0",
        classes=50,
        images=(1000, 1000),
        split="drawn by the seed, 20 and 20 images a class",
        task_counts=(5, 10),
        image_size=36,
        model="vit_micro_patch8_32",
        augment=False,
        generated=True,
        source="drawn by this package from the fonts that ship with matplotlib",
        citation="this package",
        licence="MIT",
    ),
    DatasetCard(
        name="digits",
        loader=f"{_LOADERS}.digits:load_digits",
        title="Handwritten digits, scanned (embedded in scikit-learn)",
        env_id="cls_env/SplitDigits-v0",
        classes=10,
        images=(1438, 359),
        split="seeded, 20 % of each class for testing",
        task_counts=(5,),
        image_size=8,
        observation_size=36,
        model="vit_micro_patch8_32",
        augment=False,
        source="sklearn.datasets.load_digits",
        citation="Alpaydin, Kaynak, Optical Recognition of Handwritten Digits, UCI 1998",
        licence="CC BY 4.0",
    ),
    DatasetCard(
        name="photos",
        loader="cls_env.datasets.photos:load_photos",
        title="Photographs of 99 kinds of objects (embedded)",
        env_id="cls_env/SplitPhotos-v0",
        classes=99,
        images=(1980, 990),
        split="fixed, 20 and 10 images a class",
        task_counts=(5, 10),
        image_size=96,
        source="Caltech-101 without its classes of faces and backgrounds: central squares, stored small",
        citation="Fei-Fei, Fergus, Perona, Learning generative visual models, CVPR-W 2004",
        licence="CC BY 4.0",
    ),
    DatasetCard(
        name="cifar10",
        loader=f"{_LOADERS}.torchvision_sets:load_cifar10",
        title="CIFAR-10",
        env_id="cls_env/SplitCIFAR10-v0",
        classes=10,
        images=(50_000, 10_000),
        split="as published",
        task_counts=(5,),
        image_size=32,
        source="torchvision.datasets.CIFAR10",
        citation="Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
        licence="not stated by the authors",
    ),
    DatasetCard(
        name="cifar100",
        loader=f"{_LOADERS}.torchvision_sets:load_cifar100",
        title="CIFAR-100",
        env_id="cls_env/SplitCIFAR100-v0",
        classes=100,
        images=(50_000, 10_000),
        split="as published",
        task_counts=(10, 5, 20),
        image_size=32,
        source="torchvision.datasets.CIFAR100",
        citation="Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009",
        licence="not stated by the authors",
    ),
    DatasetCard(
        name="tiny-imagenet",
        loader=f"{_LOADERS}.archive_sets:load_tiny_imagenet",
        title="Tiny ImageNet",
        env_id="cls_env/SplitTinyImageNet-v0",
        classes=200,
        images=(100_000, 10_000),
        split="as published; the validation images are the test images",
        task_counts=(10, 5, 20),
        image_size=64,
        source="http://cs231n.stanford.edu/tiny-imagenet-200.zip",
        citation="Le, Yang, Tiny ImageNet Visual Recognition Challenge, Stanford CS 231N 2015",
        licence="that of ImageNet: non-commercial research and education only",
    ),
    DatasetCard(
        name="imagenet-r",
        loader=f"{_LOADERS}.archive_sets:load_imagenet_r",
        title="ImageNet-R(endition)",
        env_id="cls_env/SplitImageNetR-v0",
        classes=200,
        images=(24_000, 6_000),
        split="train_list.txt and val_list.txt next to the images (as L2P and LAE); else seeded, 20 % a class",
        task_counts=(10, 5, 20),
        observation_size=256,
        source="https://people.eecs.berkeley.edu/~hendrycks/imagenet-r.tar",
        citation="Hendrycks et al., The Many Faces of Robustness, ICCV 2021",
        licence="MIT for the list; the images belong to their authors",
    ),
    DatasetCard(
        name="food101",
        loader=f"{_LOADERS}.torchvision_sets:load_food101",
        title="Food-101",
        env_id="cls_env/SplitFood101-v0",
        classes=101,
        images=(75_750, 25_250),
        split="as published",
        task_counts=(10,),
        observation_size=256,
        source="torchvision.datasets.Food101",
        citation="Bossard, Guillaumin, Van Gool, Food-101, ECCV 2014",
        licence="images from foodspotting.com, for scientific fair use only",
    ),
    DatasetCard(
        name="cub200",
        loader=f"{_LOADERS}.archive_sets:load_cub200",
        title="Caltech-UCSD Birds-200-2011",
        env_id="cls_env/SplitCUB200-v0",
        classes=200,
        images=(5_994, 5_794),
        split="train_test_split.txt, as published",
        task_counts=(10, 5, 20),
        observation_size=256,
        source="https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz",
        citation="Wah et al., Caltech-UCSD Birds-200-2011, CNS-TR-2011-001",
        licence="non-commercial research and education only",
    ),
    DatasetCard(
        name="clrs25",
        loader=f"{_LOADERS}.archive_sets:load_clrs25",
        title="CLRS, remote sensing for continual learning",
        env_id="cls_env/CLRS25-v0",
        classes=25,
        images=(12_000, 3_000),
        split="seeded, 20 % of each class for testing",
        task_counts=(5,),
        image_size=256,
        source="https://github.com/lehaifeng/CLRS",
        citation="Li et al., CLRS: Continual Learning Benchmark for Remote Sensing ..., Sensors 2020",
        licence="not stated by the authors",
    ),
    DatasetCard(
        name="omniglot",
        loader=f"{_LOADERS}.torchvision_sets:load_omniglot",
        title="Omniglot, handwritten characters of 50 alphabets",
        env_id="cls_env/SplitOmniglot-v0",
        classes=1623,
        images=(24_345, 8_115),
        split="seeded, 5 of the 20 images of each class for testing",
        task_counts=(50, 10),
        image_size=105,
        model="vit_micro_patch8_32",
        augment=False,
        source="torchvision.datasets.Omniglot",
        citation="Lake, Salakhutdinov, Tenenbaum, Human-level concept learning, Science 2015",
        licence="MIT",
    ),
    DatasetCard(
        name="caltech101",
        loader=f"{_LOADERS}.torchvision_sets:load_caltech101",
        title="Caltech-101, without its background class",
        env_id="cls_env/SplitCaltech101-v0",
        classes=101,
        images=(6_941, 1_736),
        split="seeded, 20 % of each class for testing",
        task_counts=(10, 5),
        observation_size=256,
        source="torchvision.datasets.Caltech101",
        citation="Fei-Fei, Fergus, Perona, Learning generative visual models, CVPR-W 2004",
        licence="CC BY 4.0",
    ),
    DatasetCard(
        name="folder",
        loader=f"{_LOADERS}.folder:load_folder",
        title="A folder, zip or tar of your own images",
        split="train/ and test/, or one tree: 20 % of each class for testing, or test_fraction, or lists of files",
        source="your disk",
        citation="yours",
        licence="yours",
    ),
    DatasetCard(
        name="huggingface",
        loader=f"{_LOADERS}.huggingface:load_hub",
        title="A dataset of the Hugging Face hub, or in its formats",
        split="as published; where there is one split only, test_fraction",
        source="datasets.load_dataset",
        citation="see its card on the hub",
        licence="see its card on the hub",
    ),
)
