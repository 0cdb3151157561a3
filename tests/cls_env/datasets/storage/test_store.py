from __future__ import annotations

import json
import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import cls_env.datasets.storage.store_build as store_build
from cls_env import ClassIncrementalVectorEnv, TaskStream, load_dataset
from cls_env.datasets.storage.store import StoredDataset, clear_stores, list_stores, open_store


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of this test's own."""
    monkeypatch.setenv("CLS_ENV_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "stores"


@pytest.fixture
def tree(image_tree: Path, tmp_path: Path) -> Path:
    """A copy that a test may damage."""
    return Path(shutil.copytree(image_tree, tmp_path / "tree"))


def test_store_is_built_once_and_mapped(tree: Path, cache: Path) -> None:
    first = load_dataset("folder", root=tree, image_size=16)
    (built,) = list_stores()
    written = {file: file.stat().st_mtime_ns for file in built.path.iterdir()}
    second = load_dataset("folder", root=tree, image_size=16)
    assert isinstance(second, StoredDataset) and isinstance(second.train_images, np.memmap)
    assert {file: file.stat().st_mtime_ns for file in built.path.iterdir()} == written
    assert np.array_equal(first.train_images, second.train_images)
    assert built.images == 36 and built.skipped == 0 and built.bytes > 36 * 16 * 16 * 3
    assert built.path.parent == cache


def test_files_are_plain_numpy(tree: Path) -> None:
    dataset = load_dataset("folder", root=tree, image_size=16)
    (built,) = list_stores()
    assert np.array_equal(np.load(built.path / "test_images.npy"), dataset.test_images)
    assert np.array_equal(np.load(built.path / "test_labels.npy"), dataset.test_labels)


def test_recorded_hash_is_that_of_the_pixels(tree: Path) -> None:
    dataset = load_dataset("folder", root=tree, image_size=16)
    recorded = dataset.images_sha256
    del dataset.__dict__["images_sha256"]
    assert dataset.images_sha256 == recorded


@pytest.mark.parametrize(
    "options", [{"image_size": 16}, {"image_size": 24, "resize": "squash"}, {"image_size": 24, "resize": "pad"}]
)
def test_size_and_rule_have_stores_of_their_own(tree: Path, options: dict[str, object]) -> None:
    plain = load_dataset("folder", root=tree, image_size=24)
    other = load_dataset("folder", root=tree, **options)
    assert len(list_stores()) == 2
    assert plain.images_sha256 != other.images_sha256


def test_resize_rules_by_hand(tmp_path: Path) -> None:
    pixels = np.zeros((20, 40, 3), dtype=np.uint8)
    pixels[:, 10:30] = 255  # the centre square is white, the rest black
    for split in ("train", "test"):
        (tmp_path / "wide" / split / "a").mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / "wide" / split / "a" / "x.png")
    shown = {
        rule: load_dataset("folder", root=tmp_path / "wide", image_size=20, resize=rule).train_images[0]
        for rule in ("crop", "squash", "pad")
    }
    assert (shown["crop"] == 255).all()
    assert (shown["squash"][:, 7:13] == 255).all() and (shown["squash"][:, :3] == 0).all()
    assert (shown["pad"][:4] == 0).all() and (shown["pad"][-4:] == 0).all() and (shown["pad"][8:12, 8:12] == 255).all()


def test_pickle_holds_the_path_alone(tree: Path) -> None:
    dataset = load_dataset("folder", root=tree, image_size=64)
    written = pickle.dumps(dataset)
    assert len(written) < 1000
    assert np.array_equal(pickle.loads(written).train_images, dataset.train_images)


def test_file_that_cannot_be_decoded_stops_the_build(tree: Path, cache: Path) -> None:
    (tree / "train" / "cat" / "0.png").write_bytes(b"not an image")
    with pytest.raises(ValueError, match=r"cat/0\.png can't be decoded"):
        load_dataset("folder", root=tree)
    assert list_stores() == [] and not list(cache.glob(".*building*"))


def test_file_that_cannot_be_decoded_is_skipped_and_counted(tree: Path) -> None:
    (tree / "train" / "cat" / "0.png").write_bytes(b"not an image")
    truncated = tree / "test" / "dog" / "1.png"
    truncated.write_bytes(truncated.read_bytes()[:200])
    dataset = load_dataset("folder", root=tree, on_error="skip")
    assert np.bincount(dataset.train_labels).tolist() == [6, 6, 5, 6]
    assert np.bincount(dataset.test_labels).tolist() == [3, 3, 3, 2]
    assert len(dataset.train_images) == 23
    (built,) = list_stores()
    assert built.skipped == 2
    assert "cat/0.png" in json.loads((built.path / "store.json").read_text())["skipped"][0]


