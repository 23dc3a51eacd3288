"""Sensitivity to violations of parallel trends: intervals against how large a violation is allowed."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes.arguments import checked
from bayes.did.sensitivity import Sensitivity
from bayes.did.trend_violations import read_variant
from bayes.errors import SpecificationError
from bayes.estimates import KEYS, Estimates
from bayes.plots import _dots as d
from bayes.plots import _style as s

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_UNITS = {
    "second-difference violations": "M (1 = size learned from the leads or chosen)",
    "ar1 violations": "M (1 = size learned from the leads or chosen)",
    "relative magnitudes": "M (multiples of the largest change before treatment)",
    "smoothness": "M (change of slope per period, in units of the outcome)",
}
_TITLES = {
    "second-difference violations": "drifting trends",
    "ar1 violations": "passing shocks (AR 1)",
}


@dataclass(frozen=True)
class _Panel:
    """One restriction: intervals at chosen M, and the curve with its breakdown value or the ordinary interval under parallel trends."""

    restriction: str
    points: pd.DataFrame
    title: str
    curve: pd.DataFrame | None = None
    breakdown: float | None = None
    ordinary: pd.DataFrame | None = None


@checked
def sensitivity(*results: Any, outcome: str = "", width: float = 7.0, path: str | Path | None = None) -> Figure:
    """An effect's interval against the size of violations of parallel trends, one panel a restriction, with one axis of effects.

    Parameters
    ----------
    *results : Sensitivity or Estimates
        ``fit.sensitivity(…)``, ``bayes.event_study_sensitivity(…)`` and ``bayes.baselines.honest_did(…)``, each of one effect (choose with
        ``.where(…)``). M means something else in each panel; its axis says what.
    outcome : str
        Outcome and its unit, for the vertical axis.
    width : float
        Inches; 7 for a page, 3.8 for a phone.
    path : str or Path, optional
        File to save; the suffix chooses the format.

    Returns
    -------
    Figure
        Band and line along the whole curve with the asked M as points, and the breakdown value (the smallest M at which the sign is less
        certain than the analysis asks for) as a dashed line; frequentist intervals as bars, empty where no value exists.

    Raises
    ------
    SpecificationError
        Anything else, no row with an M, or several effects.
    """
    panels = [panel for result in results for panel in _panels(result)]
    if not panels:
        raise SpecificationError("Nothing to plot: give fit.sensitivity(…) or bayes.baselines.honest_did(…).")
    with s.style():
        columns = min(len(panels), 2 if width > s.NARROW else 1)
        lines = -(-len(panels) // columns)
        figure, axes = s.canvas(width, 0.35 + 2.55 * lines, lines, columns, squeeze=False, sharey=True)
        for spare in axes.flat[len(panels) :]:
            spare.set_axis_off()
        for axis, panel in zip(axes.flat, panels, strict=False):
            _draw(axis, panel, width / columns)
        low, high = _reach(panels)
        axes[0, 0].set_ylim(low, high)
        for first in axes[:, 0]:
            first.set_ylabel(s.wrap(f"effect on {outcome}" if outcome else "effect", 28))
        return s.finish(figure, path)


def _panels(result: Any) -> list[_Panel]:
    if isinstance(result, Sensitivity):
        if len(result.breakdown) != 1:
            raise SpecificationError(f"{len(result.breakdown)} effects in one panel: choose one, for example .where(event_time=0).")
        curve = _with_multiples(result.curve.frame)
        restriction = str(curve["restriction"].iloc[0])
        points = _with_multiples(result.estimates.frame)
        given = (points["interval"] == "normal").any() or (curve["interval"] == "normal").any()
        title = f"{'Given event study' if given else 'Bayes'}: {_TITLES[restriction]}"
        return [_Panel(restriction, points, title, curve, float(result.breakdown["breakdown"].iloc[0]))]
    if not isinstance(result, Estimates):
        raise SpecificationError(f"Expected a sensitivity analysis, for example fit.sensitivity(), got {type(result).__name__}.")
    frame = _with_multiples(result.frame)
    found = []
    for restriction, rows in frame.groupby("restriction", sort=False):
        keys = rows[[k for k in KEYS if k != "variant"] + ["source"]].drop_duplicates()
        if len(keys) > 1:
            raise SpecificationError(f"{len(keys)} effects under {restriction}: choose one with .where(…).")
        ordinary = result.frame[result.frame["variant"] == f"{restriction}, parallel trends"]
        found.append(_Panel(str(restriction), rows, f"HonestDiD: {restriction}", ordinary=ordinary))
    if not found:
        raise SpecificationError("No estimate has an M in its variant: give fit.sensitivity(…) or bayes.baselines.honest_did(…).")
    return found


def _with_multiples(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that have an M, with columns restriction and multiple, in order of M."""
    read = [read_variant(str(v)) for v in frame["variant"]]
    kept = frame[[r is not None for r in read]]
    words = [r for r in read if r is not None]
    return kept.assign(restriction=[w for w, _ in words], multiple=[m for _, m in words]).sort_values("multiple", kind="stable")


