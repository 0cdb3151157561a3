"""Notes of a run for the model card of its agent."""

from __future__ import annotations

from agents.checkpoint.card import CardNotes
from experiments.config.resolved import ResolvedRun
from experiments.config.typed_options import run_command_line
from experiments.runs.metrics import Matrix, accuracy_curve


def card_notes(run: ResolvedRun, matrix: Matrix) -> CardNotes:
    """Data, measures so far, and the command of a run.

    Args:
        run: The run.
        matrix: Accuracy on each task after each task so far, shape (t, T).
    """
    config, stream, done = run.config, run.stream, len(matrix)
    return {
        "Data": {
            "dataset": config.data_name,
            "scenario": config.scenario,
            "training images": sum(len(task.train_indices) for task in stream.tasks[:done]),
            "test images": sum(len(task.test_indices) for task in stream.tasks[:done]),
        },
        "Settings": {"epochs": config.epochs, "augmented": run.augments, "seed of the run": config.seed},
        "Measures": {
            "accuracy on all classes seen, after each task": [f"{value:.1%}" for value in accuracy_curve(matrix)],
            "accuracy on each task, after the last task": [f"{value:.1%}" for value in matrix[-1, :done]],
        },
        "Command": f"```\n{run_command_line(config)}\n```",
    }
