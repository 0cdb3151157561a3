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

    from experiments.console import say, show
    from experiments.files import write_text
    from experiments.probing.probe import probe

    probes = [probe(run) for run in config.runs()]
    title = f"frozen features of {config.dataset}"
    table = Table("backbone", "parameters", "1-NN accuracy", "linear accuracy", title=title)
    for each in probes:
        table.add_row(each.model, f"{each.parameters:,}", f"{each.nearest_neighbor:.1%}", f"{each.linear:.1%}")
    show(table)
    if config.out is not None:
        write_text(config.out, pd.DataFrame(map(asdict, probes)).to_csv(index=False))
        say(f"table in {config.out}")
