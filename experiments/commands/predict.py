"""`cls-env predict`: a saved model classifies images."""

from __future__ import annotations

from pathlib import Path

import tyro


def predict_command(
    model: tyro.conf.Positional[Path],
    images: tyro.conf.Positional[tuple[Path, ...]],
    top: int = 5,
    json: bool = False,
    csv: bool = False,
    batch_size: int = 64,
    device: str = "auto",
    imports: tuple[str, ...] = (),
) -> None:
    """Classify images with a saved model. Each is decoded as the training images were.

    Files that are not images are left out and counted on standard error. If an image can't be decoded, the others are
    answered, and the exit code is 2.

    Args:
        model: The model.zip of a run, or a file of agent.save.
        images: Image files, folders (with all folders in them), and zip or tar archives.
        top: The most classes for each image.
        json: Print a JSON list of objects.
        csv: Print CSV.
        batch_size: Images that pass the network at once.
        device: Where the model runs: auto, cpu or cuda; auto takes a GPU where there is one.
        imports: Python modules of your own to import first, which register parts of the model.
    """
    from agents import load_agent
    from cls_env.arguments import whole_number
    from experiments.config.validation import import_modules
    from experiments.saved_models.answers import answers, print_csv, print_json, print_table
    from experiments.saved_models.image_sources import Failures, find_images, pictures, unpacking

    if json and csv:
        raise ValueError("--json and --csv are two forms of the same output: choose one")
    if not images:
        raise ValueError("no images are given: add image files, folders or archives after the model")
    top, batch_size = whole_number("top", top, least=1), whole_number("batch_size", batch_size, least=1)
    import_modules(imports)
    failures = Failures()
    with unpacking() as folder:
        sources = [find_images(path, folder) for path in images]
        agent = load_agent(model, device=device)
        found = pictures(sources, agent.file_decoding, failures)
        (print_json if json else print_csv if csv else print_table)(answers(agent, found, top, batch_size))
    failures.check()
