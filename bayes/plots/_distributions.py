"""Prior beside posterior, and the posterior predictive check."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes.arguments import checked
from bayes.errors import SpecificationError
from bayes.plots import _style as s

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@checked
def prior_posterior(
    fit: Any,
    parameters: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    width: float = 7.0,
    path: str | Path | None = None,
) -> Figure:
    """Prior (grey) and posterior (blue) density of each scalar parameter, with their overlap.

    Parameters
    ----------
    fit : DiDFit or mapping
        A fit whose tree has the groups ``prior`` and ``posterior``; or ``{"prior": {name: draws}, "posterior": {name: draws}}``.
    parameters : sequence of str, optional
        Names to show; by default every scalar that is in both groups.
    labels : mapping, optional
        Words, with units, for the axis under each panel.
    width, path
        As in :func:`bayes.plots.event_study`.

    Notes
    -----
    The overlap is the area under the lower of the two curves: 1 means that the data said nothing about the parameter. Each axis shows the
    posterior and twice its width on either side, not the whole prior.
    """
    prior, posterior = scalar_draws(fit, "prior"), scalar_draws(fit, "posterior")
    names = list(parameters) if parameters is not None else [name for name in posterior if name in prior]
    missing = [name for name in names if name not in prior or name not in posterior]
    if missing or not names:
        raise SpecificationError(
            f"No prior and posterior draws of {missing or 'any parameter'}. Scalars in both: {sorted(set(prior) & set(posterior))}."
        )
    columns = min(len(names), 4 if width > s.NARROW else 2)
    rows = -(-len(names) // columns)
    with s.style():
        figure, axes = s.canvas(width, 0.45 + 1.5 * rows, rows, columns, squeeze=False)
        for panel, name in zip(axes.flat, names, strict=False):
            _density_panel(panel, prior[name], posterior[name], (labels or {}).get(name, name.replace("_", " ")), width / columns)
        for panel in axes.flat[len(names) :]:
            panel.set_axis_off()
        _density_legend(figure, width)
        return s.finish(figure, path)


def scalar_draws(fit: Any, group: str) -> dict[str, np.ndarray]:
    """Draws of the scalar parameters of one group, chains joined. Empty when the fit has no such group."""
    if isinstance(fit, Mapping):
        if not isinstance(fit.get(group, {}), Mapping):
            raise SpecificationError(f"fit[{group!r}] must be a mapping of names to draws, got {type(fit[group]).__name__}.")
        return {name: s.numbers(name, draws).ravel() for name, draws in fit.get(group, {}).items()}
    s.require("fit", fit, ("tree",), "a fit, or a mapping of names to draws")
    if group not in fit.tree.children:
        return {}
    found = fit.tree[group].dataset.data_vars
    return {name: array.to_numpy().ravel() for name, array in found.items() if set(array.dims) <= {"chain", "draw"}}


def overlap(prior: np.ndarray, posterior: np.ndarray, points: int = 400) -> float:
    """Area under the lower of two densities, between 0 (apart) and 1 (the same). Kernel estimates on a common grid."""
    grid, first, second = _densities(prior, posterior, points, window=False)
    return float(np.clip(np.trapezoid(np.minimum(first, second), grid), 0, 1))


def _densities(
    prior: np.ndarray, posterior: np.ndarray, points: int = 140, window: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    prior, posterior = prior[np.isfinite(prior)], posterior[np.isfinite(posterior)]
    low, high = min(prior.min(), posterior.min()), max(prior.max(), posterior.max())
    positive = low >= 0
    if window:  # a wide prior would squeeze the posterior into a spike: show the posterior and twice its width on either side
        left, right = np.quantile(posterior, [0.002, 0.998])
        low, high = max(low, left - 2 * (right - left)), min(high, right + 2 * (right - left))
    grid = np.linspace(0.0 if positive and low < 0.25 * high else low, high, points)
    return grid, _kernel_density(prior, grid, positive), _kernel_density(posterior, grid, positive)


def _kernel_density(draws: np.ndarray, grid: np.ndarray, positive: bool) -> np.ndarray:
    """Gaussian kernel density on 512 bins (a direct sum over draws takes a hundred times longer); at a bound of zero the mass is reflected,
    or a half-normal would look as if it fell to zero there."""
    spread = min(draws.std(), np.subtract(*np.quantile(draws, [0.75, 0.25])) / 1.349)
    bandwidth = 0.9 * (spread if spread > 0 else draws.std()) * draws.size**-0.2
    if not bandwidth > 0:
        return np.zeros_like(grid)
    low, high = np.quantile(draws, [0.0005, 0.9995]) + np.array([-4, 4]) * bandwidth  # bins as fine as the bulk needs
    counts, edges = np.histogram(draws, bins=512, range=(low, high))
    step = edges[1] - edges[0]
    reach = int(np.ceil(4 * bandwidth / step))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) * step / bandwidth) ** 2)
    density = np.convolve(counts, kernel / kernel.sum(), mode="full")[reach:-reach] / (draws.size * step)
    middles = (edges[1:] + edges[:-1]) / 2
    found = np.interp(grid, middles, density, left=0.0, right=0.0)
    return found + np.interp(-grid, middles, density, left=0.0, right=0.0) if positive else found


def _density_panel(axes: Axes, prior: np.ndarray, posterior: np.ndarray, label: str, width: float) -> None:
    grid, before, after = _densities(prior, posterior)
    axes.fill_between(grid, before, color=s.FAINT, linewidth=0, zorder=2)
    axes.plot(grid, before, color=s.MUTED, linewidth=1.0, zorder=3)
    axes.fill_between(grid, after, color=s.POSTERIOR, alpha=0.25, linewidth=0, zorder=4)
    axes.plot(grid, after, color=s.POSTERIOR, linewidth=1.6, zorder=5)
    axes.set_yticks([])
    axes.set_ylim(bottom=0)
    axes.spines["left"].set_visible(False)
    axes.locator_params(axis="x", nbins=4)
    axes.set_xlabel(s.wrap(label, int(width * 11)), fontsize=8.5)
    axes.set_title(f"overlap {overlap(prior, posterior):.2f}", fontsize=8, color=s.MUTED, loc="right", pad=2)


def _density_legend(figure: Figure, width: float) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(facecolor=s.FAINT, edgecolor=s.MUTED), Patch(facecolor=s.POSTERIOR, alpha=0.4, edgecolor=s.POSTERIOR)]
    s.top_legend(figure, handles, ["prior", "posterior"], width)


@checked
def predictive_check(check: Any, outcome: str = "", width: float = 7.0, path: str | Path | None = None) -> Figure:
    """Observed outcome against data sets replicated from the posterior: densities, and where each test statistic falls.

    Parameters
    ----------
    check : PredictiveCheck
        With ``observed`` (rows,), ``replicated`` (draws, rows) and ``table()``: statistic, observed, mean, lower, upper, p_value.
    outcome : str
        Outcome and its unit, for the horizontal axis.
    width, path
        As in :func:`bayes.plots.event_study`.
    """
    s.require("check", check, ("observed", "replicated", "table"), "what fit.predictive_check() returns")
    wide = width > s.NARROW
    table = check.table()
    with s.style():
        height = 3.0 if wide else 4.6 + 0.1 * len(table)
        shape = {"rows": 1, "columns": 2, "width_ratios": [1.15, 1]} if wide else {"rows": 2, "columns": 1}
        figure, (left, right) = s.canvas(width, height, **shape)
        handles = _replicated_densities(left, np.asarray(check.observed), np.asarray(check.replicated), outcome)
        _statistics(right, table, 20 if wide else 16)
        s.top_legend(figure, handles, ["observed", "replicated from the posterior"], width)
        return s.finish(figure, path)


def _replicated_densities(axes: Axes, observed: np.ndarray, replicated: np.ndarray, outcome: str, lines: int = 30) -> list[Any]:
    pool = np.r_[observed, np.quantile(replicated, [0.001, 0.999])]
    grid = np.linspace(pool.min(), pool.max(), 120)
    light = None
    for draw in replicated[:: max(1, len(replicated) // lines)][:lines]:
        light = axes.plot(grid, _kernel_density(draw, grid, False), color=s.POSTERIOR, alpha=0.22, linewidth=0.8, zorder=2)[0]
    dark = axes.plot(grid, _kernel_density(observed, grid, False), color=s.INK, linewidth=1.9, zorder=4)[0]
    axes.set_xlabel(outcome or "outcome")
    axes.set_yticks([])
    axes.set_ylim(bottom=0)
    axes.spines["left"].set_visible(False)
    from matplotlib.lines import Line2D

    return [dark, Line2D([], [], color=s.POSTERIOR, alpha=0.7, linewidth=1.2) if light is not None else dark]


def _statistics(axes: Axes, table: Any, characters: int) -> None:
    """Each statistic on its own scale: replicated interval from −1 to 1, observed value as a diamond, p-value at the right."""
    middle, half = (table["upper"] + table["lower"]) / 2, (table["upper"] - table["lower"]) / 2
    place = ((table["observed"] - middle) / half.where(half > 0)).to_numpy()
    y = np.arange(len(table))
    axes.hlines(y, -1, 1, color=s.POSTERIOR, linewidth=5, alpha=0.3, zorder=2)
    axes.plot(np.clip(place, -2.6, 2.6), y, marker="D", linestyle="none", color=s.INK, markersize=4.5, zorder=4)
    for row, p in zip(y, table["p_value"], strict=True):
        axes.text(1.01, row, f"p = {p:.2f}", transform=axes.get_yaxis_transform(), va="center", ha="left", fontsize=8, color=s.MUTED)
    axes.set_yticks(y, [s.wrap(str(name), characters) for name in table["statistic"]])
    axes.set_ylim(len(table) - 0.5, -0.5)
    axes.set_xlim(-3, 3)
    axes.set_xticks([-1, 1], ["lower", "upper"])
    axes.set_xlabel("95 % interval of replicated data sets")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
