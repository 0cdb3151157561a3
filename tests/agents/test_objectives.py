from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from agents.annealing import sigmoid_alpha
from agents.objectives import OBJECTIVES, entropy, mask_logits

ROWS = 40
torch.set_default_dtype(torch.float32)


@pytest.fixture
def logits() -> Tensor:
    return 3 * torch.randn(ROWS, 7, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def labels() -> Tensor:
    return torch.randint(7, (ROWS,), generator=torch.Generator().manual_seed(1))


def one_hot(labels: Tensor, actions: int = 7) -> Tensor:
    return torch.nn.functional.one_hot(labels, actions).double()


def gradient(name: str, logits: Tensor, rewards: Tensor, progress: float = 0.0) -> Tensor:
    variable = logits.clone().requires_grad_()
    OBJECTIVES[name](variable, rewards, progress).sum().backward()
    assert variable.grad is not None
    return variable.grad


def test_cross_entropy_is_pytorchs(logits: Tensor, labels: Tensor) -> None:
    expected = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    torch.testing.assert_close(OBJECTIVES["ce"](logits, one_hot(labels), 0.0), expected, rtol=1e-12, atol=1e-12)


def test_hand_worked_rows() -> None:
    # Two actions with odds 3 : 1, the label being the likely one, then the unlikely one.
    logits = torch.tensor([[math.log(3.0), 0.0], [math.log(3.0), 0.0]], dtype=torch.float64)
    rewards = torch.tensor([[1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    assert OBJECTIVES["ce"](logits, rewards, 0.0).tolist() == pytest.approx([math.log(4 / 3), math.log(4)])
    assert OBJECTIVES["epg"](logits, rewards, 0.0).tolist() == pytest.approx([-0.75, -0.25])
    half = [0.5 * math.log(4 / 3) - 0.375, 0.5 * math.log(4) - 0.125]
    assert OBJECTIVES["aepg"](logits, rewards, 0.5).tolist() == pytest.approx(half)
    costs = torch.tensor([[1.0, -2.0], [0.0, 1.0]], dtype=torch.float64)  # expected rewards 0.75 - 0.5 and 0.25
    assert OBJECTIVES["epg"](logits, costs, 0.0).tolist() == pytest.approx([-0.25, -0.25])


def test_epg_gradient_is_probability_times_cross_entropy_gradient(logits: Tensor, labels: Tensor) -> None:
    rewards = one_hot(labels)
    probability = logits.softmax(dim=1).gather(1, labels[:, None])
    expected = probability * gradient("ce", logits, rewards)
    torch.testing.assert_close(gradient("epg", logits, rewards), expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("progress", [0.0, 0.3, 1.0])
def test_aepg_gradient_weighs_both(logits: Tensor, labels: Tensor, progress: float) -> None:
    alpha, rewards = sigmoid_alpha(progress), one_hot(labels)
    expected = alpha * gradient("ce", logits, rewards) + (1 - alpha) * gradient("epg", logits, rewards)
    torch.testing.assert_close(gradient("aepg", logits, rewards, progress), expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(("progress", "alpha"), [(0.0, 0.9975), (0.5, 0.5), (1.0, 0.0025)])
def test_alpha_at_start_middle_and_end(progress: float, alpha: float) -> None:
    assert sigmoid_alpha(progress) == pytest.approx(alpha, abs=5e-5)


@pytest.mark.parametrize("progress", [-0.1, 1.1])
def test_progress_outside_the_task_is_refused(progress: float) -> None:
    with pytest.raises(ValueError, match="progress"):
        sigmoid_alpha(progress)


@pytest.mark.parametrize("name", OBJECTIVES)
def test_masked_actions_get_no_probability_and_no_gradient(name: str, logits: Tensor, labels: Tensor) -> None:
    mask = torch.zeros(ROWS, 7)
    mask[:, :3] = 1
    rewards = one_hot(labels % 3)
    variable = logits.clone()
    variable[:, 5:] = -torch.inf  # classes the head has not met
    variable.requires_grad_()
    loss = OBJECTIVES[name](mask_logits(variable, mask), rewards, 0.4)
    local = OBJECTIVES[name](logits[:, :3], rewards[:, :3], 0.4)
    torch.testing.assert_close(loss, local)
    loss.sum().backward()
    assert variable.grad is not None
    assert (variable.grad[:, 3:] == 0).all() and variable.grad[:, :3].abs().sum() > 0


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("scale", [1e4, -1e4])
def test_extreme_logits_stay_finite(name: str, scale: float) -> None:
    logits = torch.tensor([[scale, 0.0, -scale]], requires_grad=True)
    loss = OBJECTIVES[name](logits, torch.tensor([[0.0, 1.0, 0.0]]), 0.5)
    loss.sum().backward()
    assert loss.isfinite().all() and logits.grad is not None and logits.grad.isfinite().all()


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("shapes", [((4, 3), (4,)), ((4, 3), (4, 2)), ((4,), (4,))])
def test_shapes_that_differ_are_refused(name: str, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    with pytest.raises(ValueError, match=r"one shape \(B, A\)"):
        OBJECTIVES[name](torch.zeros(shapes[0]), torch.zeros(shapes[1]), 0.0)


def test_entropy_is_log_of_the_number_of_equal_actions() -> None:
    logits = torch.tensor([[0.0, 0.0, 0.0, 0.0], [100.0, 0.0, 0.0, 0.0]])
    assert entropy(logits).tolist() == pytest.approx([math.log(4), 0.0])
    masked = mask_logits(logits[:1], torch.tensor([[1, 1, 0, 0]]))
    assert entropy(masked).tolist() == pytest.approx([math.log(2)])
