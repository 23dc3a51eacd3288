"""The dense model of :mod:`tests.did.dense` with a dose and moderators, written from their definitions."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pandas as pd

from bayes import Panel
from tests.did.dense import DensePanel
from tests.panels import ROLES, simulated_frame


@dataclass(frozen=True)
class IntensePanel(DensePanel):
    """Cells, leads and random treatment effects times the dose (in multiples of its mean); moderators × treatment among the covariates."""

    @cached_property
    def dose(self) -> np.ndarray:
        """Dose of every row over the mean of treated rows; before treatment a unit's mean over its treated rows, 0 for the others."""
        if self.spec.dose is None:
            return np.ones(len(self.rows))
        r, d = self.rows, self.panel.frame[self.spec.dose].to_numpy(float)
        treated = (r.e >= 0).to_numpy()
        out = np.zeros(len(r))
        for unit in r.unit.unique():
            here = (r.unit == unit).to_numpy()
            if (here & treated).any():
                out[here] = np.where(treated[here], d[here], d[here & treated].mean())
        return out / d[treated].mean()

    @cached_property
    def cells(self) -> np.ndarray:
        return DensePanel.cells.func(self) * self.dose[:, None]

    @cached_property
    def leads(self) -> np.ndarray:
        return DensePanel.leads.func(self) * self.dose[:, None]

    @cached_property
    def unit_columns(self) -> list[np.ndarray]:
        columns = DensePanel.unit_columns.func(self)
        treatment = self.spec.unit_effects == "random-treatment"
        return [c * self.dose[:, None] if treatment and j == 0 else c for j, c in enumerate(columns)]

    @cached_property
    def products(self) -> np.ndarray:
        """Moderators less their mean over treated rows, times treatment and dose, shape (rows, moderators)."""
        e = self.rows.e.to_numpy()
        values = self.panel.frame[list(self.spec.moderators)].to_numpy(float)
        return (e >= -self.spec.anticipation)[:, None] * (values - values[e >= 0].mean(axis=0)) * self.dose[:, None]

    @cached_property
    def flat(self) -> np.ndarray:
        own = DensePanel.flat.func(self.without_products) if self.spec.moderators else DensePanel.flat.func(self)
        n = len(self.spec.covariates)
        return np.hstack([own, self.products / self.collapsed.scales[n:-1]])

    @property
    def without_products(self) -> DensePanel:
        from dataclasses import replace

        return DensePanel(replace(self.spec, moderators=(), dose=None), self.panel)


def intense_frame(seed: int = 3, gaps: bool = False, n_units: int = 24, n_periods: int = 8) -> pd.DataFrame:
    """The synthetic panel with ``dose`` (one a unit, missing where never treated), ``yearly`` (changing), and moderators ``size`` (one a
    unit) and ``price`` (changing)."""
    frame = simulated_frame(n_units=n_units, n_periods=n_periods, gaps=gaps)
    rng = np.random.default_rng(seed)
    number = frame.unit.factorize(sort=True)[0]
    own = rng.choice([0.5, 1.0, 2.5], n_units)[number]
    yearly = own * rng.uniform(0.5, 1.5, len(frame))
    columns = {"dose": np.where(frame.first_treated.isna(), np.nan, own), "yearly": np.where(frame.treated == 0, np.nan, yearly)}
    return frame.assign(**columns, size=rng.normal(3, 1, n_units)[number], price=rng.normal(size=len(frame)))


def intense_panel(**options) -> Panel:
    return Panel.from_frame(intense_frame(**options), name="synthetic", **ROLES)
