"""PEFT modules and methods of one's own: nothing that they learn is lost."""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import gymnasium as gym
import pytest
import torch
from peft import LoraConfig, inject_adapter_in_model
from safetensors.torch import save
from torch import Tensor, nn

from agents import EPG
from agents.checkpoint.archive import part_names, read_tensors
from agents.checkpoint.module_weights import module_tensors
from agents.methods import METHODS, Method, TaskInfo, register_method
from agents.networks.network import Network
from agents.peft_modules import PEFT_MODULES
from agents.peft_modules.lora import add_lora
from tests.agents.algorithms.conftest import rewritten

pytestmark = pytest.mark.long

MakeVec = Callable[..., gym.vector.VectorEnv]
ALIKE = {"batch_size": 8, "learning_rate": 1e-2, "seed": 0, "device": "cpu"}


def bitfit(backbone: Any, blocks: Sequence[int], seed: int) -> nn.Module:
    """The biases of some blocks learn."""
    for block in blocks:
        for name, tensor in backbone.blocks[block].named_parameters():
            tensor.requires_grad_(name.endswith("bias"))
    return backbone


class Gate(nn.Module):
    """A layer times a learned gate, which counts the images that it has seen."""

    def __init__(self, layer: nn.Module, width: int) -> None:
        super().__init__()
        self.layer, self.gate = layer, nn.Parameter(torch.ones(width))
        self.register_buffer("seen", torch.zeros((), dtype=torch.int64))
        self.register_buffer("passing", torch.zeros(1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        return self.layer(x) * self.gate


def gates(backbone: Any, blocks: Sequence[int], seed: int, *, width: int = 128) -> nn.Module:
    for block in blocks:
        backbone.blocks[block].mlp = Gate(backbone.blocks[block].mlp, width)
    return backbone


def lora_and_norms(backbone: Any, blocks: Sequence[int], seed: int) -> nn.Module:
    """A PeftModel, with further trainable tensors beside its adapter."""
    adapted = add_lora(backbone, blocks, seed)
    adapted.get_base_model().norm.requires_grad_(True)
    return adapted


def injected(backbone: Any, blocks: Sequence[int], seed: int) -> nn.Module:
    """peft's layers, without its model around them."""
    config = LoraConfig(r=2, target_modules=rf"blocks\.({'|'.join(map(str, blocks))})\.attn\.proj")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return inject_adapter_in_model(config, backbone)


def tied(backbone: Any, blocks: Sequence[int], seed: int) -> nn.Module:
    """One gate for all blocks."""
    gates(backbone, blocks, seed)
    for block in blocks[1:]:
        backbone.blocks[block].mlp.gate = backbone.blocks[blocks[0]].mlp.gate
    return backbone


OWN = {"bitfit": bitfit, "gates": gates, "lora-and-norms": lora_and_norms, "injected": injected, "tied": tied}


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    PEFT_MODULES.update(OWN)
    yield
    for name in OWN:
        PEFT_MODULES.pop(name)


def make(peft: str, env: Any, **more: Any) -> EPG:
    kwargs = {"peft": peft, "blocks": (0, 2)} | more.pop("policy_kwargs", {})
    return EPG("ViTPolicy", env, "ce", policy_kwargs=kwargs, **(ALIKE | more))


def learn(agent: EPG, tasks: range) -> EPG:
    for task in tasks:
        agent.get_env().seed(task)
        agent.get_env().set_options({"task": task})
        agent.learn(24)
    return agent


def logits(agent: EPG, make_vec: MakeVec) -> Tensor:
    agent.policy.set_training_mode(False)
    with torch.no_grad():
        return agent.policy(torch.from_numpy(make_vec(12, split="test").reset()[0]))


@pytest.mark.parametrize("peft", OWN)
def test_what_it_learns_is_saved_and_loaded(peft: str, make_vec: MakeVec, tmp_path: Path) -> None:
    agent = learn(make(peft, make_vec(8)), range(2))
    agent.save(tmp_path / "agent")
    kept = {name: tensor.clone() for name, tensor in module_tensors(agent.policy.network).items()}
    loaded = EPG.load(tmp_path / "agent", make_vec(8), device="cpu")
    for name, tensor in module_tensors(loaded.policy.network).items():
        assert torch.equal(tensor, kept[name]), name
    before = {name: tensor.clone() for name, tensor in agent.policy.network.backbone.state_dict().items()}
    assert all(
        torch.equal(tensor, before[name]) for name, tensor in loaded.policy.network.backbone.state_dict().items()
    )
    assert torch.equal(logits(loaded, make_vec), logits(agent, make_vec))
    assert not torch.equal(logits(agent, make_vec), logits(make(peft, make_vec(8)), make_vec))
    # It goes on as if it had not been saved.
    learn(agent, range(2, 3)), learn(loaded, range(2, 3))
    assert torch.equal(logits(loaded, make_vec), logits(agent, make_vec))


def test_the_file_holds_the_module_and_no_more(make_vec: MakeVec, tmp_path: Path) -> None:
    for peft, names in (
        ("bitfit", {f"blocks.{block}.{layer}.bias" for block in (0, 2) for layer in _BIASES}),
        ("gates", {f"blocks.{block}.mlp.{name}" for block in (0, 2) for name in ("gate", "seen")}),
        ("lora-and-norms", {"base_model.model.norm.weight", "base_model.model.norm.bias"}),
    ):
        make(peft, make_vec(8)).save(tmp_path / peft)
        assert set(read_tensors(tmp_path / f"{peft}.zip", "module.safetensors")) == names
    for peft in ("lora", "none", "adapter", "ssf"):
        make(peft, make_vec(8)).save(tmp_path / peft)
        assert "module.safetensors" not in part_names(tmp_path / f"{peft}.zip")


_BIASES = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2")


def test_loading_is_strict(make_vec: MakeVec, tmp_path: Path) -> None:
    learn(make("bitfit", make_vec(8)), range(1)).save(tmp_path / "agent")
    whole, part = tmp_path / "agent.zip", "module.safetensors"
    tensors = read_tensors(whole, part)
    name = "blocks.2.norm2.bias"
    changes: list[tuple[dict[str, Tensor], str]] = [
        (
            {key: tensor for key, tensor in tensors.items() if key != name},
            rf"Tensors 1 missing: {name} float32 \(128,\)",
        ),
        (tensors | {"blocks.9.bias": tensors[name].clone()}, r"Tensors 1 unexpected: blocks.9.bias"),
        (tensors | {name: torch.ones(3)}, rf"Tensors 1 of another shape: {name} float32 \(3,\), not float32 \(128,\)"),
    ]
    for changed, message in changes:
        file = rewritten(whole, tmp_path / "changed.zip", {part: save(changed)})
        with pytest.raises(ValueError, match=rf"module.safetensors in .*changed.zip does not fit the model. {message}"):
            EPG.load(file, device="cpu")
    with pytest.raises(
        ValueError,
        match=r"was saved by an older version, without module.safetensors and the 12 tensors of peft 'bitfit'",
    ):
        EPG.load(rewritten(whole, tmp_path / "old.zip", {part: None}), device="cpu")


@pytest.mark.parametrize("method", ["lae", "replay"])
def test_with_a_method(method: str, make_vec: MakeVec, tmp_path: Path) -> None:
    agent = learn(make("lora-and-norms", make_vec(8), policy_kwargs={"method": method}), range(2))
    agent.save(tmp_path / "agent")
    assert torch.equal(logits(EPG.load(tmp_path / "agent", device="cpu"), make_vec), logits(agent, make_vec))


class Unfreezes(Method):
    """The last norm learns from the second task on, in place of the module."""

    def begin_task(self, network: Network, task: TaskInfo) -> None:
        if task.index:
            network.set_trainable(list(network.backbone.get_base_model().norm.parameters()))


def test_what_a_method_chooses_to_learn_is_saved_too(make_vec: MakeVec, tmp_path: Path) -> None:
    register_method("unfreezes")(Unfreezes)
    try:
        agent = learn(make("lora", make_vec(8), policy_kwargs={"method": "unfreezes"}), range(2))
        agent.save(tmp_path / "agent")
        with zipfile.ZipFile(tmp_path / "agent.zip") as archive:
            assert "module.safetensors" in archive.namelist()
        assert torch.equal(logits(EPG.load(tmp_path / "agent", device="cpu"), make_vec), logits(agent, make_vec))
    finally:
        METHODS.pop("unfreezes")
