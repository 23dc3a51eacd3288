"""Productivity change and its parts: by region as points, over time as lines with bands."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes.arguments import checked
from bayes.errors import SpecificationError
from bayes.plots import _dots as d
from bayes.plots import _panels as p
from bayes.plots import _style as s
from bayes.validation import one_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PARTS = {
    "tc": "technical change", "ec": "efficiency change", "ptec": "pure efficiency change", "sec": "scale change",
    "total": "total productivity",
}  # fmt: skip
_TOTALS = ("tfpc", "malmquist")
_LOOKS = {
    "tc": (s.PALETTE[1], (0, (4, 1.5))),
    "ec": (s.PALETTE[0], (0, (1.2, 1.2))),
    "ptec": (s.PALETTE[4], (0, (2.5, 1, 1, 1))),
    "sec": (s.PALETTE[2], (0, (5, 1, 1, 1))),
}
"""Colour and dashes of the parts beside total productivity, which is drawn in full with its band."""
Source = tuple[str, pd.DataFrame]


@checked
def productivity(
    *estimates: Any,
    time_unit: str = "periods",
    part: str | None = None,
    scale: str | None = None,
    width: float = 7.0,
    path: str | Path | None = None,
) -> Figure:
    """Technical, efficiency, scale and total factor productivity change.

    Parameters
    ----------
    *estimates : Estimates
        ``fit.productivity(by)`` of a frontier or ``bayes.measure.malmquist(...)``. Without periods (``region``, ``unit``, ``all``): a
        panel a part and a row a group, sources beside each other. With periods, cumulated or not: a panel a region (or one for all); one
        source shows the parts as lines and the interval of the total as a band, several (Malmquist and a frontier) show one part each.
    time_unit : str
        What one period is (``years``).
    part : "total", "tc", "ec", "ptec" or "sec", optional
        Only this part. By default all parts; the total where several sources are drawn over time. A Malmquist index is TC × EC with
        EC = PTEC × SEC; a frontier's total is TC × EC × SEC.
    scale : "percent" or "index", optional
        ``percent``: 100 × (index − 1), 0 is no change. ``index``: a logarithmic axis on which 1 is no change; the default where there is a
        Malmquist index.
    width, path
        As in :func:`bayes.plots.event_study`.

    Raises
    ------
    SpecificationError
        No row of ``malmquist``, ``tfpc``, ``tc``, ``ec``, ``ptec`` or ``sec``; unknown words; several rows for a point; yearly and
        cumulative changes together; or more than 40 panels.
    """
    for name, value, words in (("part", part, tuple(PARTS)), ("scale", scale, ("percent", "index"))):
        if value is not None:
            one_of(name, value, words)
    given = s.sources_of(estimates)
    several = len(given) > 1 and any(frame["period"].notna().any() for _, frame, _ in given)
    sources = [(name, _parts_of(frame, part or ("total" if several else None))) for name, frame, _ in given]
    for name, frame in sources:
        if frame.empty:
            wanted = f"the part {part!r} of an index" if part else "a total index" if several else "an index"
            raise SpecificationError(
                f"No row is {wanted} of productivity (malmquist, tfpc, tc, ec, ptec, sec) among those of {name!r}. "
                "Give fit.productivity('region') or bayes.measure.malmquist(...)."
            )
    every = pd.concat([frame for _, frame in sources], ignore_index=True)
    by = "unit" if (every["unit"] != "").any() else "region"
    for _, frame in sources:
        d.refuse_repeated(frame, ["estimand", by, "period"], "Give one source, and either yearly or cumulative changes.")
    if len(set(every["variant"] == "cumulative")) > 1:
        raise SpecificationError("Yearly and cumulative changes cannot share an axis: give one of them, .where(variant='cumulative').")
    as_index = scale == "index" if scale else any((frame["estimand"] == "malmquist").any() for _, frame, _ in given)
    with s.style():
        draw = _over_time if every["period"].notna().any() else _by_group
        return s.finish(draw(sources, every, by, time_unit, as_index, width), path)


def _parts_of(frame: pd.DataFrame, part: str | None) -> pd.DataFrame:
    """Rows of the indices, the total under one name whatever its source calls it."""
    out = frame.assign(estimand=frame["estimand"].replace(dict.fromkeys(_TOTALS, "total")))
    return out[out["estimand"].isin(list(PARTS) if part is None else [part])]


def _by_group(sources: list[Source], every: pd.DataFrame, by: str, time_unit: str, as_index: bool, width: float) -> Figure:
    overall = (every[by] == "").any()
    named = [(name, frame.assign(**{by: frame[by].replace("", "all")})) for name, frame in sources]
    groups = d.groups_of([frame[frame["estimand"] == "total"] for _, frame in named] + [frame for _, frame in named], by)
    if overall:
        groups = [*(g for g in groups if g != "all"), "all"]
    parts = [part for part in PARTS if part in set(every["estimand"])]
    figure, axes = d.panel_grid(width, len(parts), groups, len(sources), most=4 if len(parts) != 5 else 3)
    transform = {} if as_index else {"scale": 100.0, "shift": 1.0}
    for panel, part in zip(axes, parts, strict=True):
        handles = d.dots(panel, [(name, frame[frame["estimand"] == part]) for name, frame in named], groups, by, **transform)
        panel.set_title(PARTS[part], loc="left", fontsize=8.5, pad=3)
    limits = np.array([panel.get_xlim() for panel in axes])  # one range, so that the parts can be compared by eye
    pad = 0.04 * (limits[:, 1].max() - limits[:, 0].min())  # a panel's own margin is thin where its points lie together
    low, high = limits[:, 0].min() - pad, limits[:, 1].max() + pad
    for panel in axes:
        panel.set_xlim((min(low, 0.995), max(high, 1.005)) if as_index else (low, high))
        if as_index:
            p.index_axis(panel, "x")
        else:
            s.zero_line(panel, vertical=True)
    figure.supxlabel(f"{_units(every, time_unit, as_index)}{_levels(every)}", fontsize=8.5, color=s.INK)
    if len(sources) > 1:
        s.top_legend(figure, handles, [name for name, _ in sources], width)
    return figure


def _over_time(sources: list[Source], every: pd.DataFrame, by: str, time_unit: str, as_index: bool, width: float) -> Figure:
    groups = list(dict.fromkeys(every[by]))
    lines = _lines_of(sources)
    handles, labels = _legend(sources, lines)
    if every["estimate"].isna().any():
        handles, labels = [*handles, p.missing_handle()], [*labels, p.missing_words(every)]
    figure, axes = p.small_multiples(width, groups, labels)
    columns = min(len(groups), 3 if width > s.NARROW else 2)
    for panel, group in zip(axes, groups, strict=True):
        if not as_index:
            s.zero_line(panel)
        for frame, colour, dashes, with_band in lines:
            _line(panel, frame[frame[by] == group].sort_values("period"), colour, dashes, with_band, as_index)
        panel.locator_params(axis="y", nbins=5)
        panel.yaxis.set_major_formatter(d.plain_number)
        p.time_axis(panel, every["period"].dropna().to_numpy(), width / columns)
    if as_index:
        for panel in axes:
            p.index_axis(panel, "y")
    beside_legend = figure.get_figheight() - 2 * p.legend_height(labels, width) - 0.1  # the label is centred on the whole figure
    words = [part for part in (_units(every, time_unit, as_index), _levels(every).strip()) if part]
    most = int(beside_legend / 0.074)
    shown = " ".join(words) if len(" ".join(words)) <= most else "\n".join(s.wrap(part, most) for part in words)
    figure.supylabel(shown, fontsize=8.5, color=s.INK)
    s.top_legend(figure, handles, labels, width)
    return figure


def _lines_of(sources: list[Source]) -> list[tuple[pd.DataFrame, str, Any, bool]]:
    """Rows, colour, dashes and whether there is a band, of each line: parts of one source, or one part of each of several."""
    if len(sources) > 1:
        return [(frame, d.look(k)[0], _dashes(k), True) for k, (_, frame) in enumerate(sources)]
    frame = sources[0][1]
    present = set(frame["estimand"])
    first = "total" if "total" in present else next(part for part in PARTS if part in present)
    out = [(frame[frame["estimand"] == first], s.POSTERIOR, "-", True)]
    return out + [(frame[frame["estimand"] == part], *look, False) for part, look in _LOOKS.items() if part in present - {first}]


def _dashes(number: int) -> Any:
    return ("-", (0, (5, 1.5)), (0, (1.2, 1.2)), (0, (5, 1, 1, 1)))[number % 4]


def _line(axes: Axes, frame: pd.DataFrame, colour: str, dashes: Any, with_band: bool, as_index: bool) -> None:
    x, middle, low, high = (frame[column].to_numpy(dtype=float) for column in ("period", "estimate", "lower", "upper"))
    if not as_index:
        middle, low, high = (100 * (v - 1) for v in (middle, low, high))
    if with_band and np.isfinite(low).any():
        axes.fill_between(x, low, high, color=colour, alpha=0.2, linewidth=0, zorder=2)
    axes.plot(x, middle, color=colour, linestyle=dashes, linewidth=1.8 if with_band else 1.4, zorder=5 if with_band else 4)
    single = p.alone(middle)
    axes.plot(x[single], middle[single], color=colour, marker="o", markersize=3.5, linestyle="none", zorder=5)
    if with_band and (lost := ~np.isfinite(middle)).any():
        p.mark_missing(axes, x[lost])


def _legend(sources: list[Source], lines: list[tuple[pd.DataFrame, str, Any, bool]]) -> tuple[list[Any], list[str]]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = []
    for frame, colour, dashes, with_band in lines:
        line = Line2D([], [], color=colour, linestyle=dashes, linewidth=1.8 if with_band else 1.5)
        banded = with_band and np.isfinite(frame["lower"].to_numpy(dtype=float)).any()
        handles.append((Patch(facecolor=colour, alpha=0.2), line) if banded else line)
    parts = [PARTS[frame["estimand"].iloc[0]] for frame, *_ in lines]
    if len(sources) == 1:
        return handles, parts
    return handles, [f"{name}: {part}" for (name, _), part in zip(sources, parts, strict=True)]


def _units(frame: pd.DataFrame, time_unit: str, as_index: bool) -> str:
    one = time_unit.removesuffix("s") or time_unit
    if not (frame["variant"] == "cumulative").any():
        return f"index per {one}, 1 = no change" if as_index else f"% per {one}"
    start = frame["period"].min()
    first = frame.loc[frame["period"] == start, "estimate"].dropna()
    since = f"since {start:g}" if np.allclose(first, 1) else f"since the {one} before {start:g}"
    return f"cumulative index, 1 = no change {since}" if as_index else f"% {since}"


def _levels(frame: pd.DataFrame) -> str:
    words = s.level_words(frame[frame["lower"].notna()])
    return f" ({words} intervals)" if words else ""
