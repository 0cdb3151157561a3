"""Specifications of the charts, by Vega-Altair. The page inserts the rows of data by name, and the colors."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from experiments.report_page.curves import COSTS

if TYPE_CHECKING:
    import altair as alt

DATA = "rows"
"""Name of the data set that the page inserts."""
HEIGHT = 260


@cache
def chart_specs() -> dict[str, Any]:
    """Vega-Lite specifications by name: accuracy (one for each cost), cost, entropy, calibration, matrix, confusion."""
    return {
        **{f"accuracy_{cost}": _accuracy(title).to_dict() for cost, title in COSTS.items()},
        "cost": _cost().to_dict(),
        "entropy": _entropy().to_dict(),
        "calibration": _calibration().to_dict(),
        "matrix": _matrix().to_dict(),
        "classes": _classes().to_dict(),
        "confusion": _confusion().to_dict(),
    }


def _base() -> alt.Chart:
    import altair as alt

    return alt.Chart(alt.NamedData(name=DATA))


def _look() -> dict[str, Any]:
    """Encodings of color and dashes by contender; the page gives both scales their names and values."""
    import altair as alt

    return {
        "color": alt.Color("contender:N", legend=None, scale=alt.Scale(domain=[], range=[])),
        "strokeDash": alt.StrokeDash("contender:N", legend=None, scale=alt.Scale(domain=[], range=[])),
    }


def _percent(field: str, title: str) -> alt.Y:
    import altair as alt

    return alt.Y(f"{field}:Q", title=title, scale=alt.Scale(zero=False, nice=True))


def _accuracy(title: str) -> alt.LayerChart:
    import altair as alt

    x = alt.X("x:Q", title=title, axis=alt.Axis(tickMinStep=1, format="~s"), scale=alt.Scale(zero=False, nice=False))
    y = _percent("mean", "accuracy on all classes seen, %")
    tooltip = [
        alt.Tooltip("contender:N"),
        alt.Tooltip("x:Q", title=title, format=","),
        alt.Tooltip("mean:Q", title="mean, %", format=".1f"),
        alt.Tooltip("low:Q", title="low", format=".1f"),
        alt.Tooltip("high:Q", title="high", format=".1f"),
    ]
    color = _look()["color"]
    band = _base().mark_area(opacity=0.14, clip=True).encode(x=x, y=_percent("low", ""), y2="high:Q", color=color)
    line = _base().mark_line(clip=True).encode(x=x, y=y, **_look())
    points = _base().mark_circle(size=36, clip=True, opacity=1).encode(x=x, y=y, color=color, tooltip=tooltip)
    return _sized(alt.layer(band, line, points))


def _cost() -> alt.LayerChart:
    import altair as alt

    x = alt.X("x:Q", title="x", axis=alt.Axis(format="~s"), scale=alt.Scale(zero=False, nice=True, padding=12))
    color = _look()["color"]
    tooltip = [alt.Tooltip(f"{name}", format=".4~g") for name in ("x:Q", "mean:Q", "low:Q", "high:Q")]
    bar = _base().mark_rule(clip=True).encode(x=x, y=_percent("low", "y"), y2="high:Q", color=color)
    points = (
        _base()
        .mark_circle(size=80, opacity=1)
        .encode(x=x, y=_percent("mean", "y"), color=color, tooltip=[alt.Tooltip("contender:N"), *tooltip])
    )
    return _sized(alt.layer(bar, points))


def _entropy() -> alt.Chart:
    import altair as alt

    return _sized(
        _base()
        .mark_line(clip=True, strokeWidth=1.4)
        .encode(
            x=alt.X(
                "x:Q",
                title="task, from its first to its last gradient step",
                axis=alt.Axis(tickMinStep=1, format="d"),
                scale=alt.Scale(nice=False),
            ),
            y=alt.Y("entropy:Q", title="output entropy, nats", scale=alt.Scale(zero=True, nice=True)),
            detail="task:N",
            tooltip=[alt.Tooltip("contender:N"), alt.Tooltip("task:Q"), alt.Tooltip("entropy:Q", format=".3f")],
            **_look(),
        )
    )


def _calibration() -> alt.LayerChart:
    import altair as alt

    axis: dict[str, Any] = {"scale": alt.Scale(domain=[0, 100])}
    diagonal = (
        alt.Chart(alt.InlineData([{"x": 0, "y": 0}, {"x": 100, "y": 100}]))
        .mark_line(strokeDash=[4, 4], color="#888")
        .encode(x=alt.X("x:Q", title="confidence, %", **axis), y=alt.Y("y:Q", title="accuracy, %", **axis))
    )
    x, y = alt.X("confidence:Q", title="confidence, %", **axis), alt.Y("accuracy:Q", title="accuracy, %", **axis)
    tooltip = ["contender:N", alt.Tooltip("confidence:Q", format=".1f"), alt.Tooltip("accuracy:Q", format=".1f")]
    line = _base().mark_line().encode(x=x, y=y, **_look())
    points = (
        _base()
        .mark_circle(size=30, opacity=1)
        .encode(x=x, y=y, color=_look()["color"], tooltip=[*tooltip, alt.Tooltip("images:Q")])
    )
    return _sized(alt.layer(diagonal, line, points))


def _matrix() -> alt.LayerChart:
    import altair as alt

    x = alt.X("tested:O", title="tested on task", axis=alt.Axis(labelAngle=0))
    y = alt.Y("after:O", title="after task")
    cells = (
        _base()
        .mark_rect()
        .encode(
            x=x,
            y=y,
            color=alt.Color("value:Q", legend=None, scale=alt.Scale(scheme="viridis", domain=[0, 100])),
            tooltip=["after:O", "tested:O", alt.Tooltip("value:Q", format=".1f")],
        )
    )
    text = (
        _base()
        .transform_filter("datum.written")
        .mark_text(fontSize=11)
        .encode(
            x=x,
            y=y,
            text=alt.Text("value:Q", format=".0f"),
            color=alt.condition("datum.dark", alt.value("white"), alt.value("black")),
        )
    )
    return _sized(alt.layer(cells, text), 220)


def _classes() -> alt.LayerChart:
    import altair as alt

    x = alt.X("name:N", title=None, sort=None, axis=alt.Axis(labelAngle=-90, labelLimit=110, labelOverlap=True))
    tooltip = [alt.Tooltip("name:N", title="class"), alt.Tooltip("mean:Q", title="accuracy, %", format=".1f")]
    bars = (
        _base()
        .mark_bar()
        .encode(
            x=x,
            y=alt.Y("mean:Q", title="accuracy, %", scale=alt.Scale(domain=[0, 100])),
            color=_look()["color"],
            tooltip=[*tooltip, alt.Tooltip("images:Q", title="test images of a run")],
        )
    )
    reach = _base().mark_rule(opacity=0.7).encode(x=x, y="low:Q", y2="high:Q")
    return _sized(alt.layer(bars, reach), 240)


def _confusion() -> alt.LayerChart:
    import altair as alt

    def axis(field: str, title: str) -> dict[str, Any]:
        scale = alt.Scale(domain=[0, 1], nice=False)
        return {
            "shorthand": f"{field}:Q",
            "title": title,
            "scale": scale,
            "axis": alt.Axis(labels=False, ticks=False, grid=False),
        }

    cells = (
        _base()
        .mark_rect(clip=True)
        .encode(
            x=alt.X(**axis("x", "chosen class")),
            x2="x2:Q",
            y=alt.Y(**axis("y", "true class")),
            y2="y2:Q",
            color=alt.Color("share:Q", title="% of the class", scale=alt.Scale(scheme="viridis", domain=[0, 100])),
            tooltip=[
                alt.Tooltip("label:N", title="true class"),
                alt.Tooltip("chosen:N", title="chosen class"),
                alt.Tooltip("count:Q", title="images"),
                alt.Tooltip("share:Q", title="% of the class", format=".1f"),
            ],
        )
    )
    bounds = alt.Chart(alt.NamedData(name="bounds"))
    across = bounds.mark_rule(color="#d95f02", strokeWidth=1).encode(y="across:Q")
    down = bounds.mark_rule(color="#d95f02", strokeWidth=1).encode(x="down:Q")
    return _sized(alt.layer(cells, across, down), 420)


def _sized(chart: Any, height: int = HEIGHT) -> Any:
    return chart.properties(width="container", height=height)