def test_split_without_any_image_is_refused(tree: Path) -> None:
    for file in (tree / "test").rglob("*.png"):
        file.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="the test split has no image of class 'apple'"):
        load_dataset("folder", root=tree, on_error="skip")


def test_processes_decode_the_same(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alone = load_dataset("folder", root=tree, workers=1)
    clear_stores()
    monkeypatch.setattr(store_build, "FEW_IMAGES", 0)
    monkeypatch.setattr(store_build, "CHUNK", 5)
    together = load_dataset("folder", root=tree, workers=2)
    assert np.array_equal(alone.train_images, together.train_images)
    assert np.array_equal(alone.train_labels, together.train_labels)


def test_error_in_a_process_names_its_file(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_build, "FEW_IMAGES", 0)
    (tree / "train" / "dog" / "3.png").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"dog/3\.png can't be decoded"):
        load_dataset("folder", root=tree, workers=2)


@pytest.mark.parametrize("damage", ["labels", "images", "longer", "card", "json", "list", "format"])
def test_damaged_store_is_noticed(tree: Path, damage: str) -> None:
    load_dataset("folder", root=tree)
    (built,) = list_stores()
    if damage == "labels":
        (built.path / "train_labels.npy").write_bytes(b"")
    elif damage == "images":
        with (built.path / "train_images.npy").open("r+b") as stream:
            stream.truncate(5000)
    elif damage == "longer":
        with (built.path / "train_images.npy").open("ab") as stream:
            stream.write(b"more")
    elif damage in ("list", "format"):
        (built.path / "store.json").write_text("[]" if damage == "list" else '{"format": 0}')
    elif damage == "card":
        (built.path / "store.json").unlink()
    else:
        (built.path / "store.json").write_text("{")
    with pytest.raises(ValueError, match=r"is damaged.*cls-env cache clear"):
        load_dataset("folder", root=tree)
    clear_stores(built.path.name)
    assert len(load_dataset("folder", root=tree).train_images) == 24


def test_clearing_one_set_leaves_the_others(tree: Path, image_zip: Path) -> None:
    load_dataset("folder", root=tree)
    load_dataset("folder", root=image_zip)
    assert [entry.name for entry in clear_stores("folder:tree")] == ["folder:tree"]
    assert [entry.name for entry in list_stores()] == ["folder:images"]
    assert clear_stores("folder:tree") == []


def test_full_disk_is_said_before_the_work(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_build.shutil, "disk_usage", lambda place: shutil._ntuple_diskusage(10, 10, 0))
    with pytest.raises(OSError, match="choose a smaller image size"):
        load_dataset("folder", root=tree)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resize": "crp"}, "did you mean 'crop'"),
        ({"on_error": "ignore"}, "unknown on_error 'ignore'"),
        ({"workers": 0}, "workers must be a whole number of at least 1, not 0"),
        ({"image_size": 32.0}, r"image_size of dataset 'folder' must be a whole number, not 32\.0"),
        ({"image_size": (32, 32)}, r"image_size of dataset 'folder' must be a whole number, not \(32, 32\)"),
    ],
)
def test_wrong_options(tree: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_dataset("folder", root=tree, **options)


def test_class_that_loses_all_its_images_is_named(tree: Path) -> None:
    for file in (tree / "train" / "cat").iterdir():
        file.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="the train split has no image of class 'cat' that can be decoded"):
        load_dataset("folder", root=tree, on_error="skip")


