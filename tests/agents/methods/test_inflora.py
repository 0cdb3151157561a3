from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from peft import PeftModel

from agents import EPG
from agents.methods.common.dual_gpm import Memory, empty_memory, energy_threshold, remember
from agents.methods.common.lora_per_task import adapter_of, lora_layers
from agents.methods.inflora import designed_rows, input_moments
from agents.networks.backbone import create_backbone
from agents.peft_modules.target_modules import split_qkv
from tests.agents.methods.conftest import batch_of, learn
from tests.agents.policies import EMBEDDED

pytestmark = pytest.mark.long

MakeAgent = Callable[..., EPG]


def moment_of(count: int, dimensions: int, rank: int | None = None, seed: int = 0) -> torch.Tensor:
    """E[x x^T] of inputs with energies that fall off; of a lower rank where one is given."""
    random = torch.Generator().manual_seed(seed)
    inputs = torch.randn(count, dimensions, generator=random, dtype=torch.float64)
    inputs = inputs * torch.logspace(0, -2, dimensions, dtype=torch.float64)
    if rank is not None:
        inputs = inputs[:, :rank] @ torch.randn(rank, dimensions, generator=random, dtype=torch.float64)
    return inputs.T @ inputs / count


def captured(memory: Memory, moment: torch.Tensor) -> float:
    """The share of the inputs' squared length that lies in the directions taken."""
    free = memory.project_out(memory.project_out(moment).T)
    return 1 - (free.trace() / moment.trace()).item()


def orthonormal(basis: torch.Tensor) -> bool:
    return torch.allclose(basis.T @ basis, torch.eye(basis.shape[1], dtype=basis.dtype), atol=1e-10)


@pytest.mark.parametrize("threshold", [0.5, 0.9, 0.98])
def test_the_fewest_directions_that_reach_the_threshold(threshold: float) -> None:
    moment = moment_of(300, 24)
    memory = remember(empty_memory(24), moment, threshold, "activations")
    energies = torch.linalg.eigvalsh(moment).flip(0)
    shares = energies.cumsum(0) / energies.sum()
    assert memory.rank == int((shares < threshold).sum()) + 1
    assert captured(memory, moment) == pytest.approx(float(shares[memory.rank - 1]))
    assert orthonormal(memory.basis)


def test_public_codes_energy_takes_fewer() -> None:
    """Squared singular values of the second moment, by the loop of the public code."""
    moment = moment_of(300, 24)
    values = np.linalg.svd(moment.numpy())[1]
    shares = np.cumsum(values**2) / (values**2).sum()
    memory = remember(empty_memory(24), moment, 0.98, energy="moments")
    assert memory.rank == max(int((shares < 0.98).sum()), 0) + 1
    assert memory.rank < remember(empty_memory(24), moment, 0.98, "activations").rank


def test_both_regimes() -> None:
    """Directions taken are stored up to half of all, the free ones beyond that; each task's share is then captured."""
    memory, regimes = empty_memory(16), []
    for seed in range(6):
        moment, before = moment_of(400, 16, rank=4, seed=seed), memory
        memory = remember(memory, moment, 0.999, "activations")
        regimes.append(memory.complement)
        assert captured(memory, moment) >= 0.999 - 1e-9
        assert orthonormal(memory.basis) and memory.rank >= before.rank
        assert memory.complement == (memory.rank > 8) and memory.basis.shape[1] <= 8
        # What was taken before stays taken.
        assert before.rank - torch.linalg.matrix_rank(_taken(memory) @ _taken(before), tol=1e-6) == 0
    assert regimes[0] is False and regimes[-1] is True


def _taken(memory: Memory) -> torch.Tensor:
    """The projection onto the directions taken."""
    identity = torch.eye(len(memory.basis), dtype=torch.float64)
    return identity - memory.project_out(identity)


def test_a_task_that_brings_nothing_new_takes_nothing() -> None:
    moment = moment_of(300, 24, rank=5)
    memory = remember(empty_memory(24), moment, 1.0)
    assert memory.rank == 5
    assert remember(memory, moment, 1.0).rank == 5
    full = remember(empty_memory(24), torch.eye(24, dtype=torch.float64), 1.0)
    assert full.rank == 24 and full.complement and full.basis.shape == (24, 0)
    assert remember(full, moment, 0.99).rank == 24


def test_the_threshold_rises_over_the_tasks() -> None:
    assert [energy_threshold(0.95, task, 5) for task in (0, 2, 4)] == pytest.approx([0.95, 0.97, 0.99])
    assert energy_threshold(0.95, 3, None) == 0.95


def test_rows_lead_in_what_is_free() -> None:
    moment = moment_of(300, 24)
    leading = torch.linalg.eigh(moment)[1].flip(1)
    rows = designed_rows(empty_memory(24), moment, 3) * 3**0.5
    torch.testing.assert_close((rows @ leading[:, :3]).abs(), torch.eye(3, dtype=torch.float64))
    memory = Memory(leading[:, :2])
    rows = designed_rows(memory, moment, 3) * 3**0.5
    torch.testing.assert_close((rows @ leading[:, 2:5]).abs(), torch.eye(3, dtype=torch.float64), atol=1e-6, rtol=0)


