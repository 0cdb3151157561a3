"""The measures on matrices and answers worked by hand, and beside torchmetrics."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torchmetrics.classification import MulticlassAccuracy, MulticlassCalibrationError

from experiments.runs.measures import MEASURES, definitions
from experiments.runs.metrics import (
    backward_transfer,
    expected_calibration_error,
    forward_transfer,
    negative_log_likelihood,
    plasticity,
)

NAN = np.nan
MATRIX = np.array([[0.9, NAN, NAN], [0.7, 0.8, NAN], [0.5, 0.9, 1.0]])


def test_hand_worked_matrix() -> None:
    assert backward_transfer(MATRIX) == pytest.approx(((0.5 - 0.9) + (0.9 - 0.8)) / 2)
    assert plasticity(MATRIX) == pytest.approx((0.9 + 0.8 + 1.0) / 3)
    before, fresh = np.array([0.5, 0.7, 0.2]), np.array([0.5, 0.5, 0.25])
    assert forward_transfer(before, fresh) == pytest.approx((0.2 - 0.05) / 2)


def test_a_single_task_transfers_nothing() -> None:
    one = np.array([[0.7]])
    assert backward_transfer(one) == 0 and forward_transfer(one[0], one[0]) == 0 and plasticity(one) == 0.7


def test_calibration_by_hand() -> None:
    # In the bin of 14/15 ... 1: two of 0.95, one of them right; in 6/15 ... 7/15: one of 0.45, right.
    confidence, right = np.array([0.95, 0.95, 0.45]), np.array([True, False, True])
    assert expected_calibration_error(confidence, right) == pytest.approx((2 * 0.45 + 0.55) / 3)
    assert expected_calibration_error(np.array([1.0, 1.0]), np.array([True, True])) == 0


@pytest.fixture
def answers() -> tuple[torch.Tensor, torch.Tensor]:
    random = torch.Generator().manual_seed(0)
    return 3 * torch.randn(500, 6, generator=random), torch.randint(6, (500,), generator=random)


def test_calibration_is_torchmetrics(answers: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, labels = answers
    confidence, chosen = logits.softmax(dim=1).max(dim=1)
    expected = MulticlassCalibrationError(6, n_bins=15, norm="l1")(logits.softmax(dim=1), labels)
    found = expected_calibration_error(confidence.numpy(), (chosen == labels).numpy())
    assert found == pytest.approx(expected.item(), abs=1e-6)
    accuracy = MulticlassAccuracy(6, average="micro")(logits, labels)
    assert accuracy.item() == pytest.approx((chosen == labels).float().mean().item())


def test_full_confidence_is_in_the_last_bin() -> None:
    # A right answer of 0.95 and a wrong one of 1 share the bin of 14/15 ... 1; torchmetrics parts them.
    found = expected_calibration_error(np.array([1.0, 0.95]), np.array([False, True]))
    assert found == pytest.approx(abs(1 - 1.95) / 2)


def test_likelihood_is_pytorchs(answers: tuple[torch.Tensor, torch.Tensor]) -> None:
    logits, labels = answers
    likelihood = logits.log_softmax(dim=1).gather(1, labels[:, None]).squeeze(1)
    expected = torch.nn.functional.cross_entropy(logits, labels).item()
    assert negative_log_likelihood(likelihood.numpy()) == pytest.approx(expected, rel=1e-6)


def test_every_measure_is_defined_in_words() -> None:
    words = definitions()
    assert list(words) == list(MEASURES) == [measure.name for measure in MEASURES.values()]
    assert all(text and text == text.strip() for text in words.values())
