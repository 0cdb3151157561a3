"""L2P, DualPrompt and CODA-Prompt by their recipes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from agents import EPG
from agents.methods import TaskInfo
from agents.methods.coda_prompt import PARTS, orthonormal_to, orthonormality_gap
from agents.methods.common.prompts import features_with_prompt_tokens, similarity, with_prompts
from agents.policy import ViTPolicy
from tests.agents.methods.conftest import batch_of, learn

pytestmark = pytest.mark.long

MakeAgent = Callable[..., EPG]


def begin(policy: ViTPolicy, index: int) -> None:
    classes = [2 * index, 2 * index + 1]
    policy.begin_task(classes, freeze_peft=False, task=TaskInfo(index, classes, num_tasks=3, seed=50 + index))


def images_of(agent: EPG) -> torch.Tensor:
    return torch.from_numpy(agent.get_env().reset().copy())


@pytest.mark.parametrize("head", ["prompts", "cls"])
def test_l2p_looks_up_the_prompts_with_the_nearest_keys(head: str, make_agent: MakeAgent) -> None:
    agent = make_agent(f"l2p:pool=6,length=2,top=3,head={head}")
    policy, method = agent.policy, agent.policy.method
    begin(policy, 0)
    images = images_of(agent)
    queries = policy.features(images)
    with torch.no_grad():  # keys at known angles to the first image's features
        across = torch.randn(64)
        across -= (across @ queries[0]) / (queries[0] @ queries[0]) * queries[0]
        across *= queries[0].norm() / across.norm()
        for place, angle in enumerate([2.0, 0.3, 1.0, 2.5, 0.1, 0.7]):
            angle = torch.tensor(angle)
            method.keys[place] = 7 * (angle.cos() * queries[0] + angle.sin() * across)
    assert method.selected(queries[:1]).tolist() == [[4, 1, 5]]
    tokens = method.prompts[[4, 1, 5]].reshape(1, 6, 64)
    expected = policy.network.head(
        features_with_prompt_tokens(policy.network.backbone, policy.network.preprocessing(images[:1]), tokens, head)
    )
    torch.testing.assert_close(policy(images[:1]), expected)
    batch = batch_of(images[:1], policy)
    pull = method.additional_loss(policy.network, [batch], lambda logits, rewards: logits.sum())
    cosines = torch.tensor([0.1, 0.3, 0.7]).cos().sum()
    torch.testing.assert_close(pull, -1.0 * cosines, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("method", ["l2p", "dualprompt"])
def test_where_prompts_and_keys_begin(method: str, make_agent: MakeAgent) -> None:
    """About 0, or as in the authors' code, and of another size where asked."""
    for arguments, low, high in (("", -0.01, 0.01), (":positive=true", 0.0, 0.01), (":initial=1", -1.0, 1.0)):
        policy = make_agent(method + arguments).policy
        begin(policy, 0)
        values = torch.cat([tensor.detach().flatten() for tensor in policy.method.parameters()])
        assert values.min() >= low and values.max() < high
        assert values.min() < low + 0.01 * (high - low) and values.max() > high - 0.01 * (high - low)


def test_l2p_trains_chosen_prompts_by_image_or_by_vote(make_agent: MakeAgent) -> None:
    for batchwise in ("false", "true"):
        agent = make_agent(f"l2p:pool=6,length=2,top=2,batchwise={batchwise}")
        policy, method = agent.policy, agent.policy.method
        begin(policy, 0)
        with torch.no_grad():
            method.keys.copy_(torch.randn(6, 64, generator=torch.Generator().manual_seed(1)))
            policy.network.head.weight.normal_()
        images = images_of(agent)
        queries = policy.features(images)
        queries = torch.randn(8, 64, generator=torch.Generator().manual_seed(2))  # that disagree
        batch = batch_of(images, policy)
        batch._frozen_features = queries
        method.training_logits(policy.network, batch)[:, :2].square().sum().backward()
        used = set(method.prompts.grad.abs().sum(dim=(1, 2)).nonzero().flatten().tolist())
        chosen = similarity(queries, method.keys).topk(2, dim=1).indices
        if batchwise == "true":
            votes = torch.bincount(chosen.flatten(), minlength=6)
            assert used == set(votes.topk(2).indices.tolist()) and len(votes.nonzero()) > 2
        else:
            assert used == set(chosen.flatten().tolist())


