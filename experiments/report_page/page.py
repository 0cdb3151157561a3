"""Put the page together: template, style, scripts and data in one file without outside parts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timezone
from functools import cache
from importlib.resources import files
from pathlib import Path

import cls_env
from cls_env.command_line.errors import ReportedError
from experiments.files import write_text
from experiments.report_page.collect import Collection, collect
from experiments.report_page.compact import script_json
from experiments.report_page.contenders import arrange
from experiments.report_page.content import Content

SCRIPTS = ("dom.js", "charts.js", "leaderboard.js", "predictions.js", "page.js")
"""The scripts of the page, in order."""


def write_page(folders: Sequence[Path], out: Path, commands: Sequence[str] = ()) -> Collection:
    """Write the report of the finished runs among some folders.

    Args:
        folders: Folders of runs. Those that do not exist yet are ignored.
        out: File of the page, replaced if it is there.
        commands: The commands that made the runs, as far as known.

    Returns:
        The runs that were found.

    Raises:
        ReportedError: None of the folders holds a finished run; nothing is written.
    """
    collection = collect(folders)
    if not collection.runs:
        reasons = "; ".join(f"{path} is {reason}" for path, reason in collection.left_out[:3])
        raise ReportedError(f"no finished run to report{f': {reasons}' if reasons else ''}")
    write_text(out, render(collection, commands))
    return collection


def is_page(file: Path) -> bool:
    """Whether a file is a report."""
    with file.open("rb") as stream:
        return b"cls-env report</title>" in stream.read(2**12)


def render(collection: Collection, commands: Sequence[str] = ()) -> str:
    """The page as HTML text."""
    from jinja2 import Environment

    settings, rows = arrange(collection.runs)
    content = Content(settings, rows)
    data = script_json(content.as_json())
    heading, lines = content.differences()
    template = Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True).from_string(asset("template.html"))
    return template.render(
        title=", ".join(dict.fromkeys(setting.name.partition(", ")[0] for setting in settings)),
        settings=settings,
        rows=rows,
        runs=collection.runs,
        left_out=collection.left_out,
        remarks=content.remarks,
        heading=heading,
        lines=lines,
        commands=commands,
        version=cls_env.__version__,
        made=datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        style=asset("page.css"),
        library=_library(),
        script="\n".join(map(asset, SCRIPTS)),
        data=data,
    )


def asset(name: str) -> str:
    """The text of a file of this package's folder `assets`."""
    return (files("experiments.report_page") / "assets" / name).read_text(encoding="utf-8")


@cache
def _library() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script."""
    from vl_convert import javascript_bundle

    return re.sub(r"</(?=script)", r"<\\/", javascript_bundle("window.vegaEmbed = vegaEmbed;"), flags=re.IGNORECASE)
