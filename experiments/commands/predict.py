"""`cls-env predict`: a saved model classifies images."""

from __future__ import annotations

from pathlib import Path

import tyro

from experiments.config.settings import Device


def predict_command(
    model: tyro.conf.Positional[Path],
    images: tyro.conf.Positional[tuple[Path, ...]],
    top: int = 5,
    json: bool = False,
    csv: bool = False,
    batch_size: int = 64,
    device: Device = "auto",
    weights: Path | None = None,
    imports: tuple[str, ...] = (),
) -> None:
    """Classify images with a saved model. Each is decoded as the training images were.

    Files that are not images are left out and counted on standard error. If an image can't be decoded, the others are
    answered, and the exit code is 2.

    Args:
        model: File of the model: model.zip of a run, or a file of agent.save.
        images: Image files, folders (with their subfolders), and zip or tar archives.
        top: Number of classes to name for each image.
        json: Print a JSON list of objects.
        csv: Print CSV.
        batch_size: Number of images per batch.
        device: Device of the model. auto is an NVIDIA GPU if there is one, else the CPU.
        weights: Weights file of the backbone, if the file that the model was trained with has moved.
        imports: Your own Python modules to import first, which register parts of the model.
    """
    from cls_env.arguments import whole_number
    from experiments.config.imports import import_modules
    from experiments.saved_models.answers import answers, print_csv, print_json, print_table
    from experiments.saved_models.image_sources import Failures, find_images, pictures, unpacking
    from experiments.saved_models.open_model import open_model

    if json and csv:
        raise ValueError("--json and --csv are two forms of the same output: choose one")
    if not images:
        raise ValueError("no images are given: add image files, folders or archives after the model")
    top, batch_size = whole_number("--top", top, least=1), whole_number("--batch-size", batch_size, least=1)
    import_modules(imports)
    failures = Failures()
    with unpacking() as folder:
        sources = [find_images(path, folder) for path in images]
        agent = open_model(model, device, weights)
        found = pictures(sources, agent.file_decoding, failures)
        (print_json if json else print_csv if csv else print_table)(answers(agent, found, top, batch_size))
    failures.check()