def test_dualprompt_puts_general_prompts_first_and_expert_prompts_after(make_agent: MakeAgent) -> None:
    agent = make_agent("dualprompt:general=2,expert=3,general_blocks=1", policy_kwargs={"blocks": (1, 3, 4)})
    policy, method = agent.policy, agent.policy.method
    begin(policy, 0)
    images = images_of(agent)
    seen = {}

    def watch(block: int) -> Callable[..., None]:
        def hook(module: torch.nn.Module, inputs: tuple) -> None:
            seen[block] = module.prompts and [tuple(part.shape) for part in module.prompts]

        return hook

    for block in (1, 3, 4):
        policy.network.backbone.blocks[block].attn.register_forward_pre_hook(watch(block))
    method.training_logits(policy.network, batch_of(images, policy))
    assert seen == {1: [(8, 2, 64)] * 2, 3: [(8, 3, 64)] * 2, 4: [(8, 3, 64)] * 2}
    assert [type(policy.network.backbone.blocks[block].attn).__name__ for block in (0, 2)] == ["Attention", "Attention"]
    prompts = {1: (method.general_prompts[0, 0], method.general_prompts[0, 1])}
    prompts |= {block: (method.prompt[at, 0], method.prompt[at, 1]) for at, block in enumerate((3, 4))}
    one = {block: (keys[None], values[None]) for block, (keys, values) in prompts.items()}
    with with_prompts(policy.network.backbone, one):
        expected = policy.network.head(policy.network.backbone(policy.network.preprocessing(images[2:3])))
    torch.testing.assert_close(policy(images[2:3]), expected)


def test_dualprompt_trains_its_task_and_asks_the_nearest_key(make_agent: MakeAgent) -> None:
    agent = learn(make_agent("dualprompt"), range(2))
    policy, method = agent.policy, agent.policy.method
    past = (method.past_prompts.clone(), method.past_keys.clone())
    learn(agent, range(2, 3))
    assert torch.equal(method.past_prompts[:1], past[0]) and torch.equal(method.past_keys[:1], past[1])
    assert len(method.past_keys) == 2
    with torch.no_grad():
        queries = torch.stack([method.past_keys[1], method.key, method.past_keys[0]])
    assert method.selected(queries).tolist() == [1, 2, 0]
    # In training it is the task's own, whatever an image would look up.
    images = images_of(agent)
    policy.zero_grad()
    method.training_logits(policy.network, batch_of(images, policy))[:, policy.network.head.actions].sum().backward()
    assert method.prompt.grad.abs().sum() > 0 and method.key.grad is None


@pytest.mark.parametrize("transfer", [True, False])
def test_dualprompt_begins_a_prompt_as_the_one_before_where_asked(transfer: bool, make_agent: MakeAgent) -> None:
    agent = learn(make_agent(f"dualprompt:transfer={str(transfer).lower()}"), range(1))
    method = agent.policy.method
    last = method.prompt.detach().clone()
    begin(agent.policy, 1)
    assert torch.equal(method.past_prompts[0], last)
    assert torch.equal(method.prompt, last) == transfer


def test_dualprompt_needs_a_block_for_experts(make_agent: MakeAgent) -> None:
    with pytest.raises(ValueError, match="needs more blocks than general_blocks=3"):
        make_agent("dualprompt:general_blocks=3")


