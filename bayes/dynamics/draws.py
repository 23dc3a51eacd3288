"""From sampled scales to draws of slopes: the bridge between a sampler's output and the tables of a cross-lagged fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from bayes.dynamics.lags import LaggedPair
from bayes.dynamics.posterior import Drawn, Scales, draw_slopes, prior_slopes
from bayes.inference.sampling import single_threaded_algebra
from bayes.priors import Prior

SPREADS = ("own_lag_sd", "cross_lag_sd", "start_sd")
"""Between-region standard deviations: of both own lags, of the cross lags first → second and second → first, of the entries of Π."""
SLOPE_KINDS = ("own_lag", "cross_lag", "start", "start", "cross_lag", "own_lag", "start", "start")
"""What each slope is: lags and starts of (first, second) on the first series, then on the second."""
_ORDER = np.array([0, 3, 4, 5, 2, 1, 6, 7])
"""Place of each slope's spread among those of :data:`SPREADS` put in a row."""


def mean_sds(pair: LaggedPair, priors: Mapping[str, Prior]) -> np.ndarray:
    """Prior standard deviation of each slope's mean over regions, in units of the scaled columns. Shape (8,)."""
    return np.array(
        [priors[kind].scaled(s).parameters["sigma"] / s for kind, s in zip(SLOPE_KINDS, pair.path_scales, strict=True)]
    )  # fmt: skip


def units_of(name: str, pair: LaggedPair) -> np.ndarray:
    """Units of each entry of a sampled parameter: its prior is relative to them."""
    if name in SPREADS:
        scales = np.empty(8)
        scales[_ORDER] = pair.path_scales
        return {"own_lag_sd": scales[:2], "cross_lag_sd": scales[2:4], "start_sd": scales[4:]}[name]
    return pair.scales


def labels_of(name: str, pair: LaggedPair) -> tuple[str, list[str]]:
    """Dimension of a sampled vector, and the labels of its entries."""
    first, second = pair.series
    if name == "cross_lag_sd":
        return "direction", [f"{first} → {second}", f"{second} → {first}"]
    if name == "start_sd":
        return "start_slope", [f"start of {a} → {b}" for b in pair.series for a in pair.series]
    return "series", [first, second]


def spread_of(own, cross, start, xp=np):
    """The three vectors of :data:`SPREADS` (…, 2), (…, 2), (…, 4) slope by slope, (…, 8)."""
    return xp.concatenate([own, cross, start], axis=-1)[..., _ORDER]


def scales_of(values: Mapping[str, np.ndarray], pair: LaggedPair) -> Scales:
    """Sampled values in units of the data, arrays (chain, draw, …) → scaled units, chains joined."""
    flat = {name: np.asarray(v, dtype=float).reshape(-1, *np.shape(v)[2:]) for name, v in values.items()}
    spread = np.zeros((len(flat["innovation_sd"]), 0))
    if SPREADS[0] in flat:
        spread = spread_of(*(flat[name] for name in SPREADS)) / pair.path_scales
    return Scales(
        flat["innovation_sd"] / pair.scales, flat["unit_effect_sd"] / pair.scales, flat["innovation_correlation"],
        flat["unit_effect_correlation"], spread,
    )  # fmt: skip


@single_threaded_algebra()
def posterior_dataset(
    values: Mapping[str, np.ndarray], pair: LaggedPair, priors: Mapping[str, Prior], pooling: str, seed: int
) -> xr.Dataset:
    """Sampled scales (chain, draw, …) with exact draws of every slope and covariate, in units of the data."""
    drawn = draw_slopes(pair, scales_of(values, pair), mean_sds(pair, priors), pooling, np.random.default_rng([seed, 1]))
    arrays = _arrays(values, drawn, pair)
    if pair.covariates:
        coefficient = drawn.flat[:, :, pair.covariate_columns] * pair.scales[:, None] / pair.covariate_scales
        arrays["coefficient"] = (("series", "covariate"), coefficient)
    return _dataset(arrays, np.shape(values["innovation_sd"])[:2], pair)


def prior_dataset(pair: LaggedPair, priors: Mapping[str, Prior], names: tuple[str, ...], spec: Any, n: int, seed: int) -> xr.Dataset:
    """Draws of scales and slopes from the prior, dims chain (1) and draw, in units of the data."""
    rng = np.random.default_rng([seed, 2])
    values = {name: _prior_values(name, pair, priors, spec.correlation_concentration, n, rng) for name in names}
    drawn = prior_slopes(scales_of(values, pair), mean_sds(pair, priors), len(pair.regions), spec.effective_pooling(pair), rng)
    return _dataset(_arrays(values, drawn, pair), (1, n), pair)


def _prior_values(name: str, pair: LaggedPair, priors: Mapping[str, Prior], concentration: float, n: int, rng) -> np.ndarray:
    if name.endswith("correlation"):
        return 2 * rng.beta(concentration, concentration, (1, n)) - 1
    return np.stack([priors[name].scaled(s).sample(rng, n) for s in units_of(name, pair)], axis=-1)[None]


def _arrays(values: Mapping[str, np.ndarray], drawn: Drawn, pair: LaggedPair) -> dict[str, Any]:
    out = {n: (() if n.endswith("correlation") else (labels_of(n, pair)[0],), v) for n, v in values.items()}
    slopes = (drawn.slopes * pair.path_scales[:, None]).reshape(len(drawn.slopes), 2, 4, -1)
    dims = ("series", "moved_by", "region")
    out |= {"lag": (dims, slopes[:, :, :2]), "start": (dims, slopes[:, :, 2:])}
    if drawn.means.size:
        means = (drawn.means * pair.path_scales).reshape(-1, 2, 4)
        out |= {"lag_mean": (dims[:2], means[:, :, :2]), "start_mean": (dims[:2], means[:, :, 2:])}
    return out


def _dataset(arrays: Mapping[str, Any], shape: tuple[int, int], pair: LaggedPair) -> xr.Dataset:
    data = {name: (("chain", "draw", *dims), _shaped(v, shape, len(dims))) for name, (dims, v) in arrays.items()}
    coords = dict([labels_of(name, pair) for name in ("innovation_sd", "cross_lag_sd", "start_sd")])
    coords |= {"moved_by": list(pair.series), "region": list(pair.regions), "covariate": list(pair.covariates)}
    used = {d for dims, _ in arrays.values() for d in dims}
    out = xr.Dataset(data, {name: np.array(labels, dtype=object) for name, labels in coords.items() if name in used})
    facts = {
        "rows": ("region", pair.rows.astype(np.int64)), "scale": ("series", pair.scales),
        "lag_identified": (("moved_by", "region"), pair.identified),
    }  # fmt: skip
    return out.assign_coords({"chain": np.arange(shape[0]), "draw": np.arange(shape[1])} | facts)


def _shaped(values: Any, shape: tuple[int, int], n: int) -> np.ndarray:
    a = np.asarray(values)
    return a.reshape(*shape, *(a.shape[a.ndim - n :] if n else ()))