def test_rows_without_a_free_direction_are_zero() -> None:
    rows = designed_rows(Memory(torch.eye(6, dtype=torch.float64)[:, 4:], complement=True), moment_of(50, 6), 4)
    assert (rows.norm(dim=1) > 0.5).tolist() == [True, True, False, False]
    assert rows[:, :4].abs().max() < 1e-12


def test_each_subspace_is_orthogonal_to_the_stored_ones_and_b_and_the_new_head_alone_learn(
    make_agent: MakeAgent,
) -> None:
    agent = make_agent("inflora:threshold=0.9")
    for task in range(3):
        memories = [agent.policy.method.memory(place // 2) for place in range(6)]  # keys and values share one
        known = agent.policy.network.head.weight.detach().clone()
        frozen: dict[str, torch.Tensor] = {}
        agent.policy.method.training_logits = _first_call(agent, frozen)
        learn(agent, range(task, task + 1), images=80)
        for memory, layer in zip(memories, lora_layers(agent.policy.network), strict=True):
            rows = layer.lora_A[adapter_of(task)].weight.double()
            assert torch.dist(memory.project_out(rows.T), rows.T) < 1e-5
            assert (_taken(memory) @ rows.T).abs().max() < 1e-5
            assert layer.lora_B[adapter_of(task)].weight.abs().max() > 0
        moved = {
            name
            for name, tensor in agent.policy.network.backbone.named_parameters()
            if not torch.equal(tensor, frozen[name])
        }
        assert moved and all(f"lora_B.{adapter_of(task)}." in name for name in moved)
        assert torch.equal(agent.policy.network.head.weight[: len(known)], known)
        learning = {id(tensor) for tensor in agent.policy.trainable_parameters}
        head = {id(agent.policy.network.head.weight), id(agent.policy.network.head.bias)}
        assert learning == head | {
            id(layer.lora_B[adapter_of(task)].weight) for layer in lora_layers(agent.policy.network)
        }
    assert all(agent.policy.method.memory(place).rank > 0 for place in range(3))


def _first_call(agent: EPG, frozen: dict[str, torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Keeps all tensors of the backbone as they are when the task's first batch comes."""
    usual = type(agent.policy.method).training_logits

    def training_logits(network: object, batch: object) -> torch.Tensor:
        if not frozen:
            frozen.update({name: tensor.clone() for name, tensor in agent.policy.network.backbone.named_parameters()})
        return usual(agent.policy.method, network, batch)

    return training_logits


def test_what_is_learned_changes_no_output_for_inputs_in_the_memory(make_agent: MakeAgent) -> None:
    """The point of it: with all of task 0 remembered, task 1 leaves keys and values of its images as they were."""
    agent = make_agent("inflora:threshold=1.0")
    learn(agent, range(1), images=80)
    layer = lora_layers(agent.policy.network)[0]
    inside = _taken(agent.policy.method.memory(0)).float()
    learn(agent, range(1, 2), images=80)
    change = layer.lora_B["task1"].weight @ layer.lora_A["task1"].weight
    assert (change @ inside).abs().max() < 1e-5


@pytest.mark.parametrize("method", ["inflora", "sd-lora"])
def test_its_adapters_load_elsewhere_with_peft_alone(method: str, make_agent: MakeAgent, tmp_path: Path) -> None:
    agent = learn(make_agent(method, policy_kwargs=EMBEDDED), range(3), images=24)
    agent.save(tmp_path / "agent")
    zipfile.ZipFile(tmp_path / "agent.zip").extractall(tmp_path / "agent")
    backbone = create_backbone("vit_micro_patch8_32", True, (32, 32), seed=0)
    split_qkv(backbone, blocks=range(3))
    features = PeftModel.from_pretrained(backbone, tmp_path / "agent" / "adapter")
    for name in ("task1", "task2"):
        features.load_adapter(tmp_path / "agent" / "adapter" / name, name)
    features.base_model.set_adapter(["default", "task1", "task2"])
    images = torch.from_numpy(agent.get_env().reset().copy())
    with torch.no_grad():
        torch.testing.assert_close(
            features.eval()(agent.policy.network.preprocessing(images)), agent.policy.features(images)
        )


def test_moments_by_hand(make_agent: MakeAgent) -> None:
    agent = make_agent("sequential")
    agent.policy.begin_task([0, 1], freeze_peft=False)
    images = torch.from_numpy(agent.get_env().reset()[:5].copy())
    seen: list[torch.Tensor] = []
    layer = lora_layers(agent.policy.network)[3]
    handle = layer.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    agent.policy.features(images)
    handle.remove()
    tokens = seen[0].reshape(-1, 64).double()
    found = input_moments(agent.policy.network, [batch_of(images, agent.policy)])[1]
    torch.testing.assert_close(found, tokens.T @ tokens / len(tokens))