def test_coda_weighs_components_by_attended_cosine(make_agent: MakeAgent) -> None:
    agent = make_agent("coda-prompt:components=6,length=2")
    policy, method = agent.policy, agent.policy.method
    for index in range(2):
        begin(policy, index)
    images = images_of(agent)
    queries = policy.features(images)
    found = method.weights(queries)
    assert found.shape == (8, 3, 4)
    keys, attention, components = (method._all(name) for name in ("keys", "attention", "components"))
    image, block = 5, 2
    by_hand = [torch.cosine_similarity(queries[image] * attention[block, m], keys[block, m], dim=0) for m in range(4)]
    torch.testing.assert_close(found[image, block], torch.stack(by_hand))
    prompts = {at: sum(found[image, at, m] * components[at, m] for m in range(4))[None] for at in range(3)}
    with with_prompts(policy.network.backbone, {at: (prompt[:, :2], prompt[:, 2:]) for at, prompt in prompts.items()}):
        expected = policy.network.head(policy.network.backbone(policy.network.preprocessing(images[image : image + 1])))
    torch.testing.assert_close(policy(images)[image], expected[0], atol=1e-5, rtol=1e-5)


def test_coda_leaves_old_components_untouched(make_agent: MakeAgent) -> None:
    agent = learn(make_agent("coda-prompt:components=6"), range(1))
    own = {name: getattr(agent.policy.method, name).detach().clone() for name in PARTS}
    learn(agent, range(1, 3))
    for name in PARTS:
        past = getattr(agent.policy.method, f"past_{name}")
        assert past.shape[1] == 4 and torch.equal(past[:, :2], own[name])
        assert not past.requires_grad and getattr(agent.policy.method, name).requires_grad


def test_coda_begins_components_orthonormal_to_all(make_agent: MakeAgent) -> None:
    agent = learn(make_agent("coda-prompt:components=63"), range(2))
    begin(agent.policy, 2)
    for name in PARTS:
        past, new = (getattr(agent.policy.method, part).detach().flatten(2) for part in (f"past_{name}", name))
        assert past.shape[1] == 42 and new.shape[1] == 21
        gram = new @ new.transpose(1, 2)
        torch.testing.assert_close(gram, torch.eye(21).expand_as(gram), atol=1e-5, rtol=0)
        assert (new @ past.transpose(1, 2)).abs().max() < 1e-5


def test_gram_schmidt_against_dependent_vectors() -> None:
    past = torch.randn(3, 8)
    past = torch.cat([past, past[:1] + past[1:2]])  # spans three dimensions, not four
    new = orthonormal_to(past, 4, seed=0)
    torch.testing.assert_close(new @ new.T, torch.eye(4), atol=1e-6, rtol=0)
    assert (new @ past.T).abs().max() < 1e-5
    assert torch.equal(new, orthonormal_to(past, 4, seed=0)) and not torch.equal(new, orthonormal_to(past, 4, seed=1))


def test_the_penalty_by_hand() -> None:
    vectors = torch.tensor([[[1.0, 0.0], [1.0, 1.0]]])  # X X^T - 1 = [[0, 1], [1, 1]]
    assert orthonormality_gap(vectors).item() == pytest.approx(3 / 4)
    assert orthonormality_gap(vectors.expand(2, -1, -1)).item() == pytest.approx(2 * 3 / 4)
    assert orthonormality_gap(torch.eye(3)[None]).item() == 0


def test_coda_needs_a_component_for_each_task_and_room_for_all(make_agent: MakeAgent) -> None:
    with pytest.raises(ValueError, match="at most 64 components are orthogonal in this backbone, not 65"):
        make_agent("coda-prompt:components=65")
    with pytest.raises(ValueError, match="needs a component for each of 3 tasks, not 2"):
        make_agent("coda-prompt:components=2").learn(8)
    with pytest.raises(ValueError, match=r"needs info\['task_mask'\]"):
        make_agent("coda-prompt").policy.begin_task([0, 1], freeze_peft=False)
