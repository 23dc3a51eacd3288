"""Rank plot: do the chains explore the same distribution?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes.arguments import checked
from bayes.errors import SpecificationError
from bayes.plots import _style as s

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_POINTS = 64


@checked
def rank_plot(
    fit: Any,
    parameters: Sequence[str] | None = None,
    labels: Mapping[str, str] | None = None,
    prob: float = 0.95,
    width: float = 7.0,
    path: str | Path | None = None,
) -> Figure:
    """Rank ECDF of each chain minus the uniform one, with a simultaneous band, after Säilynoja, Bürkner & Vehtari (2022).

    Draws are ranked over all chains together; if a chain samples the same distribution as the others its ranks are uniform and the line
    stays inside the band at every point with probability ``prob`` (for independent draws; autocorrelated chains wander more).

    Parameters
    ----------
    fit : DiDFit or mapping
        A fit whose tree has a group ``posterior``; or ``{name: draws}`` with draws of shape (chains, draws).
    parameters : sequence of str, optional
        Scalars to show; all by default.
    labels : mapping, optional
        Words above each panel.
    prob : float
        Probability that the simultaneous band holds.
    width, path
        As in :func:`bayes.plots.event_study`.
    """
    chains = _chains(fit)
    names = list(parameters) if parameters is not None else list(chains)
    unknown = [name for name in names if name not in chains]
    if unknown or not names:
        raise SpecificationError(f"No posterior draws of {unknown or 'any scalar'}. Scalars: {sorted(chains)}.")
    columns = min(len(names), 4 if width > s.NARROW else 2)
    rows = -(-len(names) // columns)
    n_chains, n_draws = chains[names[0]].shape
    band = simultaneous_band(n_draws, n_chains, prob)
    with s.style():
        figure, axes = s.canvas(width, 0.55 + 1.35 * rows, rows, columns, squeeze=False, sharex=True, sharey=True)
        for panel, name in zip(axes.flat, names, strict=False):
            lines = _rank_panel(panel, chains[name], band)
            panel.set_title(
                s.wrap((labels or {}).get(name, name.replace("_", " ")), int(11 * width / columns)), fontsize=8.5, loc="left", pad=3
            )
        for panel in axes.flat[len(names) :]:
            panel.set_axis_off()
        figure.supxlabel("rank among all draws (share)", fontsize=8.5, color=s.INK)
        figure.supylabel("ECDF − uniform", fontsize=8.5, color=s.INK)
        s.top_legend(figure, lines, [f"chain {k + 1}" for k in range(n_chains)] + [f"{100 * prob:g} % simultaneous band"], width)
        return s.finish(figure, path)


def _chains(fit: Any) -> dict[str, np.ndarray]:
    if isinstance(fit, Mapping):
        found = {str(name): np.atleast_2d(s.numbers(name, draws)) for name, draws in fit.items()}
        short = [name for name, draws in found.items() if draws.ndim != 2 or draws.shape[1] < 2]
        if short or len({draws.shape for draws in found.values()}) > 1:
            raise SpecificationError(
                f"Draws must all have one shape (chains, draws) with at least two draws; look at {short or list(found)}."
            )
        return found
    s.require("fit", fit, ("tree",), "a fit, or a mapping of names to draws")
    arrays = fit.tree["posterior"].dataset.data_vars
    return {name: array.transpose("chain", "draw").to_numpy() for name, array in arrays.items() if set(array.dims) == {"chain", "draw"}}


@lru_cache(maxsize=8)
def simultaneous_band(n_draws: int, n_chains: int, prob: float = 0.95, simulations: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Grid and half width of the band for ECDF − uniform, simultaneous over grid points and chains.

    Under the hypothesis the chain labels are a random permutation of the ordered draws, so the largest deviation in pointwise standard
    deviations is simulated by permuting labels. Simulated here because ArviZ's loop over chains takes longer than the rest of the report.
    """
    rng = np.random.default_rng(0)
    total = n_draws * n_chains
    at = np.arange(1, _POINTS) * total // _POINTS
    grid = at / total
    labels = rng.permuted(np.tile(np.repeat(np.arange(n_chains, dtype=np.int8), n_draws), (simulations, 1)), axis=1)
    spread = np.sqrt(grid * (1 - grid) * (total - n_draws) / (n_draws * max(total - 1, 1)))
    spread = np.maximum(spread, 1e-12)
    largest = np.zeros(simulations)
    for chain in range(n_chains):
        ecdf = np.cumsum(labels == chain, axis=1, dtype=np.int32)[:, at - 1] / n_draws
        largest = np.maximum(largest, np.abs((ecdf - grid) / spread).max(axis=1))
    return grid, np.quantile(largest, prob) * spread


def _rank_panel(axes: Axes, draws: np.ndarray, band: tuple[np.ndarray, np.ndarray]) -> list[Any]:
    grid, half = band
    ordered = np.sort(draws, axis=None)  # tied draws share their middle rank
    ranks = (np.searchsorted(ordered, draws, side="left") + np.searchsorted(ordered, draws, side="right")) / (2 * draws.size)
    shade = axes.fill_between(grid, -half, half, color=s.FAINT, alpha=0.8, linewidth=0, zorder=1)
    axes.axhline(0, color=s.MUTED, linewidth=0.7, zorder=2)
    colours = (s.POSTERIOR, *s.PALETTE)
    lines = []
    for k, chain in enumerate(ranks):
        ecdf = np.searchsorted(np.sort(chain), grid, side="right") / chain.size
        lines += axes.plot(grid, ecdf - grid, color=colours[k % len(colours)], linewidth=1.1, zorder=3)
    axes.set_xticks([0, 0.5, 1])
    axes.locator_params(axis="y", nbins=4)
    return [*lines, shade]
