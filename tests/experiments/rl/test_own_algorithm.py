"""A value algorithm of another library, in one file of a user's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from experiments.__main__ import main
from experiments.rl.algorithms import ALGORITHMS

QR_DQN = """
from sb3_contrib import QRDQN
from sb3_contrib.qrdqn.policies import QRDQNPolicy, QuantileNetwork

from agents.sb3.policies import TaskPolicyMixin, ValueNetwork
from experiments.rl.algorithms import ALGORITHMS, Algorithm


class TaskQuantileNetwork(ValueNetwork, QuantileNetwork):
    def heads(self):
        return (self.quantile_net[-1],)

    def scores_of(self, features):
        return self.quantile_net(features).view(len(features), self.n_quantiles, -1).mean(dim=1)


class ViTQuantilePolicy(TaskPolicyMixin, QRDQNPolicy):
    def task_networks(self):
        return self.quantile_net, self.quantile_net_target

    def make_quantile_net(self):
        return TaskQuantileNetwork(**self._update_features_extractor(self.net_args)).to(self.device)


ALGORITHMS["qr-dqn"] = Algorithm(
    QRDQN, "QR-DQN of sb3-contrib", ALGORITHMS["dqn"].arguments, outputs_policy=False,
    policy=ViTQuantilePolicy, policy_arguments={"n_quantiles": 8},
)
"""
SMALL = "--options num_classes=4 train_per_class=8 test_per_class=4 --num-tasks 2 --batch-size 8 --epochs 3 --seeds 0"


@pytest.mark.slow
def test_qr_dqn_takes_thirty_lines_in_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("sb3_contrib")
    assert len(QR_DQN.strip().splitlines()) <= 30
    (tmp_path / "my_qr_dqn.py").write_text(QR_DQN)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")  # for the processes of the runs
    words = f"--imports my_qr_dqn --algorithms qr-dqn {SMALL} --tests-per-task 1 --gradient-draws 2 --workers 1"
    measures = ["--measures", "final_accuracy", "gradient_steps"]
    try:
        assert main(["rl", *words.split(), "--device", "cpu", "--out", str(tmp_path / "out"), *measures]) == 0
    finally:
        ALGORITHMS.pop("qr-dqn", None)
    printed = capsys.readouterr().out
    assert "QR-DQN" in printed and "gradient steps, k" in printed and "regret %" not in printed
    for folder in (tmp_path / "out" / "runs").glob("*qr-dqn*"):
        metrics = json.loads((folder / "metrics.json").read_text())
        assert metrics["gradient_steps"] == 12 and 0 <= metrics["final_accuracy"] <= 1
        assert metrics["test_entropy"] is None
        break
    else:
        pytest.fail("no run of QR-DQN")
