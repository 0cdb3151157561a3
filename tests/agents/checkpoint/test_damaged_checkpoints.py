"""Whatever is wrong with a checkpoint is one line that names the file."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
import torch
from safetensors.torch import load, save

from agents import EPG, LinearBandit
from agents.algorithms.one_step import OneStepAlgorithm
from tests.agents.algorithms.conftest import rewritten

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]
ALIKE = {"batch_size": 8, "seed": 0, "device": "cpu"}
KINDS: dict[str, Callable[[Any], OneStepAlgorithm]] = {
    "adapter": lambda env: EPG("ViTPolicy", env, "ce", policy_kwargs={"method": "replay:size=9"}, **ALIKE),
    "linear": lambda env: LinearBandit("ViTPolicy", env, **ALIKE),
    "whole": lambda env: EPG(
        "ViTPolicy", env, "ce", policy_kwargs={"model": "test_resnet", "pretrained": False, "peft": "full"}, **ALIKE
    ),
}
PARTS = {
    "adapter": ["model.json", "head.safetensors", "method.safetensors", "adapter/adapter_model.safetensors"],
    "linear": ["algorithm.safetensors"],
    "whole": ["backbone.safetensors"],
}
CASES = [(kind, part) for kind, parts in PARTS.items() for part in parts]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory, stream: Any) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("agents")
    for kind, make in KINDS.items():
        env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=8, dataset=stream)
        make(env).learn(8).save(folder / kind)
    return {kind: folder / f"{kind}.zip" for kind in KINDS}


def refused(file: Path, kind: str, *words: str) -> str:
    """The one line that answers a file."""
    algorithm = LinearBandit if kind == "linear" else EPG
    with pytest.raises(ValueError) as error:
        algorithm.load(file, device="cpu")
    message = str(error.value)
    assert file.name in message and "\n" not in message, message
    for word in words:
        assert word in message, message
    return message


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_truncated(share: float, saved: dict[str, Path], tmp_path: Path) -> None:
    content = saved["adapter"].read_bytes()
    (tmp_path / "half.zip").write_bytes(content[: int(share * len(content))])
    refused(tmp_path / "half.zip", "adapter", "damaged")


@pytest.mark.parametrize(("kind", "part"), CASES)
def test_a_byte_that_changed(kind: str, part: str, saved: dict[str, Path], tmp_path: Path) -> None:
    content = bytearray(saved[kind].read_bytes())
    with zipfile.ZipFile(saved[kind]) as archive:
        entry = archive.getinfo(part)
    content[entry.header_offset + 30 + len(part) + entry.file_size - 2] ^= 255
    (tmp_path / "changed.zip").write_bytes(content)
    refused(tmp_path / "changed.zip", kind, f"can't read {part}", "CRC")


@pytest.mark.parametrize("content", [b"", b"\x00" * 20, b"{}", b"[1]", b"\xff\xfe", b"x" * 1000])
@pytest.mark.parametrize(("kind", "part"), CASES)
def test_a_part_that_is_something_else(
    kind: str, part: str, content: bytes, saved: dict[str, Path], tmp_path: Path
) -> None:
    refused(rewritten(saved[kind], tmp_path / "other.zip", {part: content}), kind)


@pytest.mark.parametrize(("kind", "part"), CASES)
def test_a_part_that_is_missing(kind: str, part: str, saved: dict[str, Path], tmp_path: Path) -> None:
    refused(rewritten(saved[kind], tmp_path / "less.zip", {part: None}), kind)


@pytest.mark.parametrize(("kind", "part"), [case for case in CASES if case[1] != "model.json"])
def test_tensors_that_do_not_fit(kind: str, part: str, saved: dict[str, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(saved[kind]) as archive:
        tensors = load(archive.read(part))
    name = min(name for name in tensors if not name.endswith("num_batches_tracked"))  # which old files may lack
    for changed in (
        {},
        {key: tensor for key, tensor in tensors.items() if key != name},
        tensors | {"further": torch.ones(1)},
        tensors | {name: torch.ones(2, 3, 4, 5, 6)},
    ):
        refused(rewritten(saved[kind], tmp_path / "misfit.zip", {part: save(changed)}), kind)


@pytest.mark.parametrize("actions", [[0, 0], [0, 6], [-1, 0], [[0, 1]]])
def test_a_head_of_impossible_actions(actions: Any, saved: dict[str, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(saved["adapter"]) as archive:
        tensors = load(archive.read("head.safetensors"))
    changed = save(tensors | {"actions": torch.tensor(actions)})
    refused(
        rewritten(saved["adapter"], tmp_path / "a.zip", {"head.safetensors": changed}), "adapter", "head.safetensors"
    )


def with_tensors(file: Path, target: Path, part: str, changes: dict[str, torch.Tensor]) -> Path:
    """A copy of a checkpoint with other tensors in a part."""
    with zipfile.ZipFile(file) as archive:
        return rewritten(file, target, {part: save(load(archive.read(part)) | changes)})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rewards": torch.zeros(9, 7)}, "the saved rewards has shape (9, 7), where (9, 6) is expected"),
        ({"images": torch.zeros(9, 16, 16, 3, dtype=torch.uint8)}, "the saved images has shape (9, 16, 16, 3)"),
        ({"images": torch.zeros(4, 32, 32, 3, dtype=torch.uint8)}, "the saved images has shape (4, 32, 32, 3)"),
        ({"offered": torch.tensor(-5)}, "the saved offered is -5"),
    ],
)
def test_a_replay_buffer_that_does_not_fit(
    changes: dict[str, torch.Tensor], words: str, saved: dict[str, Path], tmp_path: Path
) -> None:
    file = with_tensors(saved["adapter"], tmp_path / "a.zip", "method.safetensors", changes)
    refused(file, "adapter", "method replay:size=9", words)


@pytest.mark.parametrize(
    ("kind", "part", "name"),
    [
        ("adapter", "head.safetensors", "weight"),
        ("adapter", "adapter/adapter_model.safetensors", ""),
        ("linear", "algorithm.safetensors", "moment"),
        ("whole", "backbone.safetensors", ""),
    ],
)
def test_tensors_that_are_no_numbers(kind: str, part: str, name: str, saved: dict[str, Path], tmp_path: Path) -> None:
    with zipfile.ZipFile(saved[kind]) as archive:
        tensors = load(archive.read(part))
    name = next(each for each in tensors if each.startswith(name) and tensors[each].is_floating_point())
    file = with_tensors(saved[kind], tmp_path / "a.zip", part, {name: tensors[name] * torch.nan})
    refused(file, kind, f"holds NaN or infinity in {name}")


@pytest.mark.parametrize(("tasks", "words"), [(3, "lacks the adapter task2"), (2**30, "task2"), (1, "has the adapter")])
def test_more_or_fewer_tasks_than_adapters(tasks: int, words: str, stream: Any, tmp_path: Path) -> None:
    env = gym.make_vec("cls_env/ClassIncremental-v0", num_envs=8, dataset=stream)
    agent = EPG("ViTPolicy", env, "ce", policy_kwargs={"method": "sd-lora", "peft": "lora:scale=true"}, **ALIKE)
    for task in range(2):
        agent.get_env().set_options({"task": task})
        agent.learn(8)
    agent.save(tmp_path / "agent")
    changed = json.dumps(description(tmp_path / "agent.zip") | {"tasks_begun": tasks}).encode()
    refused(rewritten(tmp_path / "agent.zip", tmp_path / "a.zip", {"model.json": changed}), "adapter", words)


def description(file: Path) -> dict[str, Any]:
    with zipfile.ZipFile(file) as archive:
        content: dict[str, Any] = json.loads(archive.read("model.json"))
    return content


REQUIRED = [
    "algorithm",
    "objective",
    "learning_rate",
    "observation_shape",
    "num_actions",
    "num_timesteps",
    "n_updates",
    "action_seed",
    "current_task",
    "tasks_begun",
    "policy",
    "optimizer",
    "optimizer_kwargs",
    "backbone_sha256",
]


@pytest.mark.parametrize("entry", REQUIRED)
def test_an_entry_that_is_missing(entry: str, saved: dict[str, Path], tmp_path: Path) -> None:
    changed = description(saved["adapter"])
    del changed[entry]
    file = rewritten(saved["adapter"], tmp_path / "a.zip", {"model.json": json.dumps(changed).encode()})
    refused(file, "adapter", f"lacks the entry {entry!r}")


@pytest.mark.parametrize("value", [[], {}, "word", True, -3.5, [[1]]], ids=str)
@pytest.mark.parametrize("entry", [*REQUIRED, "class_names", "policy_class", "view_seed", "batch_size", "crop_scale"])
def test_an_entry_of_another_kind(entry: str, value: Any, saved: dict[str, Path], tmp_path: Path) -> None:
    fitting = {
        "algorithm": (str,),
        "objective": (str,),
        "optimizer": (str,),
        "backbone_sha256": (str,),
        "policy_class": (str,),
        "policy": (dict,),
        "optimizer_kwargs": (dict,),
        "current_task": (),
    }
    if isinstance(value, fitting.get(entry, ())):
        value = 3
    changed = description(saved["adapter"]) | {entry: value}
    file = rewritten(saved["adapter"], tmp_path / "a.zip", {"model.json": json.dumps(changed).encode()})
    refused(file, "adapter")


@pytest.mark.parametrize(
    ("entry", "value", "word"),
    [
        ("model", 3, "model must be text"),
        ("blocks", "all", "blocks are indices"),
        ("blocks", None, "blocks are indices"),
        ("peft", None, "peft: expected text"),
        ("head_seed", "x", "head_seed must be"),
        ("pretrained", "yes", "pretrained must be"),
        ("smell", 1, "entries unknown here: smell"),
    ],
)
def test_an_entry_of_the_policy(entry: str, value: Any, word: str, saved: dict[str, Path], tmp_path: Path) -> None:
    changed = description(saved["adapter"])
    changed["policy"][entry] = value
    file = rewritten(saved["adapter"], tmp_path / "a.zip", {"model.json": json.dumps(changed).encode()})
    refused(file, "adapter", word)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"class_names": ["a", "b"]}, "'class_names' is damaged"),
        ({"class_names": [1, 2, 3, 4, 5, 6]}, "'class_names' is damaged"),
        ({"num_actions": 0}, "'num_actions' is damaged"),
        ({"observation_shape": [32, "x", 3]}, "'observation_shape' is damaged"),
        ({"tasks_begun": -1}, "'tasks_begun' is damaged"),
        ({"current_task": {"classes": [0]}}, "'current_task' is damaged"),
        ({"current_task": {"classes": [77], "tasks": [0]}}, "'current_task' is damaged"),
        ({"current_task": {"classes": [5], "tasks": [0]}}, "'current_task' is damaged: the head has no row for its"),
        ({"tasks_begun": 0}, "'tasks_begun' is damaged"),
        ({"tasks_begun": 10**30}, "'tasks_begun' is damaged"),
        ({"action_seed": 2**70}, "'action_seed' is damaged"),
        ({"view_seed": -1}, "'view_seed' is damaged"),
        ({"num_timesteps": -1}, "'num_timesteps' is damaged"),
        ({"n_updates": 10**30}, "'n_updates' is damaged"),
        ({"num_actions": 10**30}, "'num_actions' is damaged"),
        ({"observation_shape": [10**6, 10**6, 3]}, "'observation_shape' is damaged"),
        ({"algorithm": "PPO"}, "was saved by PPO, not by EPG"),
        ({"optimizer": "Adamm"}, "optimizer of its own"),
        ({"optimizer_kwargs": {"colour": 1}}, "Adam does not take optimizer_kwargs"),
    ],
)
def test_entries_that_do_not_fit(changes: dict[str, Any], word: str, saved: dict[str, Path], tmp_path: Path) -> None:
    changed = json.dumps(description(saved["adapter"]) | changes).encode()
    refused(rewritten(saved["adapter"], tmp_path / "a.zip", {"model.json": changed}), "adapter", word)


def test_files_of_others(saved: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "page.zip").write_text("<html>not found</html>")
    refused(tmp_path / "page.zip", "adapter", "is not a checkpoint of this package, or is damaged")
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        archive.writestr("cat.png", b"")
    refused(tmp_path / "photos.zip", "adapter", "model.json")
    with pytest.raises(FileNotFoundError, match="no saved model at"):
        EPG.load(tmp_path / "absent")
    with pytest.raises(FileNotFoundError, match="no saved model at"):
        EPG.load(tmp_path)
    refused(saved["linear"], "adapter", "was saved by LinearBandit, not by EPG")


def test_a_save_that_fails_leaves_the_file_before(saved: dict[str, Path], tmp_path: Path) -> None:
    agent = EPG.load(saved["adapter"], device="cpu")
    agent.save(tmp_path / "agent")
    before = (tmp_path / "agent.zip").read_bytes()
    agent.policy.network.head.register_buffer("odd", torch.zeros(2).to_sparse())
    with pytest.raises(Exception):  # noqa: B017  # safetensors' own
        agent.save(tmp_path / "agent")
    assert (tmp_path / "agent.zip").read_bytes() == before and [file.name for file in tmp_path.iterdir()] == [
        "agent.zip"
    ]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"recent_episodes": {"r": [1.0], "l": [], "success": []}}, "the saved episodes are damaged"),
        ({"observation_shape": [4096, 4096, 4096]}, "'observation_shape' is damaged"),
        ({"note": "a" * 2**22}, "bytes, more than 4,194,304"),
    ],
    ids=["episodes", "observation", "long"],
)
def test_entries_that_take_memory_or_do_not_fit(
    changes: dict[str, Any], words: str, saved: dict[str, Path], tmp_path: Path
) -> None:
    changed = json.dumps(description(saved["adapter"]) | changes).encode()
    refused(rewritten(saved["adapter"], tmp_path / "a.zip", {"model.json": changed}), "adapter", words)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"peft": "lora:targets=(a+)+b"}, "a pattern with a repeated group"),
        ({"peft": f"lora:rank={2**13}"}, "the saved rank is 8192, which is more than 4,096"),
        ({"method": f"replay:size={2**17}"}, "the saved size is 131072, which is more than 65,536"),
        ({"input_size": 2**13}, "the saved input_size is 8192"),
    ],
)
def test_a_policy_that_takes_memory_or_time(
    changes: dict[str, Any], words: str, saved: dict[str, Path], tmp_path: Path
) -> None:
    entries = description(saved["adapter"])
    entries["policy"] |= changes
    refused(
        rewritten(saved["adapter"], tmp_path / "a.zip", {"model.json": json.dumps(entries).encode()}), "adapter", words
    )
