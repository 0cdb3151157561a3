"""Published sets, from small replicas of their layouts."""

from __future__ import annotations

import hashlib
import json
import pickle
import shutil
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from cls_env import DATASETS, load_dataset
from cls_env.datasets.loaders.published_set import PublishedSet

RANDOM = np.random.default_rng(0)


def picture(file: Path, side: int = 20) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RANDOM.integers(0, 256, size=(side, side + 4, 3), dtype=np.uint8)).save(file)


def cifar_file(file: Path, content: dict[str, object]) -> tuple[str, str]:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(pickle.dumps(content))
    return file.name, hashlib.md5(file.read_bytes()).hexdigest()


@pytest.fixture
def cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A replica with its own sums in the place of the published ones."""
    from torchvision.datasets import CIFAR10

    folder = tmp_path / "cifar-10-batches-py"
    train = {"data": RANDOM.integers(0, 256, size=(40, 3072), dtype=np.uint8), "labels": [*range(10)] * 4}
    test = {"data": RANDOM.integers(0, 256, size=(20, 3072), dtype=np.uint8), "labels": [*range(10)] * 2}
    monkeypatch.setattr(CIFAR10, "train_list", [cifar_file(folder / "data_batch_1", train)])
    monkeypatch.setattr(CIFAR10, "test_list", [cifar_file(folder / "test_batch", test)])
    names = [f"class {index}" for index in range(10)]
    name, md5 = cifar_file(folder / "batches.meta", {"label_names": names})
    monkeypatch.setattr(CIFAR10, "meta", {"filename": name, "key": "label_names", "md5": md5})
    return tmp_path


def test_cifar10_through_torchvision(cifar10: Path) -> None:
    native = load_dataset("cifar10", root=cifar10)
    with (cifar10 / "cifar-10-batches-py" / "data_batch_1").open("rb") as stream:
        first = pickle.load(stream)["data"][0].reshape(3, 32, 32).transpose(1, 2, 0)
    assert np.array_equal(native.train_images[0], first)
    assert native.test_labels.tolist() == [*range(10)] * 2 and native.class_names[3] == "class 3"
    assert len(load_dataset("cifar10", root=cifar10, test_fraction=0.5).train_images) == 30
    assert load_dataset("cifar10", root=cifar10, image_size=64).train_images.shape[1:] == (64, 64, 3)


def test_seed_of_a_published_split_makes_no_second_store(cifar10: Path) -> None:
    first, second = (load_dataset("cifar10", root=cifar10, seed=seed) for seed in (0, 1))
    assert first.path == second.path
    with pytest.raises(ValueError, match=r"test_fraction must be in \(0, 1\), not 0"):
        load_dataset("cifar10", root=cifar10, test_fraction=0.0)


def test_archive_in_the_place_of_a_folder_is_not_blamed(image_zip: Path) -> None:
    with pytest.raises(ValueError, match="for images of your own use the dataset 'folder'"):
        load_dataset("cifar10", root=image_zip)


def test_damaged_cifar_is_not_unpickled(cifar10: Path, tmp_path: Path) -> None:
    evil = b"cos\nsystem\n(S'touch " + str(tmp_path / "ran").encode() + b"'\ntR."
    (cifar10 / "cifar-10-batches-py" / "test_batch").write_bytes(evil)
    with pytest.raises(ValueError, match="is not CIFAR10 as published"):
        load_dataset("cifar10", root=cifar10)
    assert not (tmp_path / "ran").exists()


def test_food101(tmp_path: Path) -> None:
    lists: dict[str, dict[str, list[str]]] = {"train": {}, "test": {}}
    for name in ("apple_pie", "sushi"):
        for index in range(6):
            picture(tmp_path / "food-101" / "images" / name / f"{index}.jpg")
            lists["test" if index == 0 else "train"].setdefault(name, []).append(f"{name}/{index}")
    (tmp_path / "food-101" / "meta").mkdir()
    for split, files in lists.items():
        (tmp_path / "food-101" / "meta" / f"{split}.json").write_text(json.dumps(files))
    dataset = load_dataset("food101", root=tmp_path, image_size=16)
    assert dataset.class_names == ("apple_pie", "sushi")
    assert (len(dataset.train_images), len(dataset.test_images)) == (10, 2)


def test_caltech101_without_its_background(tmp_path: Path) -> None:
    for name in ("ant", "BACKGROUND_Google", "bonsai"):
        for index in range(5):
            picture(tmp_path / "caltech101" / "101_ObjectCategories" / name / f"image_{index:04}.jpg")
    dataset = load_dataset("caltech101", root=tmp_path, image_size=16)
    assert dataset.class_names == ("ant", "bonsai") and len(dataset.test_images) == 2


def test_omniglot_has_the_characters_of_both_parts(tmp_path: Path) -> None:
    for part, alphabet in (("images_background", "Greek"), ("images_evaluation", "Tengwar")):
        for character in ("character01", "character02"):
            for index in range(4):
                picture(tmp_path / "omniglot-py" / part / alphabet / character / f"{index}.png")
    dataset = load_dataset("omniglot", root=tmp_path, image_size=16)
    assert dataset.class_names[0] == "Greek/character01" and dataset.class_names[-1] == "Tengwar/character02"
    assert np.bincount(dataset.test_labels).tolist() == [1, 1, 1, 1]
    shutil.rmtree(tmp_path / "omniglot-py" / "images_evaluation")
    with pytest.raises(ValueError, match="lacks the folder images_evaluation"):
        load_dataset("omniglot", root=tmp_path, image_size=16)


def cub(root: Path) -> Path:
    folder = root / "CUB_200_2011"
    images, split = [], []
    for number, name in enumerate(("001.Albatross", "002.Auklet")):
        for index in range(4):
            picture(folder / "images" / name / f"{index}.jpg")
            images.append(f"{4 * number + index + 1} {name}/{index}.jpg")
            split.append(f"{4 * number + index + 1} {int(index < 3)}")
    (folder / "images.txt").write_text("\n".join(images) + "\n")
    (folder / "train_test_split.txt").write_text("\n".join(split) + "\n")
    return folder


@pytest.mark.parametrize("packed", [False, True])
def test_cub200_follows_its_split_file(tmp_path: Path, packed: bool) -> None:
    folder = cub(tmp_path)
    if packed:
        with tarfile.open(tmp_path / "CUB_200_2011.tgz", "w:gz") as archive:
            archive.add(folder, "CUB_200_2011")
        shutil.rmtree(folder)
    dataset = load_dataset("cub200", root=tmp_path, image_size=16)
    assert dataset.class_names == ("001.Albatross", "002.Auklet")
    assert np.bincount(dataset.train_labels).tolist() == [3, 3]
    assert np.bincount(dataset.test_labels).tolist() == [1, 1]


def test_cub200_with_a_broken_split_file(tmp_path: Path) -> None:
    folder = cub(tmp_path)
    (folder / "train_test_split.txt").write_text("1 1 1\n")
    with pytest.raises(ValueError, match=r"train_test_split\.txt: every line must hold two words"):
        load_dataset("cub200", root=tmp_path)
    (folder / "train_test_split.txt").write_text("1 2\n")
    with pytest.raises(ValueError, match=r"1 2'? is not"):
        load_dataset("cub200", root=tmp_path)
    (folder / "train_test_split.txt").unlink()
    with pytest.raises(ValueError, match=r"has no train_test_split\.txt"):
        load_dataset("cub200", root=tmp_path)


def tiny_imagenet(root: Path) -> Path:
    folder = root / "tiny-imagenet-200"
    for name in ("n01443537", "n01629819"):
        for index in range(3):
            picture(folder / "train" / name / "images" / f"{name}_{index}.JPEG")
        (folder / "train" / name / f"{name}_boxes.txt").write_text("0 0 1 1")
    for index in range(4):
        picture(folder / "val" / "images" / f"val_{index}.JPEG")
    lines = [f"val_{index}.JPEG\t{name}\t0\t0\t9\t9" for index, name in enumerate(["n01629819"] * 3 + ["n01443537"])]
    (folder / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")
    picture(folder / "test" / "images" / "test_0.JPEG")
    return folder


@pytest.mark.parametrize("packed", [False, True])
def test_tiny_imagenet_is_tested_on_its_validation_images(tmp_path: Path, packed: bool) -> None:
    folder = tiny_imagenet(tmp_path)
    if packed:
        shutil.make_archive(str(folder), "zip", tmp_path, folder.name)
        shutil.rmtree(folder)
    dataset = load_dataset("tiny-imagenet", root=tmp_path)
    assert dataset.class_names == ("n01443537", "n01629819")
    assert np.bincount(dataset.train_labels).tolist() == [3, 3] and dataset.train_images.shape[1:] == (64, 64, 3)
    assert dataset.test_labels.tolist() == [1, 1, 1, 0] and not dataset.remarks


def test_tiny_imagenet_with_wrong_annotations(tmp_path: Path) -> None:
    annotations = tiny_imagenet(tmp_path) / "val" / "val_annotations.txt"
    annotations.write_text("val_0.JPEG\tn09999999\t0\n")
    with pytest.raises(ValueError, match=r"'n09999999', '0'\] is not a file and one of the 2 training classes"):
        load_dataset("tiny-imagenet", root=tmp_path)
    annotations.unlink()
    with pytest.raises(ValueError, match=r"has no val/val_annotations\.txt"):
        load_dataset("tiny-imagenet", root=tmp_path)


def test_imagenet_r_by_lists_or_by_seed(tmp_path: Path) -> None:
    for name in ("n01443537", "n01484850"):
        for index in range(5):
            picture(tmp_path / "imagenet-r" / name / f"art_{index}.jpg")
    with tarfile.open(tmp_path / "imagenet-r.tar", "w:") as archive:
        archive.add(tmp_path / "imagenet-r", "imagenet-r")
    shutil.rmtree(tmp_path / "imagenet-r")
    seeded = load_dataset("imagenet-r", root=tmp_path, image_size=16)
    assert (len(seeded.train_images), len(seeded.test_images)) == (8, 2)
    lines = [
        f"imagenet-r/{name}/art_{index}.jpg {label}"
        for label, name in enumerate(seeded.class_names)
        for index in range(5)
    ]
    (tmp_path / "train_list.txt").write_text("\n".join(lines[:7]))
    (tmp_path / "val_list.txt").write_text("\n".join(lines[7:]))
    listed = load_dataset("imagenet-r", root=tmp_path, image_size=16)
    assert listed.train_labels.tolist() == [0] * 5 + [1] * 2 and listed.test_labels.tolist() == [1] * 3
    assert (
        load_dataset("imagenet-r", root=tmp_path / "imagenet-r.tar", image_size=16).images_sha256
        == listed.images_sha256
    )
    (tmp_path / "val_list.txt").unlink()
    with pytest.raises(FileNotFoundError, match="is missing: add it, or remove the other"):
        load_dataset("imagenet-r", root=tmp_path, image_size=16)


def test_clrs25_from_a_folder(tmp_path: Path) -> None:
    for name in ("airport", "beach"):
        for index in range(5):
            picture(tmp_path / "CLRS" / name / f"{name}_{index}.tif")
    assert len(load_dataset("clrs25", root=tmp_path, image_size=16).train_images) == 8


@pytest.mark.parametrize(
    "name", [name for name, card in DATASETS.items() if isinstance(card.load_function(), PublishedSet)]
)
def test_missing_set_says_what_where_and_how(name: str, tmp_path: Path) -> None:
    loader = DATASETS[name].load_function()
    assert isinstance(loader, PublishedSet)
    with pytest.raises(FileNotFoundError) as failure:
        load_dataset(name, root=tmp_path)
    message = str(failure.value)
    assert loader.candidates[0] in message and str(tmp_path) in message
    assert f"cls-env download {name} --root {tmp_path}" in message or "download it from https://" in message


def test_set_that_no_program_may_fetch(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="clrs25 can't be downloaded by a program: download it from"):
        load_dataset("clrs25", root=tmp_path, download=True)


def test_default_folder_is_the_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLS_ENV_DATA", str(tmp_path))
    with pytest.raises(FileNotFoundError, match=f"in {tmp_path}/cifar100"):
        load_dataset("cifar100")


@pytest.mark.parametrize("card", DATASETS.values(), ids=str)
def test_every_card_is_filled(card: object) -> None:
    for entry in ("title", "split", "source", "citation", "licence", "task_counts"):
        assert getattr(card, entry), entry
    loader = card.load_function()
    if isinstance(loader, PublishedSet) and card.image_size is not None:
        assert loader.image_size == card.image_size
