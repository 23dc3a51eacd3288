"""Spatial weights between the units of a panel, Moran's I, and its moments."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from bayes.errors import SpatialWarning, SpecificationError, warn_user
from bayes.validation import one_of

Neighbours = Mapping[Any, Iterable[Any] | Mapping[Any, float]] | pd.DataFrame
"""Who is whose neighbour: a mapping unit → neighbours (or → neighbour: weight), or a table with units in rows and columns."""

OUTSIDE = ("refuse", "leave-out")


def spatial_weights(
    units: Sequence[Any], neighbours: Neighbours, row_standardised: bool = True, outside: str = "refuse"
) -> sparse.csr_array:
    """Weights w_ij of the units, shape (units, units), in their order.

    Parameters
    ----------
    units : sequence
        Unit labels.
    neighbours : mapping or pandas.DataFrame
        unit → list of neighbours (weight 1), unit → {neighbour: weight}, or a table of weights with units as index and columns. Every unit
        must be named; one without neighbours has an empty list.
    row_standardised : bool
        Divide each row by its sum, so that a weighted sum over neighbours is a mean. Units without neighbours keep a row of zeros.
    outside : "refuse" or "leave-out"
        What to do with units and neighbours that are not among ``units``.

    Raises
    ------
    SpecificationError
        Units that are not named, neighbours that are not units, negative or missing weights, or a unit that is its own neighbour.

    Warns
    -----
    SpatialWarning
        Neighbours that were left out, and units without any.
    """
    one_of("outside", outside, OUTSIDE)
    place = {u: i for i, u in enumerate(units)}
    named = _as_mapping(neighbours)
    missing = [u for u in place if u not in named]
    if missing:
        raise SpecificationError(
            f"The neighbours of {len(missing)} units are not given ({_few(missing)}). Name every unit; an empty list says none."
        )
    strangers = sorted({str(v) for u in named if u in place for v in named[u] if v not in place})
    if outside == "refuse":
        strangers = sorted({*strangers, *(str(u) for u in named if u not in place)})
        if strangers:
            raise SpecificationError(
                f"{len(strangers)} neighbours are no units of the panel ({_few(strangers)}). Correct their names, or leave them out with "
                'outside="leave-out": their treatment then counts for nobody.'
            )
    elif strangers:
        warn_user(f"{len(strangers)} neighbours that are not in the panel are left out ({_few(strangers)}).", SpatialWarning)
    entries = [(place[u], place[v], float(w)) for u in place for v, w in named[u].items() if v in place and w != 0]
    _check(units, entries)
    rows, columns, values = (np.array(x) for x in zip(*entries, strict=True)) if entries else (np.zeros(0, int),) * 2 + (np.zeros(0),)
    matrix = sparse.csr_array((values.astype(float), (rows, columns)), shape=(len(place), len(place)))
    sums = matrix.sum(axis=1)
    if (sums == 0).any():
        alone = [units[i] for i in np.flatnonzero(sums == 0)]
        warn_user(f"{len(alone)} units have no neighbour ({_few(alone)}): their exposure is zero.", SpatialWarning)
    return sparse.csr_array(sparse.diags_array(1 / np.where(sums > 0, sums, 1.0)) @ matrix) if row_standardised else matrix


def _as_mapping(neighbours: Neighbours) -> dict[Any, dict[Any, float]]:
    if isinstance(neighbours, pd.DataFrame):
        doubled = [*neighbours.index[neighbours.index.duplicated()], *neighbours.columns[neighbours.columns.duplicated()]]
        if doubled:
            raise SpecificationError(f"The table of weights names {doubled[0]!r} twice.")
        return {u: {v: w for v, w in row.items() if w != 0} for u, row in neighbours.to_dict("index").items()}
    if not isinstance(neighbours, Mapping):
        raise SpecificationError(
            f"neighbours must map each unit to its neighbours, or be a table of weights between units, got {type(neighbours).__name__}."
        )
    out: dict[Any, dict[Any, float]] = {}
    for unit, others in neighbours.items():
        if isinstance(others, str):
            raise SpecificationError(f"The neighbours of {unit!r} must be a list, for example [{others!r}].")
        out[unit] = dict(others) if isinstance(others, Mapping) else dict.fromkeys(others, 1.0)
    return out


def _check(units: Sequence[Any], entries: list[tuple[int, int, float]]) -> None:
    for i, j, w in entries:
        if i == j:
            raise SpecificationError(f"Unit {units[i]!r} is given as its own neighbour. The diagonal of the weights must be zero.")
        if not (np.isfinite(w) and w > 0):
            raise SpecificationError(f"The weight of {units[j]!r} for {units[i]!r} is {w}: weights must be finite and not negative.")


def _few(names: Sequence[Any]) -> str:
    return ", ".join(map(str, names[:5])) + (" …" if len(names) > 5 else "")


# ── Moran's I ───────────────────────────────────────────────────────────────────────────────────────────────────────


def moran_statistic(values: np.ndarray, weights: sparse.csr_array) -> np.ndarray:
    """I = n/S₀ · z'Wz / z'z with z = values − mean, for each row of ``values`` (…, units). NaN where values do not vary (Moran 1950)."""
    z = values - values.mean(axis=-1, keepdims=True)
    flat = z.reshape(-1, z.shape[-1])
    cross = (flat * (weights @ flat.T).T).sum(axis=1)
    squares = (flat**2).sum(axis=1)
    total = weights.sum()
    enough = (squares > 0) & (total > 0)
    return np.where(enough, flat.shape[1] / max(total, 1e-300) * cross / np.where(squares > 0, squares, 1.0), np.nan).reshape(z.shape[:-1])


def moran_moments(weights: sparse.csr_array) -> tuple[float, float]:
    """Mean and standard deviation of I for independent normal values of equal variance (Cliff & Ord 1981, Spatial Processes, ch. 1.5)."""
    n, s0 = weights.shape[0], float(weights.sum())
    if n < 3 or s0 == 0:
        return np.nan, np.nan
    s1 = 0.5 * float(((weights + weights.T) ** 2).sum())
    s2 = float(((weights.sum(axis=0) + weights.sum(axis=1)) ** 2).sum())
    mean = -1 / (n - 1)
    return mean, float(np.sqrt((n**2 * s1 - n * s2 + 3 * s0**2) / ((n**2 - 1) * s0**2) - mean**2))
