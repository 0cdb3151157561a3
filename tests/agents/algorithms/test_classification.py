"""A trained agent classifies files, Pillow images and arrays as its environment would show them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import gymnasium as gym
import numpy as np
import pytest
import torch
from PIL import Image

from agents import EPG, ValueBandit, load_agent
from agents.algorithms.given_images import decode_images
from agents.checkpoint.archive import read_json
from cls_env import ImageDataset, TaskStream, load_dataset
from cls_env.datasets.files.decoding import Decoding
from tests.agents.algorithms.conftest import learn_tasks, rewritten
from tests.agents.policies import TINY

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]
PADDED = {"resize": "pad", "interpolation": "bilinear", "background": "#204060"}


@pytest.fixture(scope="module")
def padded(image_tree: Path) -> ImageDataset:
    return load_dataset("folder", root=image_tree, image_size=32, **PADDED)


@pytest.fixture(scope="module")
def agent(padded: ImageDataset) -> EPG:
    """It has learned the first two of three tasks."""
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=4, dataset=TaskStream(padded, [2, 1, 1], seed=3))
    made = EPG("ViTPolicy", env, batch_size=4, learning_rate=2e-3, seed=0, device="cpu", policy_kwargs=TINY)
    return learn_tasks(made, range(2), 24)


@pytest.fixture(scope="module")
def files(image_tree: Path, padded: ImageDataset) -> list[Path]:
    """The test images, in the order of the dataset."""
    return [image_tree / "test" / name / f"{index}.png" for name in padded.class_names for index in range(3)]


def odd_images(folder: Path) -> list[Path]:
    """Gray, transparent, palette, 16-bit, CMYK and turned images of several sizes."""
    random = np.random.default_rng(1)
    colors = Image.fromarray(random.integers(0, 256, (40, 60, 3), dtype=np.uint8))
    turned = Image.Exif()
    turned[0x0112] = 6
    transparent = colors.copy()
    transparent.putalpha(Image.fromarray(random.integers(0, 256, (40, 60), dtype=np.uint8)))
    deep = Image.fromarray(random.integers(0, 2**16, (30, 20)).astype(np.uint16))
    folder.mkdir(parents=True)
    for name, image, options in (
        ("gray.png", colors.convert("L"), {}),
        ("transparent.png", transparent, {}),
        ("palette.gif", colors.quantize(16), {}),
        ("deep.png", deep, {}),
        ("print.jpg", colors.convert("CMYK"), {}),
        ("turned.jpg", colors, {"exif": turned}),
    ):
        image.save(folder / name, **options)
    return sorted(folder.iterdir())


def test_a_file_gets_the_scores_of_its_stored_image(agent: EPG, padded: ImageDataset, files: list[Path]) -> None:
    with torch.no_grad():
        scores = agent.policy(torch.from_numpy(np.array(padded.test_images)))
    known = sorted(agent.policy.seen_classes.tolist())
    wanted = scores[:, known].softmax(dim=1).numpy()
    names = [agent.class_names[action] for action in known]
    for file_answer, row in zip(agent.classify(files, top=9), wanted, strict=True):
        assert [name for name, _ in file_answer] == [names[at] for at in np.argsort(-row)]
        np.testing.assert_allclose([share for _, share in file_answer], np.sort(row)[::-1], rtol=1e-5)


def test_files_are_decoded_as_the_loader_decodes_them(tmp_path: Path) -> None:
    odd = odd_images(tmp_path / "tree" / "odd")
    odd_images(tmp_path / "tree" / "same")
    stored = load_dataset("folder", root=tmp_path / "tree", image_size=24, test_fraction=0.2, **PADDED)
    assert stored.decoding == Decoding(24, **PADDED)
    pixels = decode_images(odd, stored.decoding)
    known = {image.tobytes() for image in (*stored.train_images[:], *stored.test_images[:])}
    assert {image.tobytes() for image in pixels} == known and len(known) == len(odd)


def test_pillow_images_and_arrays_are_files_too(agent: EPG, tmp_path: Path) -> None:
    odd = odd_images(tmp_path / "odd")
    from_files = agent.classify(odd)
    assert agent.classify([Image.open(file) for file in odd]) == from_files
    gray, transparent = (np.asarray(Image.open(tmp_path / "odd" / f"{name}.png")) for name in ("gray", "transparent"))
    by_name = dict(zip([file.stem for file in odd], from_files, strict=True))
    assert agent.classify([gray, gray[..., None], transparent]) == [
        *[by_name["gray"]] * 2,
        by_name["transparent"],
    ]
    assert agent.classify(str(tmp_path / "odd" / "gray.png")) == by_name["gray"] == agent.classify(gray)


def test_pixels_of_an_observation_stay_as_they_are(agent: EPG, padded: ImageDataset) -> None:
    images = padded.test_images[:]
    assert np.array_equal(decode_images(list(images), agent.file_decoding), images)


def test_answers_do_not_depend_on_the_batch(agent: EPG, files: list[Path]) -> None:
    whole = agent.classify(files, top=9)
    for answers in (agent.classify(files, top=9, batch_size=5), [agent.classify(file, top=9) for file in files]):
        for one, other in zip(answers, whole, strict=True):
            assert [name for name, _ in one] == [name for name, _ in other]
            np.testing.assert_allclose([share for _, share in one], [share for _, share in other], rtol=1e-4)


def test_answers_are_probabilities_of_seen_classes(agent: EPG, files: list[Path]) -> None:
    for answer in agent.classify(files, top=9):
        shares = [prediction.probability for prediction in answer]
        assert {each.name for each in answer} == set(agent.class_names[:3]) and sum(shares) == pytest.approx(1)
        assert shares == sorted(shares, reverse=True)
    assert [len(answer) for answer in agent.classify(files[:2], top=1)] == [1, 1]
    assert agent.classify([]) == []


def test_a_saved_agent_gives_the_same_answers(agent: EPG, files: list[Path], tmp_path: Path) -> None:
    agent.save(tmp_path / "model.zip")
    loaded = load_agent(tmp_path / "model.zip", device="cpu")
    assert loaded.image_decoding == Decoding(32, **PADDED)
    assert loaded.classify(files) == agent.classify(files)


def test_a_file_of_an_earlier_version_decodes_by_default(agent: EPG, files: list[Path], tmp_path: Path) -> None:
    agent.save(tmp_path / "model.zip")
    description = read_json(tmp_path / "model.zip", "model.json")
    del description["image_decoding"]
    older = rewritten(tmp_path / "model.zip", tmp_path / "older.zip", {"model.json": json.dumps(description).encode()})
    loaded = load_agent(older, device="cpu")
    assert loaded.file_decoding == Decoding(32)
    wanted = agent.classify(list(decode_images(files, Decoding(32))))
    assert loaded.classify(files) == wanted != agent.classify(files)


@pytest.mark.parametrize("damage", [{"image_size": 32, "turn": 90}, {"image_size": "32"}, {}, {"resize": "crop"}])
def test_a_damaged_entry_is_named(agent: EPG, damage: dict[str, object], tmp_path: Path) -> None:
    agent.save(tmp_path / "model.zip")
    description = read_json(tmp_path / "model.zip", "model.json") | {"image_decoding": damage}
    bad = rewritten(tmp_path / "model.zip", tmp_path / "bad.zip", {"model.json": json.dumps(description).encode()})
    with pytest.raises(ValueError, match=r"bad.zip: 'image_decoding' is damaged"):
        load_agent(bad, device="cpu")


def test_agents_of_arrays_take_files(make_vec: MakeVec, image_tree: Path) -> None:
    agent = ValueBandit("ViTPolicy", make_vec(8), batch_size=8, device="cpu", policy_kwargs=TINY)
    with pytest.raises(ValueError, match="learned no class yet"):
        agent.classify(image_tree / "test" / "cat" / "0.png")
    agent.get_env().set_options({"task": 0})
    agent.learn(8)
    assert agent.image_decoding is None and agent.file_decoding == Decoding(32)
    answer = agent.classify(image_tree / "test" / "cat" / "0.png")
    assert len(answer) == 2 and {each.name for each in answer} == set(agent.class_names[:2])


def test_wrong_images_are_named(agent: EPG, files: list[Path], tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(files[0].read_bytes()[:200])
    with pytest.raises(ValueError, match=r"broken.png can't be decoded as an image"):
        agent.classify([files[0], tmp_path / "broken.png"])
    with pytest.raises(FileNotFoundError, match=r"nothing.png does not exist"):
        agent.classify(tmp_path / "nothing.png")
    with pytest.raises(ValueError, match=r"is a folder: .* `cls-env predict"):
        agent.classify(tmp_path)
    small = np.zeros((2, 2, 3), dtype=np.uint8)
    with pytest.raises(ValueError, match=r"image 1 must be .* not float32 of shape \(2, 2, 3\)"):
        agent.classify([small, small.astype(np.float32)], batch_size=1)
    with pytest.raises(ValueError, match=r"image 0 must be .* not uint8 of shape \(3, 2, 2\)"):
        agent.classify(small.transpose(2, 0, 1))
    with pytest.raises(ValueError, match=r"image 0 must be a path, .* not another object"):
        agent.classify([{}])
    with pytest.raises(ValueError, match="top must be a whole number"):
        agent.classify(small, top=0)
