"""`cls-env evaluate`: how well a saved model classifies a folder of labeled images."""

from __future__ import annotations

from pathlib import Path

import tyro


def evaluate_command(
    model: tyro.conf.Positional[Path],
    root: Path,
    options: tuple[str, ...] = (),
    split: str = "test",
    known_only: bool = False,
    out: Path | None = None,
    batch_size: int = 64,
    device: str = "auto",
    imports: tuple[str, ...] = (),
) -> None:
    """Test a saved model on labeled images: accuracy, confusions and calibration. Classes are matched by name.

    Args:
        model: The model.zip of a run, or a file of agent.save.
        root: A folder, zip or tar of images, with a folder for each class. Without split folders all are tested on.
        options: Arguments of the loader, all after one --options: test_fraction=0.2 leaf_classes=true on_error=skip.
        split: Which images of a folder with splits: test, validation or train.
        known_only: Leave out the images of classes that the model has not learned.
        out: A folder for metrics.json, per_class.csv, confusion.csv and confusion.png.
        batch_size: Images that pass the network at once.
        device: Where the model runs: auto, cpu or cuda; auto takes a GPU where there is one.
        imports: Python modules of your own to import first, which register parts of the model.
    """
    from agents import load_agent
    from cls_env.arguments import whole_number
    from cls_env.datasets.files.load_report import report_lines
    from experiments.config.validation import import_modules
    from experiments.console import printable, say, show
    from experiments.saved_models.evaluation import evaluate_images
    from experiments.saved_models.evaluation_report import evaluation_tables, write_evaluation
    from experiments.saved_models.image_sources import unpacking
    from experiments.saved_models.labeled_images import find_labeled_images

    batch_size = whole_number("batch_size", batch_size, least=1)
    import_modules(imports)
    with unpacking() as folder:
        labeled = find_labeled_images(root, options, split, folder)
        evaluation = evaluate_images(load_agent(model, device=device), labeled, known_only, batch_size)
    for line in report_lines(labeled.report.left_out, {}):
        say(line, highlight=False)
    if missing := evaluation.untested_names:
        say(f"without images here, of the model's classes: {', '.join(map(printable, missing))}", highlight=False)
    show(*evaluation_tables(evaluation))
    if out is not None:
        write_evaluation(evaluation, {"model": model, "root": root, "split": split, "options": options}, out)
        say(f"results in {out}")
