"""NumPy values are taken as arguments; anything else wrong is one line that names the argument."""

from __future__ import annotations

from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import cls_env
from cls_env import TaskSchedule, TaskStream, from_arrays, load_dataset, register_dataset
from cls_env.arguments import as_plain, number, truth_value, whole_number, word

IMAGES = np.zeros((4, 8, 8, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("given", "plain"),
    [
        (np.int64(3), 3),
        (np.bool_(True), True),
        (np.array(2.5), 2.5),
        (np.arange(3), [0, 1, 2]),
        ((np.int8(1), [np.float64(0.5)]), (1, [0.5])),
        ({"a": {"b": np.uint8(7)}}, {"a": {"b": 7}}),
        ("word", "word"),
        (None, None),
    ],
)
def test_numpy_values_become_pythons(given: Any, plain: Any) -> None:
    assert as_plain(given) == plain and type(as_plain(given)) is type(plain)


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (whole_number, True),
        (whole_number, 2.0),
        (whole_number, "2"),
        (whole_number, np.array([2])),
        (number, False),
        (number, "0.5"),
        (number, None),
        (truth_value, 1),
        (truth_value, "yes"),
        (word, 3),
        (word, None),
    ],
)
def test_values_of_another_type_are_refused(check: Any, value: Any) -> None:
    with pytest.raises(ValueError, match=r"^the argument must be .*, not "):
        check("the argument", value)


@pytest.mark.parametrize(
    "arguments",
    [
        {"num_tasks": np.int64(5), "seed": np.uint8(3), "max_per_class": np.int8(4)},
        {"num_tasks": np.array([5, 5]), "class_order": np.arange(10), "label_noise": np.float64(0.25)},
        {"init_classes": np.int16(4), "increment": np.int32(2), "validation_fraction": np.float16(0.25)},
        {"imbalance_factor": np.float32(2), "dataset_options": {"image_size": np.int64(16)}},
    ],
)
def test_streams_take_numpy_values(arguments: dict[str, Any]) -> None:
    plain = as_plain(arguments)
    assert TaskStream("digits", **arguments).describe() == TaskStream("digits", **plain).describe()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_tasks": "5"}, "num_tasks must be a whole number, not '5'"),
        ({"num_tasks": 2.0}, r"num_tasks must be a whole number, not 2\.0"),
        ({"num_tasks": True}, "num_tasks must be a whole number, not True"),
        ({"num_tasks": [5, "5"]}, "each of num_tasks must be a whole number, not '5'"),
        ({"num_tasks": []}, "sums to 0"),
        ({"init_classes": [2], "increment": 2}, r"init_classes must be a whole number, not \[2\]"),
        ({"increment": "x"}, "increment must be a whole number, not 'x'"),
        ({"seed": "x"}, "seed must be a whole number of at least 0, not 'x'"),
        ({"seed": -1}, "seed must be a whole number of at least 0, not -1"),
        ({"seed": None}, "seed must be a whole number of at least 0, not None"),
        ({"label_noise": "0,2"}, "label_noise must be a number, not '0,2'"),
        ({"label_noise": "0.1"}, "label_noise must be a number, not '0.1'"),
        ({"label_noise": True}, "label_noise must be a number, not True"),
        ({"class_order": [True, False, 2, 3, 4, 5]}, "class_order"),
        ({"label_noise": None}, "label_noise must be a number, not None"),
        ({"max_per_class": 2.5}, r"max_per_class must be a whole number, not 2\.5"),
        ({"validation_fraction": "x"}, "validation_fraction must be a number, not 'x'"),
        ({"imbalance_factor": "x"}, "imbalance_factor must be a number, not 'x'"),
        ({"class_order": 3}, r"class_order must name each of 0 \.\.\. 9 once, not 3"),
        ({"scenario": ["online"]}, r"unknown scenario \['online'\]"),
        ({"dataset_options": ["image_size"]}, "dataset_options must be a dict of the loader's arguments"),
        ({"dataset_options": {"image_size": "a"}}, "image_size of dataset 'digits' must be a whole number, not 'a'"),
    ],
)
def test_wrong_arguments_of_a_stream_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TaskStream("digits", **arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": 5}, "split must be text, not 5"),
        ({"feedback": ["full"]}, r"unknown feedback \['full'\]"),
        ({"task": "0"}, "task must be an index or a list of indices, not '0'"),
        ({"reward_matrix": "x"}, "reward_matrix must hold real numbers"),
        ({"reward_noise": 3}, "reward noise 3: "),
        ({"task_schedule": "x"}, "each of task_schedule must be a whole number"),
        ({"task_schedule": 3, "task_blur": True}, "task_blur must be a number, not True"),
        ({"n_tasks": 5}, "unknown argument of the environment 'n_tasks'; did you mean 'num_tasks'"),
    ],
)
@pytest.mark.parametrize("vector", [False, True])
def test_wrong_arguments_of_an_environment_are_named(arguments: dict[str, Any], message: str, vector: bool) -> None:
    make = gym.make_vec if vector else gym.make
    with pytest.raises((ValueError, TypeError), match=message):
        make("cls_env/SplitDigits-v0", **arguments)


@pytest.mark.parametrize("count", ["8", 2.5, True, 0])
def test_wrong_number_of_environments_is_named(count: Any) -> None:
    with pytest.raises(ValueError, match="num_envs must be a whole number of at least 1, not"):
        gym.make_vec("cls_env/SplitDigits-v0", num_envs=count)


