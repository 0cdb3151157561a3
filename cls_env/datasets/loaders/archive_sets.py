"""Datasets that torchvision does not offer, read from the archives or folders of their authors."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from cls_env.datasets.files.decoding import TreeReader
from cls_env.datasets.files.listing import FileList, ImageRef, list_whole_tree, split_by_lists
from cls_env.datasets.files.load_report import LoadReport
from cls_env.datasets.files.split_lists import read_lines
from cls_env.datasets.files.trees import Tree, open_tree
from cls_env.datasets.loaders.published_set import PublishedSet

IMAGENET_R = "https://people.eecs.berkeley.edu/~hendrycks/imagenet-r.tar"
IMAGENET_R_SPLIT = "https://gist.githubusercontent.com/gqk/e127fe18bf179bdcbdf5e29a8c1ae523/raw"
IMAGENET_R_LISTS = ("train_list.txt", "val_list.txt")
TINY_IMAGENET = "http://cs231n.stanford.edu/tiny-imagenet-200.zip"
CUB200 = "https://data.caltech.edu/records/65de6-vp158/files/CUB_200_2011.tgz"


def _list_imagenet_r(path: Path, tmp_dir: Path, report: LoadReport) -> FileList:
    tree = open_tree(path).for_random_access(tmp_dir)
    rows, names = list_whole_tree(tree, report)
    train, test = (path.parent / name for name in IMAGENET_R_LISTS)
    if not (train.exists() or test.exists()):
        return FileList(TreeReader(tree), tuple(rows), (), names)
    if not (train.exists() and test.exists()):
        raise FileNotFoundError(f"one of {train} and {test} is missing: add it, or remove the other")
    lists = read_lines(train), read_lines(test)
    return split_by_lists(TreeReader(tree), rows, names, lists, f"{train} and {test.name}", report)


def _list_cub200(path: Path, tmp_dir: Path, report: LoadReport) -> FileList:
    tree = open_tree(path).for_random_access(tmp_dir)
    top = next(
        (str(PurePosixPath(name).parent) for name in tree.contents.files if name.endswith("train_test_split.txt")), None
    )
    if top is None:
        raise ValueError(f"{path} has no train_test_split.txt, which lists the training images")
    rows, names = list_whole_tree(tree, report, str(PurePosixPath(top) / "images"))
    files = dict(_pairs(tree, top, "images.txt"))
    lists: dict[str, list[str]] = {"1": [], "0": []}
    for identifier, is_training in _pairs(tree, top, "train_test_split.txt"):
        if is_training not in lists or identifier not in files:
            raise ValueError(
                f"{path}, train_test_split.txt: {identifier} {is_training} is not an image's number and 0 or 1"
            )
        lists[is_training].append(files[identifier])
    return split_by_lists(
        TreeReader(tree), rows, names, (lists["1"], lists["0"]), f"{path}, train_test_split.txt", report
    )


def _pairs(tree: Tree, top: str, name: str) -> list[tuple[str, str]]:
    with tree.open(str(PurePosixPath(top) / name)) as stream:
        lines = stream.read().decode().splitlines()
    try:
        return [(first, second) for first, second in (line.split() for line in lines if line.strip())]
    except ValueError as error:
        raise ValueError(f"{tree.root}/{top}/{name}: every line must hold two words ({error})") from error


def _list_tiny_imagenet(path: Path, tmp_dir: Path, report: LoadReport) -> FileList:
    """The images of `train/<class>/images` for training, and those of `val` for testing: `test` has no labels."""
    tree = open_tree(path).for_random_access(tmp_dir)
    listed = next((file for file in tree.contents.files if file.endswith("val/val_annotations.txt")), None)
    if listed is None:
        raise ValueError(f"{path} has no val/val_annotations.txt, which has the classes of the test images")
    folder = PurePosixPath(listed).parent
    train, names = list_whole_tree(tree, LoadReport(report.skip), str(folder.parent / "train"))
    labels = {name: label for label, name in enumerate(names)}
    with tree.open(listed) as stream:
        lines = [line.split("\t") for line in stream.read().decode().splitlines()]
    if unknown := next((line for line in lines if len(line) < 2 or line[1] not in labels), None):
        raise ValueError(f"{tree.root}/{listed}: {unknown} is not a file and one of the {len(names)} training classes")
    test = [ImageRef(str(folder / "images" / file), labels[name]) for file, name, *_ in lines]
    return FileList(TreeReader(tree), tuple(train), tuple(test), names)


def _list_clrs25(path: Path, tmp_dir: Path, report: LoadReport) -> FileList:
    tree = open_tree(path).for_random_access(tmp_dir)
    rows, names = list_whole_tree(tree, report)
    return FileList(TreeReader(tree), tuple(rows), (), names)


def _download(folder: Path, url: str, md5: str | None = None) -> None:
    from torchvision.datasets.utils import download_url

    download_url(url, str(folder), md5=md5)


def _download_imagenet_r(folder: Path) -> None:
    if not (folder / "imagenet-r").is_dir():
        _download(folder, IMAGENET_R, "a61312130a589d0ca1a8fca1f2bd3337")
    for name in IMAGENET_R_LISTS:
        _download(folder, f"{IMAGENET_R_SPLIT}/{name}")


def _download_tiny_imagenet(folder: Path) -> None:
    if not (folder / "tiny-imagenet-200").is_dir():
        _download(folder, TINY_IMAGENET, "90528d7ca1a48142e341f4ef8d21d0de")


def _download_cub200(folder: Path) -> None:
    if not (folder / "CUB_200_2011").is_dir():
        _download(folder, CUB200, "97eceeb196236b17998738112f37df78")


load_imagenet_r = PublishedSet(
    "imagenet-r",
    ("imagenet-r", "imagenet-r.tar"),
    _list_imagenet_r,
    _download_imagenet_r,
    extra_files=IMAGENET_R_LISTS,
)
load_tiny_imagenet = PublishedSet(
    "tiny-imagenet",
    ("tiny-imagenet-200", "tiny-imagenet-200.zip"),
    _list_tiny_imagenet,
    _download_tiny_imagenet,
    has_split=True,
    image_size=64,
)
load_cub200 = PublishedSet(
    "cub200",
    ("CUB_200_2011", "CUB_200_2011.tgz"),
    _list_cub200,
    _download_cub200,
    has_split=True,
)
load_clrs25 = PublishedSet(
    "clrs25",
    ("CLRS", "CLRS.zip"),
    _list_clrs25,
    advice="download it from https://github.com/lehaifeng/CLRS and put its folder CLRS, or CLRS.zip, there",
)
