"""Placebo estimates with the actual one among them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes.arguments import checked
from bayes.errors import SpecificationError
from bayes.plots import _style as s

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_TERMS = 12


@checked
def placebo(test: Any, statistic: str = "estimate", outcome: str = "", width: float = 7.0, path: str | Path | None = None) -> Figure:
    """Where the actual effect lies among those of fake treatment dates.

    Permuted dates: the density of the placebo estimates (grey, each refit a tick below) and the actual one (blue line), a panel for each
    term, with the number of refits and the p-value in words. Earlier dates: estimates with 95 % intervals, the true dates first.

    Parameters
    ----------
    test : PlaceboTest
        Of :meth:`bayes.did.fit.DiDFit.placebo`.
    statistic : "estimate" or "studentised"
        What is compared where dates are permuted.
    outcome : str
        Outcome and its unit, for the horizontal axis.
    width, path
        As in :func:`bayes.plots.event_study`.

    Raises
    ------
    SpecificationError
        An unknown statistic; nothing to draw; more than twelve terms.
    """
    s.require("test", test, ("kind", "statistics", "p_values"), "what fit.placebo() returns")
    if test.kind == "dates":
        return _earlier_dates(test, outcome, width, path)
    actual, fake = test.statistics(statistic)
    p, frame = test.p_values(statistic), test.actual.frame
    shown = [t for t in range(actual.size) if np.isfinite(actual[t]) and np.isfinite(fake[:, t]).sum() > 1]
    if not shown or len(shown) > _MOST_TERMS:
        raise SpecificationError(f"{len(shown)} terms with placebo estimates: one to {_MOST_TERMS} can be drawn. Choose another by=.")
    columns = 1 if len(shown) == 1 else min(len(shown), 3 if width > s.NARROW else 1)
    rows = -(-len(shown) // columns)
    with s.style():
        figure, axes = s.canvas(width, 0.55 + (2.5 if len(shown) == 1 else 1.75) * rows, rows, columns, squeeze=False)
        for panel, t in zip(axes.flat, shown, strict=False):
            _density(panel, actual[t], fake[:, t])
            found = int(np.isfinite(fake[:, t]).sum())
            lines = [_name(frame.iloc[t]), f"two-sided p = {_p(p.two_sided.iloc[t], test.n)}"]
            lines += [f"{found} refits gave an estimate"] if found < test.n else []
            panel.set_title("\n".join(line for line in lines if line), loc="left", fontsize=9, pad=4)
        for panel in axes.flat[len(shown) :]:
            panel.set_axis_off()
        figure.supxlabel(s.wrap(_axis(test, statistic, outcome), int(width * 12)), fontsize=9)
        s.top_legend(figure, _handles(), ["fake dates", "true dates"], width)
        return s.finish(figure, path)


def _density(axes: Axes, actual: float, fake: np.ndarray) -> None:
    from bayes.plots._distributions import _kernel_density

    fake = fake[np.isfinite(fake)]
    low, high = min(fake.min(), actual), max(fake.max(), actual)
    edge = 0.08 * (high - low or 1.0)
    grid = np.linspace(low - edge, high + edge, 240)
    density = _kernel_density(fake, grid, False)
    axes.fill_between(grid, density, color=s.FAINT, linewidth=0, zorder=2)
    axes.plot(grid, density, color=s.MUTED, linewidth=1.0, zorder=3)
    top = density.max() if density.max() > 0 else 1.0
    axes.vlines(fake, -0.07 * top, -0.02 * top, color=s.MUTED, linewidth=0.5, alpha=0.6, zorder=2)
    axes.axvline(actual, color=s.POSTERIOR, linewidth=2.0, zorder=5)
    s.zero_line(axes, vertical=True)
    axes.set_yticks([])
    axes.set_ylim(-0.09 * top, 1.08 * top)
    axes.set_xlim(grid[0], grid[-1])
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=5)


def _handles() -> list[Any]:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    return [Patch(facecolor=s.FAINT, edgecolor=s.MUTED), Line2D([], [], color=s.POSTERIOR, linewidth=2.0)]


def _p(value: float, n: int) -> str:
    """As many digits as so many refits can tell apart."""
    return f"{value:.{max(2, len(str(n)))}f}"


def _name(row: Any) -> str:
    """What tells one term from the others."""
    parts = [str(row["region"])] if row["region"] else []
    parts += [f"{word} {row[c]:g}" for c, word in (("cohort", "cohort"), ("period", "in"), ("event_time", "e =")) if np.isfinite(row[c])]
    return ", ".join(parts)


def _axis(test: Any, statistic: str, outcome: str) -> str:
    words = {"all": "over all units", "region": "within regions"}[test.meta["within"]]
    who = " among never-treated units" if test.meta["among"] == "never-treated" else ""
    what = "average effect" if statistic == "estimate" else "average effect in posterior standard deviations"
    return f"{what}{' on ' + outcome if outcome else ''}; {test.n} refits with dates permuted {words}{who}"


def _earlier_dates(test: Any, outcome: str, width: float, path: str | Path | None) -> Figure:
    both = test.actual.frame, test.placebo.frame
    rows = [row for frame in both for _, row in frame.iterrows() if np.isfinite(row.estimate)]
    if not rows or len(rows) > 3 * _MOST_TERMS:
        raise SpecificationError(f"{len(rows)} estimates: one to {3 * _MOST_TERMS} can be drawn. Choose another by= or fewer shifts.")
    characters = 24 if width > s.NARROW else 18
    names = [s.wrap(": ".join(filter(None, [_name(row), row.variant or "true dates"])), characters) for row in rows]
    height = 0.16 * max(name.count("\n") for name in names) + 0.32
    with s.style():
        figure, axes = s.canvas(width, 0.9 + height * len(rows))
        for y, row in enumerate(rows):
            colour = s.MUTED if row.variant else s.POSTERIOR
            axes.hlines(y, row.lower, row.upper, color=colour, linewidth=1.6, zorder=3)
            axes.plot(row.estimate, y, marker="o", markersize=5, color=colour, linestyle="none", zorder=4)
        s.zero_line(axes, vertical=True)
        axes.set_yticks(np.arange(len(rows)), names)
        axes.set_ylim(len(rows) - 0.5, -0.5)
        axes.tick_params(axis="y", length=0)
        axes.locator_params(axis="x", nbins=6 if width > s.NARROW else 4)
        axes.spines["left"].set_visible(False)
        axes.set_xlabel(s.wrap(f"average effect{' on ' + outcome if outcome else ''}, 95 % intervals", int(width * 9)))
        return s.finish(figure, path)