def test_environments_take_numpy_values() -> None:
    arguments = {"task_schedule": np.array([3] * 5), "task_blur": np.float32(0.5), "abstain_reward": np.float32(0.5)}
    env = gym.make("cls_env/SplitDigits-v0", **arguments)
    same = gym.make("cls_env/SplitDigits-v0", **as_plain(arguments))
    for given in (np.int64(3), np.uint8(3)):
        assert np.array_equal(env.reset(seed=given)[0], same.reset(seed=3)[0])
    envs = gym.make_vec("cls_env/SplitDigits-v0", num_envs=np.int64(4))
    assert np.array_equal(envs.reset(seed=np.int64(3))[0], envs.reset(seed=[3, 4, 5, 6])[0])
    assert envs.reset(options={"task": np.int64(1)})[1]["task"].tolist() == [1] * 4


def test_wrong_arguments_of_reset_are_named() -> None:
    for env in (gym.make("cls_env/SplitDigits-v0"), gym.make_vec("cls_env/SplitDigits-v0", num_envs=2)):
        for options in (["task"], "task"):
            with pytest.raises(ValueError, match="options must be a dict such as"):
                env.reset(options=options)
        with pytest.raises(gym.error.Error, match="Seed must be a python integer"):
            env.reset(seed="x")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: from_arrays("x", [1]), r"arrays: images must be of shape \(N, H, W, 3\)"),
        (lambda: from_arrays(IMAGES, [0, 1, 0, 1], test_fraction="x"), "test_fraction must be a number, not 'x'"),
        (lambda: register_dataset(3, lambda: None), "the name of a dataset must be text, not 3"),
        (
            lambda: register_dataset("mine", 3),
            "a loader must be a function, or its import path 'module:function', not 3",
        ),
        (lambda: register_dataset("mine", "a:b", titel="x"), "card 'titel'; did you mean 'title'"),
        (lambda: cls_env.cost_sensitive_rewards("x"), "costs must hold real numbers, not 'x'"),
        (lambda: cls_env.hierarchical_rewards(3), "paths must be a sequence with the path of each class, not 3"),
        (lambda: TaskSchedule(3), "task_schedule must be a whole number of episodes for each task"),
    ],
)
def test_wrong_arguments_of_functions_are_named(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": -1}, "seed must be a whole number of at least 0, not -1"),
        ({"num_classes": 2.0}, r"num_classes of dataset 'glyphs' must be a whole number, not 2\.0"),
        ({"hard_strength": float("nan")}, "hard_strength at least 0"),
    ],
)
def test_wrong_arguments_of_glyphs_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_dataset("glyphs", **options)


def test_missing_loader_is_named() -> None:
    try:
        register_dataset("mine", "nowhere:load")
        with pytest.raises(ValueError, match="dataset 'mine' has no loader at nowhere:load: No module named 'nowhere'"):
            load_dataset("mine")
    finally:
        cls_env.DATASETS.pop("mine", None)


def test_class_names_are_text() -> None:
    assert from_arrays(IMAGES, [0, 1, 0, 1], class_names=[7, np.int64(8)]).class_names == ("7", "8")


def test_without_a_home_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under `docker run -u`, with a user id that has no account."""
    import os
    import pwd

    from cls_env.datasets.paths import cache_root, data_folder

    for variable in ("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "CLS_ENV_CACHE", "CLS_ENV_DATA"):
        monkeypatch.delenv(variable, raising=False)

    def no_account(_: int) -> None:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(pwd, "getpwuid", no_account)
    assert os.path.expanduser("~") == "~"  # noqa: PTH111  # what platformdirs builds on
    with pytest.raises(OSError, match="no home folder: set CLS_ENV_CACHE to a writable folder"):
        cache_root()
    with pytest.raises(OSError, match="no home folder: set CLS_ENV_DATA to a writable folder"):
        data_folder("cub200", None)
    with pytest.raises(OSError, match=r"~/x can't be expanded, since this user has no home folder"):
        load_dataset("folder", root="~/x")
    monkeypatch.setenv("CLS_ENV_CACHE", "~/x")
    with pytest.raises(OSError, match=r"~/x can't be expanded"):
        cache_root()


EIGHT, LABELS = np.zeros((8, 8, 8, 3), dtype=np.uint8), np.arange(8) % 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"class_names": {"cat", "dog"}}, "class_names must be a list of names"),
        ({"class_names": "ab"}, "class_names must be a list of names, not 'ab'"),
        ({"class_names": {"a": 1, "b": 2}}, "class_names must be a list of names"),
        ({"class_names": 5}, "class_names must be a list of names, not 5"),
        ({"class_names": [None, "b"]}, "class_names must hold names, as text, not None"),
        ({"class_names": [b"a", "b"]}, "class_names must hold names, as text, not b'a'"),
        ({"class_names": []}, "there are 0 class names"),
        ({"test_images": EIGHT, "test_labels": LABELS, "test_fraction": 0.5}, "test_fraction=0.5 has no effect with"),
        ({"images": np.ma.masked_array(EIGHT)}, "images are a masked array"),
        ({"labels": np.ma.masked_array(LABELS)}, "labels are a masked array"),
        (
            {"images": [np.zeros((8, 8, 3)), np.zeros((9, 8, 3))]},
            "images must be one array, with all images of one size",
        ),
    ],
)
def test_wrong_arrays_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        cls_env.from_arrays(**({"images": EIGHT, "labels": LABELS} | arguments))


def test_arrays_of_names_are_taken() -> None:
    dataset = cls_env.from_arrays(EIGHT, LABELS, class_names=np.array(["cat", "dog"]))
    assert dataset.class_names == ("cat", "dog")
    shifts = np.array(["identity", "rotate-90"])
    stream = cls_env.TaskStream(dataset, scenario="domain-incremental", domains=shifts)
    assert len(stream.tasks) == 2
    with pytest.raises(ValueError, match="domains must be a list of names"):
        cls_env.TaskStream(dataset, scenario="domain-incremental", domains={"identity", "rotate-90"})
