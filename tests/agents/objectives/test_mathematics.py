"""The mathematics of the objectives, in float64: gradients, expectations, limits, and rows worked by hand."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from agents.objectives import entropy, make_objective, reinforce_loss
from agents.objectives.schedules import sigmoid_alpha

ROWS, ACTIONS = 40, 7


@pytest.fixture
def logits() -> Tensor:
    return 3 * torch.randn(ROWS, ACTIONS, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def rewards() -> Tensor:
    labels = torch.randint(ACTIONS, (ROWS,), generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.one_hot(labels, ACTIONS).double()


@pytest.fixture
def costs() -> Tensor:
    return torch.randn(ROWS, ACTIONS, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def gradient(name: str, logits: Tensor, rewards: Tensor, progress: float = 0.0) -> Tensor:
    variable = logits.clone().requires_grad_()
    (found,) = torch.autograd.grad(make_objective(name)(variable, rewards, progress).sum(), variable)
    return found


def test_cross_entropy_is_pytorchs(logits: Tensor, rewards: Tensor) -> None:
    expected = torch.nn.functional.cross_entropy(logits, rewards, reduction="none")
    torch.testing.assert_close(make_objective("ce")(logits, rewards, 0.0), expected, rtol=1e-12, atol=1e-12)


def test_label_smoothing_is_pytorchs_up_to_its_constant(logits: Tensor, rewards: Tensor) -> None:
    smoothed = torch.nn.functional.cross_entropy(logits, rewards.argmax(dim=1), reduction="none", label_smoothing=0.1)
    expected = smoothed - 0.1 * math.log(ACTIONS)
    torch.testing.assert_close(make_objective("ls:gamma=0.1")(logits, rewards, 0.0), expected, rtol=1e-12, atol=1e-12)


# Two actions with odds 3 : 1, the label being the likely one, then the unlikely one.
LIKELY, UNLIKELY, ENTROPY = math.log(4 / 3), math.log(4), 0.75 * math.log(4 / 3) + 0.25 * math.log(4)
HAND_WORKED = {
    "ce": (LIKELY, UNLIKELY),
    "epg": (-0.75, -0.25),
    "alpha:alpha=0.5": (0.5 * LIKELY - 0.375, 0.5 * UNLIKELY - 0.125),
    "aepg": (0.5 * LIKELY - 0.375, 0.5 * UNLIKELY - 0.125),
    "aepg-linear": (0.5 * LIKELY - 0.375, 0.5 * UNLIKELY - 0.125),
    "aepg-cosine": (0.5 * LIKELY - 0.375, 0.5 * UNLIKELY - 0.125),
    "focal:gamma=2": (LIKELY / 16, 9 / 16 * UNLIKELY),
    "focal:gamma=0.5": (0.5 * LIKELY, math.sqrt(0.75) * UNLIKELY),
    # KL(u || pi) = -log 2 - (log 3/4 + log 1/4) / 2
    "ls:gamma=0.1": tuple(0.9 * loss + 0.1 * (-math.log(2) + (LIKELY + UNLIKELY) / 2) for loss in (LIKELY, UNLIKELY)),
    "cp:beta=0.2": (LIKELY - 0.2 * ENTROPY, UNLIKELY - 0.2 * ENTROPY),
    "ep:beta=1": (LIKELY + ENTROPY, UNLIKELY + ENTROPY),
    "gce:q=0.5": (2 * (1 - math.sqrt(0.75)), 2 * (1 - 0.5)),
    "aepg-geometric": (2 * (1 - math.sqrt(0.75)), 2 * (1 - 0.5)),
    "sce": (0.1 * LIKELY + 4 * 0.25, 0.1 * UNLIKELY + 4 * 0.75),
    "aepg-entropy": tuple(
        ENTROPY / math.log(2) * loss - (1 - ENTROPY / math.log(2)) * probability
        for loss, probability in ((LIKELY, 0.75), (UNLIKELY, 0.25))
    ),
    # Weights 3/4 and 1/4, divided by their mean 1/2.
    "nepg": (1.5 * LIKELY, 0.5 * UNLIKELY),
    "naepg": (1.75 / 1.5 * LIKELY, 1.25 / 1.5 * UNLIKELY),
}


@pytest.mark.parametrize("name", HAND_WORKED)
def test_hand_worked_rows(name: str) -> None:
    logits = torch.tensor([[math.log(3.0), 0.0]] * 2, dtype=torch.float64)
    assert make_objective(name)(logits, torch.eye(2).double(), 0.5).tolist() == pytest.approx(HAND_WORKED[name])


def test_rewards_of_several_actions_by_hand() -> None:
    logits = torch.tensor([[math.log(3.0), 0.0]], dtype=torch.float64)
    costs = torch.tensor([[1.0, -2.0]], dtype=torch.float64)  # expected reward 0.75 - 0.5
    assert make_objective("epg")(logits, costs, 0.0).item() == pytest.approx(-0.25)
    assert make_objective("ce")(logits, costs, 0.0).item() == pytest.approx(3 * LIKELY)  # less the worst: 3 and 0
    assert make_objective("gce:q=0.5")(logits, costs, 0.0).item() == pytest.approx(6 * (1 - math.sqrt(0.75)))


def test_epg_gradient_is_probability_times_cross_entropy_gradient(logits: Tensor, rewards: Tensor) -> None:
    probability = (logits.softmax(dim=1) * rewards).sum(dim=1, keepdim=True)
    expected = probability * gradient("ce", logits, rewards)
    torch.testing.assert_close(gradient("epg", logits, rewards), expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("q", [0.3, 0.7])
def test_gce_gradient_is_a_power_of_the_probability_times_cross_entropys(
    logits: Tensor, rewards: Tensor, q: float
) -> None:
    probability = (logits.softmax(dim=1) * rewards).sum(dim=1, keepdim=True)
    expected = probability**q * gradient("ce", logits, rewards)
    torch.testing.assert_close(gradient(f"gce:q={q}", logits, rewards), expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("progress", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("normalised", ["naepg", "naepg-geometric"])
def test_normalised_weights_have_mean_one(logits: Tensor, rewards: Tensor, normalised: str, progress: float) -> None:
    probability, alpha = (logits.softmax(dim=1) * rewards).sum(dim=1, keepdim=True), sigmoid_alpha(progress)
    weights = alpha + (1 - alpha) * probability if normalised == "naepg" else probability ** (1 - alpha)
    expected = weights / weights.mean() * gradient("ce", logits, rewards)
    torch.testing.assert_close(gradient(normalised, logits, rewards, progress), expected, rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("progress", [0.0, 0.3, 1.0])
def test_aepg_gradient_weighs_both(logits: Tensor, rewards: Tensor, progress: float) -> None:
    alpha = sigmoid_alpha(progress)
    expected = alpha * gradient("ce", logits, rewards) + (1 - alpha) * gradient("epg", logits, rewards)
    torch.testing.assert_close(gradient("aepg", logits, rewards, progress), expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(("end", "alpha"), [("ce", 1), ("epg", 0)])
def test_the_ends_of_the_mixture_are_its_parts_bit_for_bit(
    logits: Tensor, costs: Tensor, end: str, alpha: float
) -> None:
    for rows in (logits, logits.float(), logits.bfloat16()):
        targets = costs.to(rows.dtype)
        mixed, pure = (make_objective(name)(rows, targets, 0.2) for name in (f"alpha:alpha={alpha}", end))
        assert torch.equal(mixed, pure)
        assert torch.equal(gradient(f"alpha:alpha={alpha}", rows, targets), gradient(end, rows, targets))


@pytest.mark.parametrize(
    ("limit", "ordinary"),
    [
        ("focal:gamma=0", "ce"),
        ("ls:gamma=0", "ce"),
        ("cp:beta=0", "ce"),
        ("ep:beta=0", "ce"),
        ("gce:q=0", "ce"),
        ("gce:q=1", "epg"),
        ("sce:alpha=0,log_zero=-1", "epg"),
        ("alpha-0.2", "alpha:alpha=0.2"),
        ("aepg:tau=0", "alpha-0.5"),
    ],
)
def test_limits(logits: Tensor, rewards: Tensor, limit: str, ordinary: str) -> None:
    found, expected = gradient(limit, logits, rewards), gradient(ordinary, logits, rewards)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize(("progress", "alpha"), [(0.0, 0.9975), (0.5, 0.5), (1.0, 0.0025)])
def test_alpha_at_start_middle_and_end(progress: float, alpha: float) -> None:
    assert sigmoid_alpha(progress) == pytest.approx(alpha, abs=5e-5)


@pytest.mark.parametrize("progress", [-0.1, 1.1])
def test_progress_outside_the_task_is_refused(progress: float) -> None:
    with pytest.raises(ValueError, match="progress"):
        sigmoid_alpha(progress)


def sampled_gradients(logits: Tensor, rewards: Tensor, baseline: float, samples: int) -> tuple[Tensor, Tensor]:
    """REINFORCE's gradient for every sequence of actions, [sequences, A], and each one's probability."""
    policy = logits.softmax(dim=0)
    gradients, probabilities = [], []
    for actions in itertools.product(range(len(logits)), repeat=samples):
        variable = logits[None].clone().requires_grad_()
        loss = reinforce_loss(variable, rewards[None], torch.tensor([actions]), baseline).sum()
        gradients.append(torch.autograd.grad(loss, variable)[0][0])
        probabilities.append(policy[list(actions)].prod())
    return torch.stack(gradients), torch.stack(probabilities)


@pytest.mark.parametrize("samples", [1, 2])
@pytest.mark.parametrize("baseline", [0.0, 0.4])
def test_reinforce_is_epg_in_expectation_and_varies_more(
    logits: Tensor, rewards: Tensor, costs: Tensor, baseline: float, samples: int
) -> None:
    for row, returns in ((logits[0], rewards[0]), (logits[1], costs[1])):
        gradients, probabilities = sampled_gradients(row, returns, baseline, samples)
        assert probabilities.sum().item() == pytest.approx(1)
        expected = gradient("epg", row[None], returns[None])[0]
        mean = (probabilities[:, None] * gradients).sum(dim=0)
        torch.testing.assert_close(mean, expected, rtol=1e-10, atol=1e-12)
        # Given the image EPG does not vary at all; over images, total variance is that of the means plus this.
        assert (probabilities[:, None] * (gradients - expected) ** 2).sum() > 0


def test_variance_over_images_is_that_of_epg_plus_that_of_the_actions(logits: Tensor, rewards: Tensor) -> None:
    epg = gradient("epg", logits, rewards)
    moments = [sampled_gradients(row, returns, 0.0, 1) for row, returns in zip(logits, rewards, strict=True)]
    second = torch.stack([(p[:, None] * g**2).sum(dim=0) for g, p in moments]).mean(dim=0)
    variance_reinforce, variance_epg = second - epg.mean(dim=0) ** 2, epg.var(dim=0, unbiased=False)
    assert (variance_epg <= variance_reinforce).all() and (variance_epg < variance_reinforce).any()


def test_more_samples_vary_less(logits: Tensor, costs: Tensor) -> None:
    def variance(samples: int) -> float:
        gradients, probabilities = sampled_gradients(logits[0], costs[0], 0.0, samples)
        mean = (probabilities[:, None] * gradients).sum(dim=0)
        return float((probabilities[:, None] * (gradients - mean) ** 2).sum())

    assert variance(2) == pytest.approx(variance(1) / 2)


def test_the_running_mean_becomes_the_baseline(logits: Tensor, rewards: Tensor) -> None:
    # With a policy that is certain, the action is known: rewards 1 for all, then advantages of 1 - 1 = 0.
    certain = 100 * rewards
    objective = make_objective("reinforce:baseline=running-mean")
    doubtful = certain.clone().requires_grad_()
    first, second = objective(doubtful, 2 * rewards, 0.0), objective(doubtful, rewards, 0.0)
    assert first.sum() == 0  # log pi = 0
    (pull,) = torch.autograd.grad(objective(logits.requires_grad_(), torch.full_like(rewards, 1.9), 0.0).sum(), logits)
    torch.testing.assert_close(pull, torch.zeros_like(pull), rtol=0, atol=1e-12)  # 0.9 * 2 + 0.1 * 1 = 1.9
    assert second.sum() == 0


@pytest.mark.parametrize("epsilon", [1e-2, 1e-4])
def test_proposition_2_up_to_its_constant(logits: Tensor, rewards: Tensor, epsilon: float) -> None:
    """H(pi) + KL(pi || q) = -log epsilon (1 + L_EPG) where q is 1 on the label and epsilon elsewhere.

    So maximising the expected reward is minimising entropy and divergence from the labels, up to scale and constant.
    """
    log_q = (1 - rewards) * math.log(epsilon)
    policy = logits.softmax(dim=1)
    divergence = (policy * (policy.log() - log_q)).sum(dim=1)
    expected = -math.log(epsilon) * (1 + make_objective("epg")(logits, rewards, 0.0))
    torch.testing.assert_close(entropy(logits) + divergence, expected, rtol=1e-10, atol=1e-12)
    variable = logits.clone().requires_grad_()
    probabilities = variable.softmax(dim=1)
    both = entropy(variable) + (probabilities * (probabilities.log() - log_q)).sum(dim=1)
    (found,) = torch.autograd.grad(both.sum(), variable)
    torch.testing.assert_close(found, -math.log(epsilon) * gradient("epg", logits, rewards), rtol=1e-9, atol=1e-12)