def test_cache_that_cannot_be_written_is_named(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("CLS_ENV_CACHE", str(tmp_path / "file"))
    with pytest.raises(OSError, match=r"the cache .*file/stores can't be written .*set CLS_ENV_CACHE"):
        load_dataset("folder", root=tree)


def test_long_names_fit_the_cache(tree: Path) -> None:
    named = tree.rename(tree.with_name("名" * 80))
    assert len(load_dataset("folder", root=named).train_images) == 24


def test_stray_files_in_the_cache_do_no_harm(tree: Path, cache: Path) -> None:
    load_dataset("folder", root=tree)
    (cache / "notes.txt").write_text("mine")
    assert len(list_stores()) == 1 and len(clear_stores()) == 1 and (cache / "notes.txt").exists()


def test_shifted_store_is_pickled_by_its_recipe(tree: Path) -> None:
    dataset = load_dataset("folder", root=tree, image_size=64)
    stream = TaskStream(dataset, scenario="domain-incremental", domains=["identity", "rotate-90"])
    env = ClassIncrementalVectorEnv(4, stream)
    images, _ = env.reset(seed=0)
    written = pickle.dumps(stream.dataset)
    assert len(written) < 1000
    assert np.array_equal(pickle.loads(written).train_images[:5], stream.dataset.train_images[:5])
    assert np.array_equal(pickle.loads(pickle.dumps(env)).reset(seed=0)[0], images)


BUILD = """
import sys
from cls_env import load_dataset
import cls_env.datasets.storage.store
print("ready", flush=True)
dataset = load_dataset("folder", root=sys.argv[1], image_size=48, workers=int(sys.argv[2]))
print("done", flush=True)
"""


@pytest.mark.slow
def test_killed_build_leaves_no_store_that_opens_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """10 builds are killed at moments drawn over the whole time of a build, alone and with decoding processes."""
    random = np.random.default_rng(0)
    tree = tmp_path / "images"
    for split, count in (("train", 90), ("test", 30)):
        for name in "abcdef":
            (tree / split / name).mkdir(parents=True)
            for index in range(count):
                pixels = random.integers(0, 256, size=(64, 64, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tree / split / name / f"{index}.png", compress_level=1)

    def build(workers: int) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", BUILD, str(tree), str(workers)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        return process

    whole: dict[int, float] = {}
    for workers in (1, 2):
        process = build(workers)
        ready = time.perf_counter()
        assert process.wait() == 0
        whole[workers] = time.perf_counter() - ready
        expected = load_dataset("folder", root=tree, image_size=48)
        reference, labels = expected.train_images[:].copy(), expected.train_labels.copy()
        sha256 = expected.images_sha256
        clear_stores()

    killed = 0
    for attempt in range(10):
        workers = 1 + attempt % 2
        process = build(workers)
        time.sleep(whole[workers] * random.uniform(0, 1.1))
        process.kill()
        process.wait()
        killed += process.returncode != 0
        for entry in list_stores():  # a kill after the move into place leaves a whole store
            dataset = open_store(entry.path)
            assert dataset.images_sha256 == sha256 and np.array_equal(dataset.train_images, reference)
            clear_stores()
    assert killed >= 5
    after = load_dataset("folder", root=tree, image_size=48)
    assert np.array_equal(after.train_images, reference) and np.array_equal(after.train_labels, labels)
    del after.__dict__["images_sha256"]
    assert after.images_sha256 == sha256


def test_two_processes_build_one_store(tree: Path) -> None:
    command = [sys.executable, "-c", BUILD, str(tree), "1"]
    processes = [subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) for _ in range(2)]
    errors = [process.communicate()[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert len(list_stores()) == 1
    assert sum("36/36" in error for error in errors) == 1


MEMORY = """
import sys
from pathlib import Path
from cls_env import ClassIncrementalVectorEnv, TaskStream
from cls_env.datasets.storage.store import open_store

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

stream = TaskStream(open_store(Path(sys.argv[1])), 1)
env = ClassIncrementalVectorEnv(16, stream)
env.reset(seed=0)
before = resident()
actions = env.action_space.sample()
peak = 0.0
for _ in range(int(sys.argv[2])):
    env.step(actions)
    peak = max(peak, resident())
print(peak - before)
"""


def sparse_store(folder: Path, count: int, side: int) -> Path:
    """A store whose pixels are holes in a file: as large as it says, and nothing on the disk."""
    folder.mkdir()
    for split, images in (("train", count), ("test", 10)):
        array = np.lib.format.open_memmap(
            folder / f"{split}_images.npy", mode="w+", dtype=np.uint8, shape=(images, side, side, 3)
        )
        del array
        for part in ("labels", "domains"):
            np.save(folder / f"{split}_{part}.npy", np.arange(images) % 10 * (part == "labels"))
    card = {"format": 1, "name": "sparse", "class_names": [*"abcdefghij"], "domain_names": [], "images_sha256": "0"}
    (folder / "store.json").write_text(json.dumps(card))
    return folder


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads Linux's /proc")
def test_memory_stays_near_a_batch(tmp_path: Path) -> None:
    path = sparse_store(tmp_path / "large", 4_000, 256)  # 750 MiB, of which a batch of 16 is 3; 128 may be kept
    code = [sys.executable, "-c", MEMORY, str(path), "250"]
    grown = float(subprocess.run(code, capture_output=True, text=True, check=True).stdout)
    assert grown < 180


def test_large_store_is_opened_without_reading_it(tmp_path: Path) -> None:
    dataset = open_store(sparse_store(tmp_path / "large", 24_000, 256))
    assert isinstance(dataset.train_images, np.memmap) and dataset.train_images.nbytes > 4 * 2**30
    stream = TaskStream(dataset, 5)
    images, _ = ClassIncrementalVectorEnv(4, stream).reset(seed=0)
    assert images.shape == (4, 256, 256, 3)
