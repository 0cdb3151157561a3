"""What a process of a launcher does in `test_shards.py`; it writes its results to a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch
from torch import Tensor

from agents.parallel import exchange
from agents.parallel.processes import current, joined, launched
from agents.parallel.shards import divided


def gradient() -> tuple[Tensor, Tensor]:
    """Logits of five images, and the gradient of a loss of which one term is not divided."""
    weight = torch.arange(6, dtype=torch.float64).reshape(3, 2).requires_grad_()
    images = torch.linspace(-1, 1, 15, dtype=torch.float64).reshape(5, 3)
    logits = divided(5, lambda rows: images[rows] @ weight)
    (logits.square().mean() + weight.square().sum()).backward()
    exchange.average_gradients([weight, torch.ones(1)])
    assert weight.grad is not None
    return logits.detach(), weight.grad


def main(folder: Path) -> None:
    with joined(launched()) as processes:
        logits, gradients = gradient()
        few = divided(1, lambda rows: torch.ones(1)[rows])
        exchange.check_same("weights", [gradients])
        message = ""
        try:
            exchange.check_same("the ranks", [torch.tensor(float(processes.rank))])
        except RuntimeError as error:
            message = str(error)
        found = {
            "logits": logits.tolist(),
            "gradients": gradients.tolist(),
            "few": few.tolist(),
            "largest": exchange.largest([processes.rank, 1 - processes.rank, -processes.rank]),
            "told": exchange.from_leader(f"by {processes.rank}"),
            "message": message,
        }
        (folder / f"{processes.rank}.json").write_text(json.dumps(found))
    assert not current().several
    with joined(launched()) as processes:  # a process that has ended is an error of the other
        if processes.leads:
            sys.exit(0)
        try:
            exchange.wait_for_all()
        except ConnectionError as error:
            (folder / "lost.txt").write_text(str(error))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
