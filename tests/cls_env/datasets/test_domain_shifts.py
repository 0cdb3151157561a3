from __future__ import annotations

import numpy as np
import pytest

from cls_env import ImageDataset
from cls_env.datasets.domain_shifts import SHIFTS, shift_domains


def test_every_image_occurs_once_per_shift(glyphs: ImageDataset) -> None:
    shifted = shift_domains(glyphs, ("identity", "rotate-90"), seed=0)
    count = len(glyphs.train_images)
    assert shifted.train_images.shape == (2 * count, 32, 32, 3)
    assert shifted.domain_names == ("identity", "rotate-90")
    assert np.array_equal(shifted.train_images[np.arange(count)], glyphs.train_images)
    assert np.array_equal(shifted.train_images[count:], np.rot90(glyphs.train_images, axes=(1, 2)))
    assert shifted.train_domains is not None
    assert shifted.train_domains.tolist() == [0] * count + [1] * count
    assert np.array_equal(shifted.train_labels, np.tile(glyphs.train_labels, 2))


def test_row_always_looks_the_same(glyphs: ImageDataset) -> None:
    shifted = shift_domains(glyphs, ("gaussian-noise-3",), seed=1)
    rows = np.array([5, 0, 7])
    assert np.array_equal(shifted.train_images[rows][1], shifted.train_images[0])
    assert np.array_equal(
        shifted.train_images[rows], shift_domains(glyphs, ("gaussian-noise-3",), 1).train_images[rows]
    )
    assert not np.array_equal(shifted.train_images[0], shift_domains(glyphs, ("gaussian-noise-3",), 2).train_images[0])
    assert shifted.train_images[rows[:0]].shape == (0, 32, 32, 3)


@pytest.mark.parametrize("name", SHIFTS)
def test_shifts_give_images_and_leave_the_original_alone(glyphs: ImageDataset, name: str) -> None:
    before = glyphs.test_images[:3].copy()
    image = shift_domains(glyphs, (name,), seed=0).test_images[:3]
    assert image.shape == before.shape and image.dtype == np.uint8
    assert np.array_equal(glyphs.test_images[:3], before)
    assert np.array_equal(image, before) == (name == "identity")


@pytest.mark.parametrize("kind", ["gaussian-noise", "gaussian-blur", "brightness", "darkness", "contrast", "jpeg"])
def test_severity_grows(glyphs: ImageDataset, kind: str) -> None:
    original = glyphs.test_images[:10].astype(float)
    distances = [
        np.abs(shift_domains(glyphs, (f"{kind}-{severity}",), 0).test_images[:10] - original).mean()
        for severity in (1, 3, 5)
    ]
    assert 0 < distances[0] < distances[1] < distances[2]


def test_hash_tells_shifts_and_seeds_apart(glyphs: ImageDataset) -> None:
    kinds = [(("identity",), 0), (("identity", "grey"), 0), (("grey", "identity"), 0), (("identity",), 1)]
    assert len({shift_domains(glyphs, shifts, seed).images_sha256 for shifts, seed in [*kinds, kinds[0]]}) == 4


def test_wrong_shifts(glyphs: ImageDataset) -> None:
    with pytest.raises(ValueError, match="did you mean 'rotate-90'"):
        shift_domains(glyphs, ("rotate90",), 0)
    with pytest.raises(ValueError, match="must be a list of shifts"):
        shift_domains(glyphs, (), 0)
    with pytest.raises(ValueError, match="name 'identity' is the name of domain"):
        shift_domains(glyphs, ("identity", "identity"), 0)
    with pytest.raises(ValueError, match="already has domains"):
        shift_domains(shift_domains(glyphs, ("identity",), 0), ("rotate-90",), 0)
