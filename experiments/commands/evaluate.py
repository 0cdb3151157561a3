"""`cls-env evaluate`: how well a saved model classifies a folder of labeled images."""

from __future__ import annotations

from pathlib import Path

import tyro

from experiments.config.settings import Device


def evaluate_command(
    model: tyro.conf.Positional[Path],
    root: Path,
    options: tuple[str, ...] = (),
    split: str = "test",
    known_only: bool = False,
    out: Path | None = None,
    batch_size: int = 64,
    device: Device = "auto",
    weights: Path | None = None,
    imports: tuple[str, ...] = (),
) -> None:
    """Test a saved model on labeled images: accuracy, confusions and calibration. Classes are matched by name.

    Args:
        model: File of the model: model.zip of a run, or a file of agent.save.
        root: Folder, zip or tar of images with a folder for each class. Without split folders, all images are used.
        options: Further arguments of the folder's loader, such as: --options leaf_classes=true on_error=skip
        split: Split to use, if there are split folders: test, validation or train.
        known_only: Leave out the images of classes that the model has not learned.
        out: Folder to write metrics.json, per_class.csv, confusion.csv and confusion.png to.
        batch_size: Number of images per batch.
        device: Device of the model. auto is an NVIDIA GPU if there is one, else the CPU.
        weights: Weights file of the backbone, if the file that the model was trained with has moved.
        imports: Your own Python modules to import first, which register parts of the model.
    """
    from cls_env.arguments import whole_number
    from cls_env.command_line.printable import printable
    from cls_env.datasets.files.load_report import report_lines
    from experiments.config.imports import import_modules
    from experiments.console import say, show
    from experiments.saved_models.evaluation import evaluate_images
    from experiments.saved_models.evaluation_report import evaluation_tables, write_evaluation
    from experiments.saved_models.image_sources import unpacking
    from experiments.saved_models.labeled_images import find_labeled_images
    from experiments.saved_models.open_model import open_model

    batch_size = whole_number("--batch-size", batch_size, least=1)
    import_modules(imports)
    with unpacking() as folder:
        labeled = find_labeled_images(root, options, split, folder)
        evaluation = evaluate_images(open_model(model, device, weights), labeled, known_only, batch_size)
    for line in report_lines(labeled.report.left_out, {}):
        say(line, highlight=False)
    if missing := evaluation.untested_names:
        say(f"without images here, of the model's classes: {', '.join(map(printable, missing))}", highlight=False)
    show(*evaluation_tables(evaluation))
    if out is not None:
        write_evaluation(evaluation, {"model": model, "root": root, "split": split, "options": options}, out)
        say(f"results in {out}")
