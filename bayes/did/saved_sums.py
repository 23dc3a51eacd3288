"""A scanned panel as a dataset, so that a fit to rows on disk is saved with all that its effects need and without the rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr

from bayes.did.groups import Trajectories
from bayes.did.scanned import SumsOnDisk
from bayes.errors import RowsOnDiskError
from bayes.scan import ScannedPanel

_SCALARS = ("region", "cohort", "n", "weight", "weight_squares")
_RAGGED = ("dates", "ones", "values", "mean", "weighted_mean")
_FACTS = ("n_rows", "n_units", "step")


def sums_to_dataset(panel: ScannedPanel) -> xr.Dataset:
    """Facts and sums of a panel; arrays of groups one after another, since groups differ in dates and pseudo-units."""
    if panel.sums is None:
        raise RowsOnDiskError(f"{panel.name!r} has no sums over its rows yet: only a fit takes them.")
    groups = panel.sums.groups
    variables: dict[str, Any] = {n: ("group", np.array([getattr(g, n) for g in groups])) for n in _SCALARS}
    variables["n_dates"] = ("group", np.array([g.dates.size for g in groups]))
    variables["n_pseudo"] = ("group", np.array([g.ones.size for g in groups]))
    variables |= {n: (f"{n}_entry", np.concatenate([getattr(g, n).ravel() for g in groups])) for n in _RAGGED}
    timing = panel.units_by_timing
    variables |= {f"timing_{c}": ("timing", timing[c].to_numpy()) for c in ("region", "first_treated", "units")}
    variables["periods"] = ("period", panel.periods)
    variables["region_label"] = ("region_place", panel.regions.astype(object))
    variables["lengths"] = (("length", "pair"), np.array(list(panel.units_by_length.items()), dtype=np.int64).reshape(-1, 2))
    variables["reaches"] = (("part", "column"), panel.sums.reaches.astype(np.int8))
    facts = {n: int(getattr(panel, n)) for n in _FACTS}
    return xr.Dataset(variables, attrs={"columns": json.dumps(panel.sums.columns), "facts": json.dumps(facts)})


def panel_of_dataset(node: Mapping[str, Any], roles: Mapping[str, Any], set_aside: pd.DataFrame) -> ScannedPanel:
    """The panel of :func:`sums_to_dataset`, without its rows."""
    stored = {name: node[name].to_numpy() for name in (*_SCALARS, *_RAGGED, "n_dates", "n_pseudo")}
    columns = tuple(json.loads(node.attrs["columns"]))
    taken = dict.fromkeys(_RAGGED, 0)
    groups = []
    for j in range(stored["n"].size):
        dates, pseudo, k = int(stored["n_dates"][j]), int(stored["n_pseudo"][j]), len(columns)
        shapes = {"dates": (dates,), "ones": (pseudo,), "values": (pseudo, dates, k), "mean": (dates, k), "weighted_mean": (dates, k)}
        arrays = {}
        for name, shape in shapes.items():
            arrays[name] = stored[name][taken[name] : taken[name] + int(np.prod(shape))].reshape(shape)
            taken[name] += int(np.prod(shape))
        groups.append(
            Trajectories(
                region=int(stored["region"][j]),
                cohort=float(stored["cohort"][j]),
                n=int(stored["n"][j]),
                weight=float(stored["weight"][j]),
                weight_squares=float(stored["weight_squares"][j]),
                **arrays,
            )
        )
    timing = pd.DataFrame({c: node[f"timing_{c}"].to_numpy() for c in ("region", "first_treated", "units")})
    lengths = {int(rows): int(units) for rows, units in node["lengths"].to_numpy()}
    sums = SumsOnDisk(columns, tuple(groups), node["reaches"].to_numpy().astype(bool))
    regions = node["region_label"].to_numpy().astype(object)
    return ScannedPanel(
        **roles, **json.loads(node.attrs["facts"]), periods=node["periods"].to_numpy(), regions=regions,
        units_by_timing=timing, units_by_length=lengths, set_aside=set_aside, sums=sums,
    )  # fmt: skip
