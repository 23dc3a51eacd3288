"""The event-study figure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes.arguments import checked
from bayes.did.leads import joint_band
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.plots import _style as s

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@checked
def event_study(
    *estimates: Any,
    outcome: str = "",
    time_unit: str = "periods",
    joint: bool = False,
    width: float = 7.0,
    path: str | Path | None = None,
) -> Figure:
    """Effects by time since treatment: posterior band(s) with the other estimators beside them.

    Parameters
    ----------
    *estimates : Estimates
        Rows with ``event_time`` (for example ``fit.att("event")`` and the baselines). Rows of a single region or cohort are left out.
        Posterior sources are drawn as bands, all others as points with their own intervals, moved sideways so that none hides another.
    outcome : str
        Outcome and its unit, for the vertical axis.
    time_unit : str
        What one step of event time is (``years``).
    joint : bool
        Draw around each posterior band a lighter one that holds all its event times at once (:func:`bayes.did.leads.joint_band`).
    width : float
        Inches; 7 for a page, 3.8 for a phone.
    path : str or Path, optional
        File to save; the suffix chooses the format.

    Raises
    ------
    SpecificationError
        No row has an event time; a joint band is asked for and no source has draws.
    """
    sources = [(name, _with_joint_band(frame, draws, joint)) for name, frame, draws in s.sources_of(estimates)]
    sources = [(name, frame) for name, frame in sources if len(frame)]
    if not sources:
        raise SpecificationError("No estimate has an event time. Give rows by event time, for example fit.att('event').")
    if joint and not any("joint_lower" in frame for _, frame in sources):
        raise SpecificationError("joint=True needs posterior draws: give fit.att('event').")
    with s.style():
        figure, axes = s.canvas(width, 3.6 if width > s.NARROW else 3.9)
        times = np.unique(np.concatenate([frame["event_time"].to_numpy() for _, frame in sources]))
        _mark_leads(axes, times)
        s.zero_line(axes)
        handles, labels = _draw(axes, sources)
        handles.append(
            axes.plot([-1], [0], marker="o", color="white", markeredgecolor=s.INK, linestyle="none", markersize=5.5, zorder=6)[0]
        )
        labels.append("reference period −1")
        _label_axes(axes, times, outcome, time_unit)
        levels = s.level_words(pd.concat([frame for _, frame in sources]))
        words = f"{levels} intervals{', lighter: joint band' if joint else ''}" if levels else ""
        axes.set_title(words, loc="right", fontsize=8, color=s.MUTED, pad=2)
        s.top_legend(figure, handles, labels, width)
        return s.finish(figure, path)


def _overall_by_event_time(frame: pd.DataFrame) -> pd.DataFrame:
    keep = frame["event_time"].notna() & (frame["region"] == "") & frame["cohort"].isna() & frame["estimate"].notna()
    return frame[keep].sort_values("event_time")


def _with_joint_band(frame: pd.DataFrame, draws: np.ndarray | None, joint: bool) -> pd.DataFrame:
    """Rows by event time, with columns joint_lower and joint_upper when a joint band is asked for and there are draws."""
    kept = _overall_by_event_time(frame)
    if not joint or draws is None or kept.empty:
        return kept
    band = joint_band(Estimates(kept, draws[kept.index.to_numpy()]), float(kept["level"].iloc[0])).frame
    return kept.assign(joint_lower=band["lower"], joint_upper=band["upper"])


def _mark_leads(axes: Axes, times: np.ndarray) -> None:
    """Shade the periods before treatment: there the truth is zero if trends are parallel."""
    if times.min() < -0.5:
        axes.axvspan(times.min() - 0.6, -0.5, color=s.WASH, zorder=0, linewidth=0)
        axes.text(0.0, 1.01, "before treatment", transform=axes.transAxes, color=s.MUTED, fontsize=8, va="bottom")
    axes.set_xlim(times.min() - 0.6, times.max() + 0.6)


def _draw(axes: Axes, sources: list[tuple[str, pd.DataFrame]]) -> tuple[list[Any], list[str]]:
    handles, labels, colours = [], [], iter(s.PALETTE * 3)
    others = [name for name, frame in sources if not s.is_posterior(frame)]
    offsets = dict(zip(others, _offsets(len(others)), strict=True))
    for position, (name, frame) in enumerate(sources):
        if s.is_posterior(frame):
            colour = s.POSTERIOR if position == 0 else next(colours)
            handles.append(_band(axes, frame, colour))
        else:
            number = others.index(name)
            handles.append(_points(axes, frame, offsets[name], next(colours), s.MARKERS[number % len(s.MARKERS)]))
        labels.append(name)
    return handles, labels


def _offsets(count: int) -> np.ndarray:
    """Sideways places of the baselines, alternating around the posterior's own place, within ± 0.36 of a period."""
    if count == 0:
        return np.empty(0)
    step = min(0.14, 0.72 / (count + 1))
    return np.array([(1 if k % 2 == 0 else -1) * step * (k // 2 + 1) for k in range(count)])


def _band(axes: Axes, frame: pd.DataFrame, colour: str) -> Any:
    """Band and line on each side of the reference period; the two sides are not joined through it."""
    for side in (frame[frame["event_time"] < -1], frame[frame["event_time"] > -1]):
        x = side["event_time"].to_numpy()
        if "joint_lower" in side:
            axes.fill_between(x, side["joint_lower"], side["joint_upper"], color=colour, alpha=0.10, linewidth=0, zorder=1.5)
        axes.fill_between(x, side["lower"], side["upper"], color=colour, alpha=0.20, linewidth=0, zorder=2)
        axes.plot(x, side["estimate"], color=colour, linewidth=1.8, marker="o", markersize=4.5, zorder=5)
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    return (Patch(facecolor=colour, alpha=0.20), Line2D([], [], color=colour, linewidth=1.8, marker="o", markersize=4.5))


def _points(axes: Axes, frame: pd.DataFrame, offset: float, colour: str, marker: str) -> Any:
    x, y = frame["event_time"].to_numpy() + offset, frame["estimate"].to_numpy()
    known = frame[["lower", "upper"]].notna().all(axis=1).to_numpy()
    axes.vlines(
        x[known], frame["lower"].to_numpy()[known], frame["upper"].to_numpy()[known], color=colour, linewidth=1.0, alpha=0.75, zorder=3
    )
    return axes.plot(x, y, marker=marker, linestyle="none", color=colour, markersize=3.8, zorder=4)[0]


def _label_axes(axes: Axes, times: np.ndarray, outcome: str, time_unit: str) -> None:
    axes.set_xlabel(f"{time_unit} since treatment (0 = first treated)")
    axes.set_ylabel(s.wrap(f"effect on {outcome}" if outcome else "effect", 30))
    span = times.max() - times.min()
    step = 1 if span <= (20 if axes.figure.get_figwidth() > s.NARROW else 8) else 2 if span <= 20 else 5
    axes.set_xticks(np.arange(np.ceil(times.min() / step) * step, times.max() + 1, step))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0f}".replace("-", "−"))