def _draw(axes: Axes, panel: _Panel, width: float) -> None:
    colour = s.POSTERIOR if panel.curve is not None else s.PALETTE[0]
    s.zero_line(axes)
    if panel.curve is not None:
        # A given study's own interval at M = 0 leaves its leads unused; the band begins beside it.
        band = panel.curve[panel.curve["interval"].str.contains("posterior")]
        x = band["multiple"].to_numpy()
        axes.fill_between(x, band["lower"], band["upper"], color=colour, alpha=0.2, linewidth=0, zorder=2)
        axes.plot(x, band["estimate"], color=colour, linewidth=1.6, zorder=3)
    known = panel.points[["lower", "upper"]].notna().all(axis=1)
    shown = panel.points[known]
    axes.vlines(shown["multiple"], shown["lower"], shown["upper"], color=colour, linewidth=1.6, zorder=4)
    if panel.curve is not None:
        axes.plot(shown["multiple"], shown["estimate"], marker="o", linestyle="none", color=colour, markersize=4.5, zorder=5)
    last = float(panel.points["multiple"].max())
    margin = 0.06 * max(last, 1e-9)
    axes.set_xlim(-2 * margin, last + margin)
    if panel.ordinary is not None:
        axes.vlines(np.full(len(panel.ordinary), -margin), panel.ordinary["lower"], panel.ordinary["upper"], color=s.MUTED, linewidth=1.6)
    _mark_breakdown(axes, panel, last)
    axes.set_title(s.wrap(panel.title, int(13 * width)), loc="left", fontsize=9, pad=16)
    level = s.level_words(shown)
    axes.text(0, 1.02, f"{level} intervals{_words(panel)}", transform=axes.transAxes, fontsize=8, color=s.MUTED, va="bottom")
    axes.set_xlabel(s.wrap(_UNITS.get(panel.restriction, "M"), int(11 * width) - 4))
    axes.locator_params(axis="x", nbins=5)
    axes.xaxis.set_major_formatter(d.plain_number)
    axes.yaxis.set_major_formatter(d.plain_number)
    axes.tick_params(labelleft=True)


def _mark_breakdown(axes: Axes, panel: _Panel, last: float) -> None:
    if panel.breakdown is not None and 0 < panel.breakdown <= last:
        axes.axvline(panel.breakdown, color=s.INK, linewidth=1.0, linestyle=(0, (4, 3)), zorder=4)


def _words(panel: _Panel) -> str:
    """What stands above a panel about its breakdown value, or about its grey bar."""
    value = panel.breakdown
    if value is None:
        return "; grey: parallel trends"
    if np.isnan(value):
        return "; effect not identified" if panel.points["estimate"].isna().all() else ""
    if np.isinf(value):
        return "; no breakdown"
    if value == 0:
        return "; sign uncertain at M = 0"
    return f"; breakdown at M = {value:.2f}"


def _reach(panels: list[_Panel]) -> tuple[float, float]:
    """Limits of the effects that show every interval and zero."""
    frames = [f for p in panels for f in (p.points, p.curve, p.ordinary) if f is not None]
    bounds = np.concatenate([f[["lower", "upper"]].to_numpy(dtype=float).ravel() for f in frames])
    bounds = bounds[np.isfinite(bounds)]
    low, high = min(bounds.min(initial=0.0), 0.0), max(bounds.max(initial=0.0), 0.0)
    room = 0.06 * max(high - low, 1e-12)
    return low - room, high + room
