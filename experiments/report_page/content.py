"""What the page shows of some runs, as JSON for its script."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, TypeVar

from cls_env import TaskStream
from cls_env.command_line.errors import one_line
from experiments.report_page.answers import Answers, class_accuracies, complete, confusions, task_boundaries
from experiments.report_page.charts import chart_specs
from experiments.report_page.collect import Run
from experiments.report_page.colors import BACKGROUNDS, readable
from experiments.report_page.compact import finite
from experiments.report_page.contenders import FILTERS, OF_SETTING, Row, Setting, differing, filter_value, shown
from experiments.report_page.curves import COSTS, calibration, cost_curves, entropy_curve, matrices, task_curve
from experiments.report_page.images import ImagesMissingError, Pictures, stream_key, stream_of
from experiments.report_page.leaderboard import measure_entry, measures_of, pairs, summaries
from experiments.report_page.samples import error_pictures, sample_pictures
from experiments.reports.colors import LINES, looks
from experiments.reports.display_names import id_of
from experiments.runs.measure import Measure

DASHES = dict(zip(LINES, ([1, 0], [6, 4], [2, 3], [6, 3, 2, 3], [8, 2, 2, 2, 2, 2]), strict=True))
"""Vega's line dashes for the line styles of figures."""
NO_PICTURES: dict[str, Any] = {"stream": None, "confusion": [], "errors": [], "samples": None}
"""Entries of a row without predictions."""
NOT_SAVED = "cls-env rl does not save predictions."
UNREADABLE = "These runs have no readable predictions."
"""Why a row has none."""
Part = TypeVar("Part")


