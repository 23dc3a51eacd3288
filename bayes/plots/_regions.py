"""Forest plot and shrinkage plot: one line per region, cohort or other group."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes.arguments import checked
from bayes.errors import SpecificationError
from bayes.estimates import KEYS
from bayes.plots import _style as s

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@checked
def forest(
    *estimates: Any,
    by: str = "region",
    outcome: str = "",
    width: float = 7.0,
    path: str | Path | None = None,
) -> Figure:
    """Estimate and interval of every group, one line per source.

    Parameters
    ----------
    *estimates : Estimates
        Rows with the column ``by`` filled; rows without it (the overall effect) come last.
    by : {"region", "cohort", "period", "unit", "term"}
        Column that names the groups.
    outcome : str
        Outcome and its unit, for the horizontal axis.
    width, path
        As in :func:`bayes.plots.event_study`.

    Notes
    -----
    A hollow marker with a dashed interval is an estimate that the prior drives (``identified`` is False, or the note says so).
    """
    sources = s.sources_of(estimates)
    groups = _groups(sources, by)
    with s.style():
        height = 0.9 + len(groups) * max(0.34, 0.17 * len(sources)) + 0.22 * len(sources)
        figure, axes = s.canvas(width, max(height, 2.0))
        s.zero_line(axes, vertical=True)
        handles = []
        for number, (_, frame, _) in enumerate(sources):
            colour, marker = _look(number, frame)
            place = (number - (len(sources) - 1) / 2) * 0.62 / max(len(sources), 1)
            handles.append(_lines(axes, frame, groups, by, place, colour, marker))
        _group_axis(axes, sources, groups, by, outcome)
        s.top_legend(figure, handles, [_with_level(name, frame) for name, frame, _ in sources], width)
        return s.finish(figure, path)


@checked
def shrinkage(
    pooled: Any,
    unpooled: Any,
    by: str = "region",
    outcome: str = "",
    width: float = 7.0,
    path: str | Path | None = None,
) -> Figure:
    """Arrows from the estimate without pooling to the partially pooled one, with both intervals.

    Parameters
    ----------
    pooled, unpooled : Estimates
        The same rows, for example ``fit.att("region")`` and ``fit.unpooled("region")``. A group that has no estimate without pooling
        (no treated unit) is drawn from the pooled posterior alone and marked prior-driven.
    by, outcome, width, path
        As in :func:`forest`.
    """
    sources = s.sources_of((pooled, unpooled))
    if len(sources) != 2:
        raise SpecificationError(f"shrinkage needs one source on each side, got {[name for name, _, _ in sources]}.")
    (_, after, _), (_, before, _) = sources
    groups = _groups(sources, by)
    with s.style():
        figure, axes = s.canvas(width, max(1.35 + 0.46 * len(groups), 2.2))
        s.zero_line(axes, vertical=True)
        first = _lines(axes, before, groups, by, -0.17, s.PALETTE[0], "s", hollow=True)
        second = _lines(axes, after, groups, by, 0.17, s.POSTERIOR, "o")
        _arrows(axes, before, after, groups, by)
        _group_axis(axes, sources, groups, by, outcome)
        labels = [_with_level("no pooling", before), _with_level("partial pooling", after)]
        s.top_legend(figure, [first, second], labels, width)
        return s.finish(figure, path)


def _groups(sources: list[tuple[str, pd.DataFrame, Any]], by: str) -> list[Any]:
    """Group labels in the order of the first source's estimates; the overall row ("") last."""
    if by not in KEYS:
        raise SpecificationError(f"by={by!r} is not a key of estimates. Keys: {list(KEYS)}.")
    labels: dict[Any, None] = {}
    for _, frame, _ in sources:
        repeated = frame[by].duplicated() & frame[by].map(_named)
        if repeated.any():
            raise SpecificationError(
                f"{by} {frame[by][repeated].iloc[0]!r} has several rows in one source; choose one estimand and term with .where()."
            )
        ordered = frame.sort_values("estimate", ascending=False, na_position="last")
        labels.update(dict.fromkeys(label for label in ordered[by] if _named(label)))
    overall = any((~frame[by].map(_named)).any() for _, frame, _ in sources)
    if not labels:
        raise SpecificationError(f"No estimate has a {by}. Give rows by {by}, for example fit.att({by!r}).")
    return [*labels, ""] if overall else list(labels)


def _named(label: Any) -> bool:
    return label != "" and not (isinstance(label, float) and np.isnan(label))


