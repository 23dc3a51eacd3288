"""Treated units with and without treatment."""

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

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@checked
def counterfactual(
    estimates: Any, outcome: str = "", time_unit: str = "", width: float = 7.0, path: str | Path | None = None
) -> Figure:  # fmt: skip
    """The outcome of treated units as observed (black) and as it would have been without treatment (blue, with its interval).

    One panel a unit. A dotted line stands where treatment starts; before it both lines are one. The distance between them is the unit's
    effect.

    Parameters
    ----------
    estimates : Estimates
        ``fit.heterogeneity.counterfactual([...])``: estimands ``observed`` and ``counterfactual`` by unit and period.
    outcome : str
        Outcome and its unit, for the vertical axis.
    time_unit : str
        Name of the horizontal axis (``year``).
    width, path
        As in :func:`bayes.plots.event_study`.

    Raises
    ------
    SpecificationError
        No such rows, several for a point, or more than 40 units.
    """
    p.require_estimates(estimates, "fit.heterogeneity.counterfactual('California')")
    frame = estimates.frame[estimates.frame["estimand"].isin(["observed", "counterfactual"]) & estimates.frame["period"].notna()]
    if set(frame["estimand"]) != {"observed", "counterfactual"}:
        raise SpecificationError("No unit is observed and without treatment. Give fit.heterogeneity.counterfactual([...]).")
    d.refuse_repeated(frame, ["estimand", "unit", "period"], "Give one source.")
    units = list(dict.fromkeys(frame["unit"]))
    labels = ["observed", f"without treatment{_interval(frame)}", "treatment starts"]
    with s.style():
        figure, panels = p.small_multiples(width, units if len(units) > 1 else [str(units[0])], labels, tall=1.6)
        for axes, unit in zip(panels, units, strict=True):
            _draw(axes, frame[frame["unit"] == unit].sort_values("period"))
            p.time_axis(axes, frame["period"].to_numpy(), width / min(len(units), 3 if width > s.NARROW else 2))
        figure.supylabel(s.wrap(outcome or str(estimates.meta.get("outcome", "outcome")), 40), fontsize=8.5, color=s.INK)
        if time_unit:
            figure.supxlabel(time_unit, fontsize=8.5, color=s.INK)
        s.top_legend(figure, _handles(), labels, width)
        return s.finish(figure, path)


def _interval(frame: pd.DataFrame) -> str:
    words = s.level_words(frame)
    return f", {words} interval" if words else ""


def _draw(axes: Axes, frame: pd.DataFrame) -> None:
    observed, without = (frame[frame["estimand"] == e] for e in ("observed", "counterfactual"))
    axes.fill_between(without["period"], without["lower"], without["upper"], color=s.POSTERIOR, alpha=0.20, linewidth=0, zorder=2)
    axes.plot(without["period"], without["estimate"], color=s.POSTERIOR, linewidth=1.7, zorder=4)
    axes.plot(observed["period"], observed["estimate"], color=s.INK, linewidth=1.3, marker="o", markersize=3, zorder=5)
    after = observed[observed["event_time"] >= 0]["period"]
    if len(after):
        start = float(observed["cohort"].iloc[0])
        first = start if np.isfinite(start) else float(after.min())
        axes.axvline(first - 0.5 * _step(observed["period"].to_numpy()), color=s.MUTED, linewidth=0.9, linestyle=":", zorder=1)
    axes.locator_params(axis="y", nbins=4)
    axes.yaxis.set_major_formatter(d.plain_number)


def _step(periods: np.ndarray) -> float:
    return float(np.diff(periods).min()) if periods.size > 1 else 1.0


def _handles() -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    return [
        Line2D([], [], color=s.INK, linewidth=1.3, marker="o", markersize=3),
        (Patch(facecolor=s.POSTERIOR, alpha=0.20), Line2D([], [], color=s.POSTERIOR, linewidth=1.7)),
        Line2D([], [], color=s.MUTED, linewidth=0.9, linestyle=":"),
    ]