class Content:
    """The content of a page.

    Attributes:
        rows: The rows of the leaderboard.
        settings: Their settings.
        remarks: What could not be shown, a line each.
    """

    def __init__(self, settings: Sequence[Setting], rows: Sequence[Row]) -> None:
        self.settings, self.rows = settings, rows
        self.remarks: list[str] = []
        self._pictures = Pictures()
        self._streams: dict[str, int] = {}
        self._stream_entries: list[dict[str, Any]] = []
        self._images: list[TaskStream | None] = []

    def as_json(self) -> dict[str, Any]:
        """Everything that the script shows."""
        measures = measures_of(run for row in self.rows for run in row.runs)
        contenders = {row.contender: row.label for row in self.rows}
        places = {name: place for place, name in enumerate(contenders)}
        rows = [self._row(row, places[row.contender], measures) for row in self.rows]
        return {
            "measures": [measure_entry(measure) for measure in measures],
            "settings": [setting.name for setting in self.settings],
            "contenders": _contender_entries(contenders),
            "baseline": _baseline(list(contenders.values())),
            "filters": self.filters,
            "rows": rows,
            "pairs": self._pairs(measures),
            "streams": self._stream_entries,
            "pictures": self._pictures.embedded,
            "specs": chart_specs(),
            "costs": COSTS,
            "cards": [_card(run) for row in self.rows for run in row.runs],
        }

    def differences(self) -> tuple[list[str], list[list[str]]]:
        """Heading and lines of the table of what differs between the rows."""
        names = differing([row.entries for row in self.rows])
        lines = [[row.contender, *(shown(row.entries.get(name)) for name in names)] for row in self.rows]
        return ["contender", *(name.replace("_", " ") for name in names)], lines

    @cached_property
    def filters(self) -> list[dict[str, Any]]:
        """The entries in which rows differ, those of `FILTERS` first, with their values in order."""
        entries = [row.entries for row in self.rows]
        apart = differing(entries)
        if {"root", "noise_matrix"} & set(apart):
            apart = [*apart, "dataset", "label_noise"]
        names = [name for name in FILTERS if name in apart]
        names += sorted(
            set(apart) - set(FILTERS) - {"root", "noise_matrix"}, key=lambda name: (name not in OF_SETTING, name)
        )
        found = []
        for name in names:
            values = list(dict.fromkeys(filter_value(name, each) for each in entries))
            if len(values) > 1:
                found.append({"name": name, "title": FILTERS.get(name, name.replace("_", " ")), "values": values})
        return found

    def _pairs(self, measures: Sequence[Measure]) -> dict[str, dict[str, list[Any]]]:
        merged: dict[str, dict[str, list[Any]]] = {measure.name: {} for measure in measures}
        for setting in range(len(self.settings)):
            here = {index: row for index, row in enumerate(self.rows) if row.setting == setting}
            for name, found in pairs(here, measures).items():
                merged[name] |= found
        return merged

    def _row(self, row: Row, contender: int, measures: Sequence[Measure]) -> dict[str, Any]:
        tests = self._tests(row.runs)
        shown = self._part(lambda: self._pictures_of(*tests[0])) if tests else None
        return {
            "setting": row.setting,
            "contender": contender,
            "seeds": [run.seed for run in row.runs],
            "filters": {each["name"]: filter_value(each["name"], row.entries) for each in self.filters},
            "stats": summaries(row, measures),
            "accuracy": {"tasks": task_curve(row)} | (self._part(lambda: cost_curves(row)) or {}),
            "entropy": self._part(lambda: entropy_curve(row)) or [],
            "matrices": matrices(row),
            "calibration": calibration([answers for _, answers in tests]) if tests else [],
            "classes": class_accuracies(tests),
            "tested": [run.seed for run, _ in tests],
            "untested": NOT_SAVED if row.runs[0].of_rl else UNREADABLE,
            **(shown or NO_PICTURES),
        }

    def _pictures_of(self, run: Run, answers: Answers) -> dict[str, Any]:
        """What the page shows of the predictions of one run, with pictures if its images are there."""
        index, stream = self._stream(run)
        samples = self._part(lambda: sample_pictures(run, stream, self._pictures))
        examples = self._stream_entries[index]["examples"]
        if samples is not None and stream is not None:
            for label in {label for *_, chosen in samples["images"] for label in chosen}:
                examples[label] = self._pictures.class_image(stream, label)
        return {
            "stream": index,
            "confusion": confusions(answers),
            "errors": error_pictures(answers, stream, self._pictures),
            "samples": samples,
        }

    def _tests(self, runs: Iterable[Run]) -> list[tuple[Run, Answers]]:
        """The runs that have predictions after the last task, with these."""
        found: list[tuple[Run, Answers]] = []
        for run in runs:
            if run.folder.has_predictions(run.last_test):
                answers = self._part(partial(_last_answers, run))
                found += [(run, answers)] if answers is not None else []
        return found

    def _part(self, make: Callable[[], Part]) -> Part | None:
        """A part of the page; where a file can't be read, a remark and None."""
        try:
            return make()
        except (ValueError, KeyError, IndexError, TypeError, OSError) as error:
            self._remark(one_line(error))
            return None

    def _remark(self, text: str) -> None:
        if text not in self.remarks:
            self.remarks.append(text)

    def _stream(self, run: Run) -> tuple[int, TaskStream | None]:
        """Index of the stream of a run, and the stream if its images are there and the page has room for more."""
        key = stream_key(run)
        if key not in self._streams:
            self._streams[key] = len(self._images)
            self._stream_entries.append({"classes": run.class_names, "bounds": task_boundaries(run), "examples": {}})
            self._images.append(None)
        index = self._streams[key]
        self._images[index] = self._images[index] or self._images_of(run)
        stream = self._images[index]
        if stream is not None and self._pictures.full:
            self._remark("the page has no room for the pictures of all runs: give fewer runs to see theirs")
            return index, None
        return index, stream

    def _images_of(self, run: Run) -> TaskStream | None:
        try:
            return stream_of(run)
        except ImagesMissingError as error:
            self._remark(f"no pictures of {run.folder.path.name}: {error}")
            return None


def _baseline(labels: Sequence[str]) -> int:
    """The contender to which differences are at first: the first with cross-entropy, else with EPG, else the first."""
    ids = [id_of(label) for label in labels]
    return next((ids.index(wanted) for wanted in ("ce", "epg") if wanted in ids), 0)


def _contender_entries(contenders: Mapping[str, str]) -> list[dict[str, Any]]:
    """Name, ids of method and objective, line style and colors of each contender, by their labels."""
    found = looks(contenders.values())
    return [
        {
            "name": name,
            "id": label.partition(", ")[0],
            "dash": DASHES[found[label].line],
            **{scheme: readable(found[label].color, scheme) for scheme in BACKGROUNDS},
        }
        for name, label in contenders.items()
    ]


def _last_answers(run: Run) -> Answers:
    return complete(run.folder.read_predictions(run.last_test))


def _card(run: Run) -> dict[str, Any]:
    """The protocol card of a run, without the definitions of measures, which the page has once."""
    kept = {name: value for name, value in run.card.items() if name != "metrics"}
    return {"name": run.folder.path.name, "path": str(run.folder.path), "card": finite(kept)}
