"""`cls-env report`: an interactive page of finished runs."""

from __future__ import annotations

from pathlib import Path

import tyro


def report_command(folders: tyro.conf.Positional[tuple[Path, ...]], out: Path = Path("report.html")) -> None:
    """Write an interactive page of finished runs: leaderboard, curves, predictions and protocol cards.

    The page is one file that needs no network.

    Args:
        folders: Folders of runs or comparisons. Runs are found in them at any depth.
        out: File of the page.
    """
    from experiments.console import say, warn
    from experiments.report_page.collect import recorded_commands, run_folders
    from experiments.report_page.page import is_page, write_page

    if not folders:
        raise ValueError("no folders are given: cls-env report DIR, such as the folder of a comparison")
    if out.is_dir():
        raise IsADirectoryError(f"--out {out} is a folder: give the name of a file, such as {out / 'report.html'}")
    if out.is_symlink() or (out.exists() and not is_page(out)):
        raise FileExistsError(f"--out {out} is there already and is no report: give the name of another file")
    found = write_page(run_folders(folders), out, recorded_commands(folders))
    if found.left_out:
        others = f", and {len(found.left_out) - 1} more, which the page names" if len(found.left_out) > 1 else ""
        path, reason = found.left_out[0]
        warn(f"left out: {path}, which is {reason}{others}")
    say(f"report of {len(found.runs)} run{'s' * (len(found.runs) > 1)} {out}")
