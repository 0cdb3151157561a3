"""What holds for every objective of the list."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

from agents.objectives import (
    OBJECTIVES,
    SampledPolicyGradient,
    TaskObjective,
    entropy,
    is_linear_in_rewards,
    make_objective,
    mask_logits,
    register_objective,
)

ROWS = 40
SPECIFICATIONS = [
    *OBJECTIVES,
    "focal:gamma=0.5",
    "gce:q=0",
    "gce:q=1",
    "alpha:alpha=0.3",
    "reinforce:samples=4,baseline=running-mean",
]


@pytest.fixture
def logits() -> Tensor:
    return 3 * torch.randn(ROWS, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def labels() -> Tensor:
    return torch.randint(7, (ROWS,), generator=torch.Generator().manual_seed(1))


def one_hot(labels: Tensor, actions: int = 7) -> Tensor:
    return torch.nn.functional.one_hot(labels, actions).double()


@pytest.mark.parametrize("name", SPECIFICATIONS)
def test_masked_actions_get_no_probability_and_no_gradient(name: str, logits: Tensor, labels: Tensor) -> None:
    mask = torch.zeros(ROWS, 7)
    mask[:, :3] = 1
    rewards = one_hot(labels % 3)
    variable = logits.clone()
    variable[:, 5:] = -torch.inf  # classes the head has not met
    variable.requires_grad_()
    loss = make_objective(name)(mask_logits(variable, mask), rewards, 0.4)
    local = make_objective(name)(logits[:, :3], rewards[:, :3], 0.4)
    if not name.startswith("reinforce"):  # other draws
        torch.testing.assert_close(loss, local)
    loss.sum().backward()
    assert variable.grad is not None
    assert (variable.grad[:, 3:] == 0).all() and variable.grad[:, :3].abs().sum() > 0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("scale", [1e4, -1e4])
@pytest.mark.parametrize("name", SPECIFICATIONS)
def test_extreme_logits_stay_finite(name: str, scale: float, dtype: torch.dtype) -> None:
    rows = torch.tensor([[scale, 0.0, -scale, 5.0], [scale, 0.0, -scale, 5.0]], dtype=dtype)
    masked = mask_logits(rows, torch.tensor([[1, 1, 1, 0], [1, 1, 0, 0]])).requires_grad_()
    # The right one is certain, impossible beyond underflow, and in between.
    for right in range(2):
        rewards = torch.zeros(2, 4, dtype=dtype)
        rewards[:, right] = 1
        loss = make_objective(name)(masked, rewards, 0.5)
        (gradient,) = torch.autograd.grad(loss.sum(), masked)
        assert loss.dtype == dtype and loss.isfinite().all() and gradient.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("name", SPECIFICATIONS)
def test_actions_without_a_logit_may_stay_unmasked(name: str, dtype: torch.dtype) -> None:
    """As a policy gives them before all classes are met: minus infinity, where 0 log 0 is 0."""
    logits = torch.tensor([[1.0, -torch.inf, 2.0]], dtype=dtype, requires_grad=True)
    loss = make_objective(name)(logits, torch.tensor([[1.0, 0.0, 0.0]], dtype=dtype), 0.5)
    (gradient,) = torch.autograd.grad(loss.sum(), logits)
    assert loss.isfinite().all() and gradient.isfinite().all()


@pytest.mark.parametrize("name", ["aepg", "naepg", "aepg-geometric", "naepg-geometric"])
def test_the_steepest_annealing_is_a_step(name: str, logits: Tensor, labels: Tensor) -> None:
    steep, rewards = make_objective(f"{name}:tau=5000"), one_hot(labels)
    torch.testing.assert_close(steep(logits, rewards, 0.0), make_objective("ce")(logits, rewards, 0.0))
    assert steep(logits, rewards, 1.0).isfinite().all()


def test_a_function_is_an_objective_as_it_is() -> None:
    assert make_objective(entropy_of_ones_own) is entropy_of_ones_own


def entropy_of_ones_own(logits: Tensor, action_rewards: Tensor, progress: float) -> Tensor:
    return entropy(logits)


@pytest.mark.parametrize("name", SPECIFICATIONS)
def test_any_reward_matrix_has_a_finite_gradient(name: str, logits: Tensor) -> None:
    costs = torch.randn(ROWS, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    variable = logits.clone().requires_grad_()
    make_objective(name)(variable, costs, 0.3).sum().backward()
    assert variable.grad is not None and variable.grad.isfinite().all() and variable.grad.abs().sum() > 0
    torch.testing.assert_close(variable.grad.sum(dim=1), torch.zeros(ROWS, dtype=torch.float64), rtol=0, atol=1e-9)


@pytest.mark.parametrize("shift", [-1.0, 2.5])
@pytest.mark.parametrize("name", SPECIFICATIONS)
def test_a_constant_added_to_all_rewards_changes_no_gradient(name: str, shift: float, logits: Tensor) -> None:
    """As the expected reward's own gradient; also of costs, where all rewards are negative but one."""
    sampled = name.startswith("reinforce")
    if sampled:  # its gradient is the expectation's up to the draws
        name, logits = "reinforce:samples=200000", logits[:2]
    mask = torch.tensor([1, 1, 1, 1, 0, 0, 1]).expand_as(logits)
    labels = one_hot(torch.arange(len(logits)) % 4)
    costs = torch.randn(len(logits), 7, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    for rewards in (labels, labels - 1, costs):
        gradients = []
        for given in (rewards, rewards + shift):
            variable = mask_logits(logits, mask).requires_grad_()
            make_objective(name)(variable, given * mask, 0.3).sum().backward()
            gradients.append(variable.grad)
        torch.testing.assert_close(*gradients, rtol=0, atol=0.03 if sampled else 1e-12)
        assert gradients[0].abs().sum() > 0


def test_those_of_the_policy_gradient_are_linear_in_the_rewards() -> None:
    assert {name for name in OBJECTIVES if is_linear_in_rewards(name)} == {"epg", "reinforce"}


@pytest.mark.parametrize("name", SPECIFICATIONS)
@pytest.mark.parametrize("shapes", [((4, 3), (4,)), ((4, 3), (4, 2)), ((4,), (4,))])
def test_shapes_that_differ_are_refused(name: str, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match=r"one shape \(B, A\)"):
        make_objective(name)(torch.zeros(shapes[0]), torch.zeros(shapes[1]), 0.0)


def test_entropy_is_log_of_the_number_of_equal_actions() -> None:
    logits = torch.tensor([[0.0, 0.0, 0.0, 0.0], [100.0, 0.0, 0.0, 0.0]])
    assert entropy(logits).tolist() == pytest.approx([math.log(4), 0.0])
    masked = mask_logits(logits[:1], torch.tensor([[1, 1, 0, 0]]))
    assert entropy(masked).tolist() == pytest.approx([math.log(2)])


@pytest.mark.parametrize(
    ("specification", "message"),
    [
        ("focl", r"unknown objective 'focl'; did you mean 'focal'"),
        ("focal:gama=2", r"unknown argument of objective 'focal' 'gama'; did you mean 'gamma'"),
        ("focal:2", r"name:key=value"),
        ("focal:gamma=-1", r"'focal:gamma=-1': gamma must be in \[0, inf\), not -1"),
        ("focal:gamma=much", r"gamma of objective 'focal' must be a number, not 'much'"),
        ("ls:gamma=1.5", r"gamma must be in \[0, 1\]"),
        ("gce:q=2", r"q must be in \[0, 1\]"),
        ("alpha:alpha=2", r"alpha must be in \[0, 1\]"),
        ("cp:beta=-1", r"beta must be in \[0, inf\)"),
        ("ep:beta=Infinity", r"beta must be in \[0, inf\), not inf"),
        ("sce:log_zero=1", r"log_zero must be in \(-inf, 0\], not 1"),
        ("reinforce:samples=0", r"samples must be a whole number of at least 1"),
        ("reinforce:baseline=mean", r"unknown baseline 'mean'"),
        ("focal:gamma=1,gamma=2", r"given twice"),
        ("focal:gamma=true", r"gamma of objective 'focal' must be a number, not True"),
        ("sce:alpha=x", r"alpha of objective 'sce' must be a number, not 'x'"),
        ("aepg:tau=-6", r"tau must be in \[0, inf\), not -6"),
        ("naepg:tau=NaN", r"tau must be in \[0, inf\), not nan"),
        ("aepg-geometric:tau=Infinity", r"tau must be in \[0, inf\), not inf"),
        (None, r"expected text, 'name'.*not None"),
        (SampledPolicyGradient, r"SampledPolicyGradient is a class: give one of its instances"),
        ("ce:gamma=1", r"objective 'ce' has no argument, and so no 'gamma'"),
    ],
)
def test_what_is_not_an_objective_is_refused(specification: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        make_objective(specification)


@pytest.fixture
def _own_objective() -> Iterator[None]:
    yield
    OBJECTIVES.pop("hinge", None)


@pytest.mark.usefixtures("_own_objective")
def test_an_objective_of_ones_own_has_a_name() -> None:
    @register_objective("hinge")
    def hinge(logits: Tensor, action_rewards: Tensor, progress: float, margin: float = 1.0) -> Tensor:
        return (margin - (logits * action_rewards).sum(dim=1)).clamp(min=0)

    rows, rewards = torch.tensor([[0.5, 0.0]]), torch.tensor([[1.0, 0.0]])
    assert make_objective("hinge:margin=2")(rows, rewards, 0.0).tolist() == [1.5]
    with pytest.raises(ValueError, match="there already"):
        register_objective("hinge")
    with pytest.raises(ValueError, match="must not contain ':'"):
        register_objective("hinge:2")


def test_reinforce_draws_the_same_in_a_task_begun_anew(logits: Tensor, labels: Tensor) -> None:
    objective, rewards = make_objective("reinforce:baseline=running-mean"), one_hot(labels)
    assert isinstance(objective, TaskObjective) and not isinstance(make_objective("epg"), TaskObjective)
    losses = []
    for seed in (3, 3, 4):
        objective.begin_task(seed)
        losses.append(torch.stack([objective(logits, rewards, 0.0) for _ in range(3)]))
    assert torch.equal(losses[0], losses[1]) and not torch.equal(losses[0], losses[2])
