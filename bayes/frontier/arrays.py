"""The arrays of a frontier that change from one data set to another, for programs that are compiled once for all of them."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes.frontier.data import FrontierData
from bayes.frontier.draws import prior_names
from bayes.frontier.first_look import Pilot
from bayes.frontier.scalars import Scaling
from bayes.pooling import prior_arrays, symbolic_priors
from bayes.priors import Prior

if TYPE_CHECKING:
    from bayes.frontier.model import StochasticFrontier

_COLUMNS = ("output", "design", "mask", "period", "unit_region", "determinant_scale", "noise_determinant_scale")
_DETERMINANTS = ("determinants", "noise_determinants")
_PILOT = ("log_inefficiency", "inefficiency_information", "log_noise", "noise_information")
_SCALING = ("technology_mean", "technology_sd", "technology_unit")
_INFORMATION = ("rows", "units", "length")
_SPREAD = "technology_spread"


@dataclass(frozen=True, eq=False)
class Inputs:
    """All that the marginal form is written over: columns, priors in units of the data, and where coordinates are placed."""

    data: FrontierData
    scales: Scaling
    first: Pilot


def arrays_of(spec: StochasticFrontier, inputs: Inputs) -> dict[str, np.ndarray]:
    """Arrays by name: columns as units × rows, cross-products by region, the pilot's scales, parameters of priors."""
    arrays = {name: np.asarray(getattr(inputs.data, name)) for name in (*_COLUMNS, *_DETERMINANTS)}
    arrays |= {name: np.asarray(getattr(inputs.first, name)) for name in _PILOT}
    arrays |= {name: np.asarray(getattr(inputs.scales, name)) for name in _SCALING}
    arrays |= {f"information_{name}": np.asarray(getattr(inputs.scales.information, name)) for name in _INFORMATION}
    return arrays | prior_arrays(_used_priors(spec, inputs))


def layout_of(spec: StochasticFrontier, inputs: Inputs) -> Hashable:
    """What the program takes as given, shapes of :func:`arrays_of` aside: the specification without its output and priors' numbers."""
    chosen = {k: v for k, v in spec.to_dict().items() if k not in ("output", "priors")}
    chosen["own_scale"] = "inefficiency_scale" in spec.priors
    families = tuple((name, p.family) for name, p in _used_priors(spec, inputs).items())
    full = inputs.data.is_full
    # The soft constraint is written over the values of inputs themselves, which stay constants of its program.
    values = tuple(v.tobytes() for v in (*inputs.data.values.values(), inputs.data.unit_region)) if spec.monotonicity == "soft" else ()
    return "marginal", json.dumps(chosen, sort_keys=True), families, full, values


def over_variables(spec: StochasticFrontier, inputs: Inputs, symbols: Mapping[str, Any]) -> Inputs:
    """The same with PyTensor variables in the place of arrays."""
    columns = {name: symbols[name] for name in _COLUMNS}
    columns |= {name: [symbols[name][q] for q in range(len(getattr(inputs.data, name)))] for name in _DETERMINANTS}
    data = replace(inputs.data, **columns)
    data.__dict__["is_full"] = inputs.data.is_full  # known before, and not to be asked of a variable
    priors = symbolic_priors(_used_priors(spec, inputs), symbols)
    information = replace(inputs.scales.information, **{name: symbols[f"information_{name}"] for name in _INFORMATION})
    scales = replace(
        inputs.scales, **{name: symbols[name] for name in _SCALING}, information=information,
        technology_spread=priors.get(_SPREAD, inputs.scales.technology_spread), priors=priors,
    )  # fmt: skip
    return Inputs(data, scales, Pilot(*(symbols[name] for name in _PILOT)))


def _used_priors(spec: StochasticFrontier, inputs: Inputs) -> dict[str, Prior]:
    """Priors of the random variables that the marginal form has, in units of the data."""
    used = prior_names(spec, inputs.data)
    out = {name: p for name, p in inputs.scales.priors.items() if name in used}
    return out | ({_SPREAD: inputs.scales.technology_spread} if _SPREAD in used else {})