def _look(number: int, frame: pd.DataFrame) -> tuple[str, str]:
    if number == 0 and s.is_posterior(frame):
        return s.POSTERIOR, "o"
    return s.PALETTE[(number - 1) % len(s.PALETTE)], s.MARKERS[(number - 1) % len(s.MARKERS)]


def _row(frame: pd.DataFrame, group: Any, by: str) -> pd.Series | None:
    here = frame[by].map(lambda label: not _named(label)) if group == "" else frame[by] == group
    return frame[here].iloc[0] if here.any() and pd.notna(frame[here]["estimate"].iloc[0]) else None


def _prior_driven(row: pd.Series) -> bool:
    """An average over identified cells only is shown as it is; what the data do not identify at all is not."""
    note = str(row["note"])
    return "prior-driven" in note or (not bool(row["identified"]) and "identified cells only" not in note)


def _why_empty(sources: list[tuple[str, pd.DataFrame, Any]], group: Any, by: str) -> str:
    """Words under the name of a group for which no source has an estimate."""
    notes = " ".join(note for _, frame, _ in sources for note in frame.loc[frame[by] == group, "note"].astype(str))
    return "\n(no treated unit)" if "no treated unit" in notes else "\n(not identified)"


def _lines(
    axes: Axes, frame: pd.DataFrame, groups: list[Any], by: str, place: float, colour: str, marker: str, hollow: bool = False
) -> Any:
    from matplotlib.lines import Line2D

    for position, group in enumerate(groups):
        row = _row(frame, group, by)
        if row is None:
            continue
        y, loose = position + place, _prior_driven(row)
        if pd.notna(row["lower"]):
            axes.hlines(y, row["lower"], row["upper"], color=colour, linewidth=1.6, linestyle=(0, (2, 1.5)) if loose else "-", zorder=3)
        face = "white" if hollow or loose else colour
        axes.plot([row["estimate"]], [y], marker=marker, color=colour, markerfacecolor=face, markersize=5.5, linestyle="none", zorder=5)
    return Line2D([], [], color=colour, marker=marker, markerfacecolor="white" if hollow else colour, linewidth=1.6, markersize=5.5)


def _arrows(axes: Axes, before: pd.DataFrame, after: pd.DataFrame, groups: list[Any], by: str) -> None:
    for position, group in enumerate(groups):
        start, end = _row(before, group, by), _row(after, group, by)
        if start is None or end is None:
            continue
        look = {"arrowstyle": "-|>", "color": s.INK, "linewidth": 1.0, "shrinkA": 3, "shrinkB": 3, "mutation_scale": 8}
        axes.annotate("", (end["estimate"], position + 0.17), (start["estimate"], position - 0.17), arrowprops=look, zorder=4)


def _group_axis(axes: Axes, sources: list[tuple[str, pd.DataFrame, Any]], groups: list[Any], by: str, outcome: str) -> None:
    labels = []
    for group in groups:
        name = f"all {by}s" if group == "" else f"{group:g}" if isinstance(group, float) else str(group)
        rows = [row for row in (_row(frame, group, by) for _, frame, _ in sources) if row is not None]
        why = _why_empty(sources, group, by) if not rows else "\n(prior-driven)" if any(map(_prior_driven, rows)) else ""
        labels.append(s.wrap(name, 16) + why)
    axes.set_yticks(range(len(groups)), labels)
    axes.set_ylim(len(groups) - 0.45, -0.55)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x", color=s.FAINT, linewidth=0.6, zorder=0)
    axes.set_axisbelow(True)
    axes.set_xlabel(_shown(sources, outcome))
    if groups[-1] == "" and len(groups) > 1:
        axes.axhline(len(groups) - 1.5, color=s.FAINT, linewidth=0.8, zorder=0)


def _shown(sources: list[tuple[str, pd.DataFrame, Any]], outcome: str) -> str:
    """Words for the horizontal axis: an effect, or what else the rows estimate (a weight, an index)."""
    estimands = {str(name) for _, frame, _ in sources for name in frame["estimand"]}
    if len(estimands) != 1 or (name := next(iter(estimands))).startswith("att") or not name:
        return f"effect on {outcome}" if outcome else "effect"
    return f"{name.replace('_', ' ')} ({outcome})" if outcome else name.replace("_", " ")


def _with_level(name: str, frame: pd.DataFrame) -> str:
    words = s.level_words(frame)
    return f"{name} ({words} interval)" if words else name
