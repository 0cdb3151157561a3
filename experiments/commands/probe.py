"""`cls-env probe`: which backbone knows a dataset."""

from __future__ import annotations

from experiments.config.probing import ProbeConfig


def probe_command(config: ProbeConfig) -> None:
    """Compare pretrained backbones, without training them: nearest neighbors and a linear classifier on their features.

    Args:
        config: What to compare.
    """
    from dataclasses import asdict

    import pandas as pd
    from rich.table import Table

    from experiments.comparisons.backbone_warnings import warn_of_backbone
    from experiments.config.entry import Entry
    from experiments.config.validation import check
    from experiments.console import say, show
    from experiments.files import write_text
    from experiments.probing.probe import probe

    if config.out is not None and config.out.is_dir():
        raise ValueError(f"--out {config.out} is a folder: name a file")
    checked = [check(run) for run in config.runs()]
    warn_of_backbone([Entry("", "", run.config) for run in checked])
    probes = [probe(run, config.crops) for run in checked]
    title = f"frozen features of {checked[0].config.data_name}"
    views = [f"linear, crops from {crop:.0%}" for crop in config.crops]
    table = Table("backbone", "input", "parameters", "1-NN accuracy", "linear accuracy", *views, title=title)
    for each in probes:
        crops = [f"{accuracy:.1%}" for accuracy in each.linear_on_crops.values()]
        name, size = " = ".join(filter(None, (each.model, each.weights))), f"{each.input_size} px"
        table.add_row(name, size, f"{each.parameters:,}", f"{each.nearest_neighbor:.1%}", f"{each.linear:.1%}", *crops)
    show(table)
    if config.out is not None:
        write_text(config.out, pd.json_normalize(list(map(asdict, probes)), sep="_").to_csv(index=False))
        say(f"table in {config.out}")
