"""Elasticities of the frontier, returns to scale, monotonicity and technical change, by draw, through the chain rule on the terms."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayes.aggregation import group_rows, stacked, table
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.frontier import technology as tech
from bayes.frontier.aggregation import linear_in_rows, linear_mean, mean_by_draw, row_index, rows_of
from bayes.frontier.data import FrontierData
from bayes.frontier.likelihood import Parameters

if TYPE_CHECKING:
    from bayes.frontier.model import StochasticFrontier


def input_elasticities(
    p: Parameters, spec: StochasticFrontier, data: FrontierData, by: str = "all", level: float = 0.95, weights: np.ndarray | None = None,
    source: str = "Bayes",
) -> Estimates:  # fmt: skip
    """Elasticity of output, or of cost, to each input (∂f/∂x_k, x_k in logs), averaged over rows in each draw.

    Parameters
    ----------
    by : "all", "region", "unit", "period", "region:period" or "unit:period"
    weights : array (n_rows,), optional
        Weights of rows; equal by default.

    Returns
    -------
    Estimates
        Estimand ``elasticity``, ``term`` = the input; labels name the groups. A cost frontier's are those of cost to products and prices.
    """
    index = row_index(data)
    groups = group_rows(by, index, data, weights)
    values = np.stack([linear_mean(p["technology"], slopes(data, name), index.region, groups) for name in spec.inputs])
    note = "cost elasticity" if spec.kind == "cost" else ""
    parts = [table(groups, v, "elasticity", level, source, term=name, note=note) for name, v in zip(spec.inputs, values, strict=True)]
    return stacked(parts, values.reshape(-1, values.shape[-1]), f"Elasticities by {by}")


def returns_to_scale(
    p: Parameters, spec: StochasticFrontier, data: FrontierData, by: str = "all", level: float = 0.95, weights: np.ndarray | None = None,
    source: str = "Bayes",
) -> Estimates:  # fmt: skip
    """Returns to scale: sum of the input elasticities; for a cost frontier one over the sum of the cost elasticities of the products.

    Elasticities are averaged over a group's rows before they are inverted: returns to scale at the group's mean of logs, which stay finite
    where one row's cost elasticity comes near zero. Estimand ``returns_to_scale``, ``term`` = by; ``prob_positive`` is P(> 1), increasing
    returns. Raises :class:`SpecificationError` for a cost frontier without ``products``.
    """
    index, names = row_index(data), scale_variables(spec)
    groups = group_rows(by, index, data, weights)
    total = linear_mean(p["technology"], sum(slopes(data, name) for name in names), index.region, groups)
    note = "prob_positive is P(> 1)"
    if spec.kind == "cost":
        total, note = 1 / total, f"{note}; one over the cost elasticity of output"
    return table(groups, total, "returns_to_scale", level, source, above=1.0, note=note)


def monotonicity(
    p: Parameters, spec: StochasticFrontier, data: FrontierData, by: str = "all", level: float = 0.95, weights: np.ndarray | None = None,
    source: str = "Bayes",
) -> Estimates:  # fmt: skip
    """Share of rows at which no elasticity of an input is negative, in each draw. Estimand ``monotonicity``, ``term`` = by."""
    index = row_index(data)
    groups = group_rows(by, index, data, weights)
    columns = [slopes(data, name) for name in spec.inputs]

    def evaluate(chunk: Parameters, _: slice) -> list[np.ndarray]:
        holds = np.ones((chunk["technology"].shape[0], data.n_rows), dtype=bool)
        for column in columns:
            holds &= linear_in_rows(chunk["technology"], column, index.region) >= 0
        return [holds.astype(float)]

    draws = mean_by_draw(p, groups, evaluate, data.n_rows)[0]
    note = "share of rows with every elasticity ≥ 0"
    out = table(groups, draws, "monotonicity", level, source, note=note)
    out.frame["prob_positive"] = np.nan
    return out


def technical_change(
    p: Parameters, spec: StochasticFrontier, data: FrontierData, by: str = "all", level: float = 0.95, weights: np.ndarray | None = None,
    source: str = "Bayes",
) -> Estimates:  # fmt: skip
    """Rate of technical change ∂f/∂t per calendar unit of time, averaged over rows in each draw; for a cost frontier negative is progress.

    Estimand ``technical_change``, ``term`` = by. Raises :class:`SpecificationError` when the frontier has no time trend.
    """
    if spec.technical_change == "none":
        raise SpecificationError("technical_change='none': the frontier does not move. Fit it with 'neutral' or 'biased'.")
    index = row_index(data)
    groups = group_rows(by, index, data, weights)
    draws = linear_mean(p["technology"], slopes(data, tech.TIME), index.region, groups)
    note = "rate of cost change; negative is progress" if spec.kind == "cost" else "rate per unit of time"
    return table(groups, draws, "technical_change", level, source, note=note)


def slopes(data: FrontierData, variable: str) -> np.ndarray:
    """Derivative of each term with respect to a variable, in the panel's rows: shape (K, n_rows)."""
    return tech.derivative(data.terms, variable, rows_of(data.values, data))


def scale_variables(spec: StochasticFrontier) -> tuple[str, ...]:
    """What scale is measured in: the inputs of a production frontier, the products of a cost frontier.

    Raises :class:`SpecificationError` for a cost frontier whose products are not named.
    """
    if spec.kind == "production":
        return tuple(spec.inputs)
    if not spec.products:
        raise SpecificationError(
            f"A cost frontier has returns to scale in its products, and none is named. Say which of {list(spec.inputs)} are quantities "
            "produced: StochasticFrontier(..., products=[...])."
        )
    return tuple(spec.products)
