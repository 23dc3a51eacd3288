"""Elasticities and returns to scale by region, sources side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bayes.arguments import checked
from bayes.errors import SpecificationError
from bayes.plots import _dots as d
from bayes.plots import _style as s

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_SCALE = "returns_to_scale"
_RATIOS = {_SCALE: "returns to scale", "technology_gap_ratio": "technology-gap ratio", "meta_efficiency": "meta-efficiency"}
"""Estimands that are panels of their own, marked at 1; the others are panels by term, marked at 0."""


@checked
def elasticities(*estimates: Any, by: str = "region", width: float = 7.0, path: str | Path | None = None) -> Figure:
    """A panel for each input (and one for returns to scale), a row for each region, a marker for each source.

    Parameters
    ----------
    *estimates : Estimates
        ``fit.elasticities()``, ``fit.returns_to_scale()``, ``fit.technology_gap()``, and the same of maximum likelihood; each source is one
        colour. Rows without the column ``by`` are left out.
    by : "region" or "unit"
    width, path
        As in :func:`bayes.plots.event_study`.

    Raises
    ------
    SpecificationError
        No row has the column ``by``, or a source gives a point twice.
    """
    if by not in ("region", "unit"):
        raise SpecificationError(f"by={by!r} does not exist. Choose 'region' or 'unit'.")
    joined: dict[str, list[pd.DataFrame]] = {}
    for name, frame, _ in s.sources_of(estimates):
        joined.setdefault(name, []).append(_with_panel(frame, by))
    sources = [(name, pd.concat(frames)) for name, frames in joined.items()]
    for _, frame in sources:
        d.refuse_repeated(frame, ["panel", by], "Choose one aggregation with .where().")
    panels = list(dict.fromkeys(panel for _, frame in sources for panel in frame["panel"]))
    names = [str(group) for group in sorted({group for _, frame in sources for group in frame[by]})]
    if not names:
        raise SpecificationError(f"No estimate has a {by}: give rows by {by}.")
    with s.style():
        figure, axes = d.panel_grid(width, len(panels), names, len(sources))
        for axis, panel in zip(axes, panels, strict=True):
            axis.axvline(1 if panel in _RATIOS.values() else 0, color=s.MUTED, linewidth=0.9, zorder=1)
            handles = d.dots(axis, [(name, frame[frame["panel"] == panel]) for name, frame in sources], names, by)
            axis.set_title(panel, loc="left", fontsize=8.5, pad=3)
        figure.supxlabel(_axis_words(sources), fontsize=8.5, color=s.INK)
        if len(sources) > 1:
            s.top_legend(figure, handles, [name for name, _ in sources], width)
        return s.finish(figure, path)


def _with_panel(frame: pd.DataFrame, by: str) -> pd.DataFrame:
    frame = frame[frame[by] != ""]
    return frame.assign(panel=[_RATIOS.get(row.estimand, str(row.term)) for row in frame[["estimand", "term"]].itertuples()])


def _axis_words(sources: list[tuple[str, pd.DataFrame]]) -> str:
    levels = s.level_words(pd.concat([frame for _, frame in sources]))
    what = "elasticity" if any((frame["estimand"] == "elasticity").any() for _, frame in sources) else "ratio"
    return f"{what} ({levels} intervals)" if levels else what
