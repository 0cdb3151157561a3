from __future__ import annotations

import hashlib

import numpy as np
import pytest

from cls_env import load_dataset
from cls_env.datasets.glyphs.characters import MAX_CORRELATION, characters, select_characters, silhouette
from cls_env.datasets.glyphs.drawing import GlyphPainter, RandomStream

pytestmark = pytest.mark.long

# Of the pixels and labels of the default set without its margin. It changes only on purpose, with the pretrained
# weights made anew.
DEFAULT_SHA256 = "552217430f259b5e577187034649a0b47b1f2545c285b859eb6f806bff62aa7f"


def test_default_set_is_the_same_on_every_machine() -> None:
    dataset = load_dataset("glyphs", margin=0)
    digest = hashlib.sha256()
    for array in (dataset.train_images, dataset.train_labels, dataset.test_images, dataset.test_labels):
        digest.update(np.ascontiguousarray(array).astype(array.dtype.newbyteorder("<")).tobytes())
    assert digest.hexdigest() == DEFAULT_SHA256


def test_default_set_has_the_documented_shape() -> None:
    dataset = load_dataset("glyphs")
    assert dataset.train_images.shape == (1000, 36, 36, 3)
    assert dataset.train_images.dtype == np.uint8
    assert np.bincount(dataset.train_labels).tolist() == [20] * 50
    assert len(set(dataset.class_names)) == 50


def test_pools_are_disjoint_and_follow_the_rule() -> None:
    pools = characters()
    assert not set(pools["pretraining"]) & set(pools["stream"])
    assert {name: list(pool) for name, pool in pools.items()} == select_characters()


def test_no_class_looks_like_another() -> None:
    shapes = np.stack([silhouette(character) for pool in characters().values() for character in pool])
    correlation = shapes @ shapes.T
    assert correlation[np.triu_indices(len(shapes), 1)].max() <= MAX_CORRELATION + 1e-9


def test_seeds_change_classes_and_pixels() -> None:
    first, second = (load_dataset("glyphs", num_classes=8, train_per_class=2, seed=seed) for seed in (0, 1))
    assert first.class_names != second.class_names
    assert not np.array_equal(first.train_images, second.train_images)


def test_train_and_test_images_differ() -> None:
    dataset = load_dataset("glyphs", num_classes=4, train_per_class=5, test_per_class=5)
    train = {image.tobytes() for image in dataset.train_images}
    assert not train & {image.tobytes() for image in dataset.test_images}


def test_hard_fraction_changes_exactly_that_share_of_images() -> None:
    easy, mixed = (
        load_dataset("glyphs", num_classes=5, train_per_class=20, hard_fraction=share) for share in (0.0, 0.3)
    )
    changed = [not np.array_equal(a, b) for a, b in zip(easy.train_images, mixed.train_images, strict=True)]
    assert sum(changed) == 30


def test_strength_adds_distortion() -> None:
    labels = np.zeros(64, dtype=np.int64)
    roughness = [
        np.abs(np.diff(GlyphPainter(["ᐃ"], 0).paint(labels, strength).astype(int), axis=2)).mean()
        for strength in (0.0, 1.0, 3.0)
    ]
    assert roughness[0] < roughness[1] < roughness[2]


def test_batches_do_not_depend_on_what_follows() -> None:
    labels = np.zeros(300, dtype=np.int64)
    whole = GlyphPainter(["A"], 3).paint(labels)
    assert np.array_equal(whole[:256], GlyphPainter(["A"], 3).paint(labels[:256]))


def test_random_stream_is_uniform_and_normal() -> None:
    random = RandomStream(0)
    uniform, normal = random.uniform(-1, 3, 20_000), random.gaussian(20_000)
    assert uniform.min() >= -1 and uniform.max() < 3
    assert uniform.mean() == pytest.approx(1, abs=0.05)
    assert normal.mean() == pytest.approx(0, abs=0.03)
    assert normal.std() == pytest.approx(1, abs=0.03)
    assert sorted(random.permutation(50)) == list(range(50))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_classes": 0}, "num_classes"),
        ({"num_classes": 10_000}, "num_classes"),
        ({"train_per_class": 0}, "train and test images"),
        ({"hard_fraction": 1.5}, "hard_fraction"),
        ({"hard_strength": -1.0}, "hard_strength"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_dataset("glyphs", **options)


def test_every_stream_character_can_be_drawn() -> None:
    for pool in characters().values():
        images = GlyphPainter(pool, 0).paint(np.arange(len(pool)))
        assert images.reshape(len(pool), -1).std(axis=1).min() > 5
