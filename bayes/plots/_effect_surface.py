"""The region × event surface of effects: one small event study a region, beside the path over all."""

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
def effect_surface(
    estimates: Any, overall: Any = None, outcome: str = "", time_unit: str = "periods", width: float = 7.0, path: str | Path | None = None
) -> Figure:
    """Effects by region and time since treatment: a panel a region with shared axes, the path over all regions in grey.

    Parameters
    ----------
    estimates : Estimates
        ``fit.att("region:event")``, one source. Points that are not identified are left out; a cross at the foot marks their event time.
    overall : Estimates, optional
        ``fit.att("event")``: the same line in every panel.
    outcome, time_unit
        As in :func:`bayes.plots.event_study`.
    width, path
        As in :func:`bayes.plots.event_study`.

    Raises
    ------
    SpecificationError
        No row has a region and an event time, several for a point, or more than 40 regions.
    """
    p.require_estimates(estimates, 'fit.att("region:event")')
    frame = estimates.frame[(estimates.frame["region"] != "") & estimates.frame["event_time"].notna()]
    if frame.empty:
        raise SpecificationError('No row has a region and an event time. Give fit.att("region:event").')
    d.refuse_repeated(frame, ["region", "event_time"], "Give one source and estimand.")
    regions = list(dict.fromkeys(frame["region"]))
    labels = [f"effect in the region{_interval(frame)}"] + (["all regions"] if overall is not None else [])
    with s.style():
        figure, panels = p.small_multiples(width, regions, labels, tall=1.6)
        for axes, region in zip(panels, regions, strict=True):
            if overall is not None:
                _line(axes, overall.frame[overall.frame["event_time"].notna() & (overall.frame["region"] == "")], s.MUTED, band=False)
            own = frame[frame["region"] == region].sort_values("event_time")
            _line(axes, own[own["estimate"].notna()], s.POSTERIOR, band=True)
            if own["estimate"].isna().any():
                p.mark_missing(axes, own.loc[own["estimate"].isna(), "event_time"].to_numpy())
            s.zero_line(axes)
            if (frame["event_time"] < 0).any():
                axes.axvspan(frame["event_time"].min() - 0.5, -0.5, color=s.WASH, zorder=0, linewidth=0)
            p.time_axis(axes, frame["event_time"].to_numpy(), width / min(len(regions), 3 if width > s.NARROW else 2))
            axes.xaxis.set_major_formatter(d.plain_number)
            axes.locator_params(axis="y", nbins=4)
            axes.yaxis.set_major_formatter(d.plain_number)
        figure.supxlabel(f"{time_unit} since treatment (0 = first treated)", fontsize=8.5, color=s.INK)
        figure.supylabel(s.wrap(f"effect on {outcome}" if outcome else "effect", 40), fontsize=8.5, color=s.INK)
        s.top_legend(figure, _handles(overall is not None), labels, width)
        return s.finish(figure, path)


def _interval(frame: pd.DataFrame) -> str:
    words = s.level_words(frame)
    return f", {words} interval" if words else ""


def _line(axes: Axes, frame: pd.DataFrame, colour: str, band: bool) -> None:
    """Line (and band) on each side of the reference period; the two sides are not joined through it."""
    frame = frame.sort_values("event_time")
    for side in (frame[frame["event_time"] < -1], frame[frame["event_time"] > -1]):
        x = side["event_time"].to_numpy()
        if band:
            low, high = side["lower"].to_numpy(), side["upper"].to_numpy()
            axes.fill_between(x, low, high, color=colour, alpha=0.20, linewidth=0, zorder=2)
            single = p.alone(np.where(np.isfinite(low), low, np.nan)) if x.size == 1 else np.zeros(x.size, dtype=bool)
            axes.vlines(x[single], low[single], high[single], color=colour, alpha=0.35, linewidth=4, zorder=2)
        axes.plot(x, side["estimate"], color=colour, linewidth=1.6 if band else 1.0, marker="o" if band else None, markersize=3, zorder=4)


def _handles(with_overall: bool) -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    own = (Patch(facecolor=s.POSTERIOR, alpha=0.20), Line2D([], [], color=s.POSTERIOR, linewidth=1.6, marker="o", markersize=3))
    return [own] + ([Line2D([], [], color=s.MUTED, linewidth=1.0)] if with_overall else [])
