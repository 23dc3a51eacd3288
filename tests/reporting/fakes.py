"""SYNTHETIC stand-ins for a fit: a small conjugate model on invented data, with the shape of a real DiDFit. No number here is a finding."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace

import numpy as np
import pandas as pd
import xarray as xr

from bayes.did.heterogeneity import Heterogeneity
from bayes.did.prior_scaling import PriorSensitivity
from bayes.estimates import Estimates
from bayes.panel import Panel

SOURCE = "synthetic posterior, partial pooling"


def synthetic_panel(n_units: int = 24, n_periods: int = 9, seed: int = 0) -> Panel:
    """Four regions, of which ``East`` has no treated unit; three cohorts and never treated units; invented outcome in log points."""
    rng = np.random.default_rng(seed)
    units = np.arange(n_units)
    region = np.array(["East", "North", "South", "West"], dtype=object)[units % 4]
    cohort = np.where(region == "East", np.inf, np.array([2004.0, 2005.0, 2006.0, np.inf])[(units // 4) % 4])
    time = 2000 + np.arange(n_periods)
    base = rng.normal(size=n_units)[:, None] + 0.05 * np.arange(n_periods)[None, :]
    effect = 0.10 * (time[None, :] >= cohort[:, None])
    y = base + effect + 0.12 * rng.normal(size=(n_units, n_periods))
    frame = pd.DataFrame(
        {
            "unit": np.repeat([f"unit {u:02d}" for u in units], n_periods),
            "year": np.tile(time, n_units),
            "region": np.repeat(region, n_periods),
            "law": np.repeat(cohort, n_periods),
            "log_outcome": y.ravel(),
            "log_income": rng.normal(10, 0.2, size=y.size),
        }
    )
    return Panel.from_frame(frame, unit="unit", time="year", region="region", first_treated="law", name="synthetic panel")


@dataclass(frozen=True)
class StaggeredDiD:
    """The specification's fields only; named as the real one because the report chooses its sections by that name."""

    outcome: str = "log_outcome"
    covariates: tuple[str, ...] = ()
    pooling: tuple[str, ...] | str = ("region", "cohort", "event", "region:event", "cell")
    errors: str = "ar1"
    leads: bool = True
    unit_effects: str = "random-treatment"
    unit_trends: bool = False
    period_effects: str = "common"
    anticipation: int = 0
    priors: dict = field(default_factory=dict)


class FakeHeterogeneity(Heterogeneity):
    """Contrasts and ranks of the stand-in's own draws; components from its invented scales."""

    def variance_components(self, level: float = 0.95) -> Estimates:
        names = [n for n in self.fit._scales if n.endswith("_sd") and n != "innovation_sd"]
        sds = np.array([self.fit._scales[n].ravel() for n in names])
        rows = [{"estimand": e, "term": n.removesuffix("_sd"), "source": SOURCE} for e in ("effect_sd", "variance_share") for n in names]
        return Estimates.from_draws(rows, np.vstack([sds, sds**2 / (sds**2).sum(axis=0)]), level, title="Components")


@dataclass(frozen=True, eq=False)
class FakeFit:
    """Draws from a conjugate regression with fixed scales per draw; enough to have realistic shapes, not a real inference."""

    panel: Panel
    model: StaggeredDiD = field(default_factory=StaggeredDiD)
    passed: bool = True
    chains: int = 4
    draws: int = 250

    @cached_property
    def _cells(self) -> pd.DataFrame:
        p = self.panel
        event = p.periods[p.period_codes] - p.unit_first_treated[p.unit_codes]
        rows = pd.DataFrame(
            {"region": p.regions[p.unit_regions][p.unit_codes], "cohort": p.unit_first_treated[p.unit_codes], "event_time": event}
        )
        rows["row"] = np.arange(len(rows))
        kept = rows[np.isfinite(rows.event_time) & (rows.event_time != -1)]
        return kept.groupby(["region", "cohort", "event_time"])["row"].apply(list).reset_index()

    @cached_property
    def _scales(self) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(1)
        size = (self.chains, self.draws)
        names = {
            "innovation_sd": (0.15, 0.006),
            "unit_effect_sd": (0.09, 0.03),
            "event_sd": (0.03, 0.02),
            "region_sd": (0.06, 0.04),
            "cohort_sd": (0.04, 0.03),
            "region_event_sd": (0.03, 0.02),
            "cell_sd": (0.04, 0.03),
        }
        found = {name: np.abs(rng.normal(mean, sd, size)) for name, (mean, sd) in names.items()}
        return {"innovation_sd": found.pop("innovation_sd"), "autocorrelation": np.tanh(rng.normal(0.45, 0.1, size)), **found}

    def _design(self) -> tuple[np.ndarray, np.ndarray]:
        p, cells = self.panel, self._cells
        y = p.column(self.model.outcome)
        dummies = np.column_stack(
            [p.unit_codes[:, None] == np.arange(p.n_units), p.period_codes[:, None] == np.arange(1, p.n_periods)]
        ).astype(float)
        columns = np.zeros((p.n_rows, len(cells)))
        for k, rows in enumerate(cells.row):
            columns[rows, k] = 1.0
        q, _ = np.linalg.qr(dummies)
        return columns - q @ (q.T @ columns), y - q @ (q.T @ y)

    def _loadings(self) -> tuple[np.ndarray, list[tuple[str, object]]]:
        """Cells = loadings × (level, region effects, event effects, cell effects)."""
        cells = self._cells
        regions, events = list(self.panel.regions), sorted(cells.event_time.unique())
        post = (cells.event_time >= 0).to_numpy(dtype=float)
        parts = [
            post[:, None],
            np.array([[r == name for name in regions] for r in cells.region]) * post[:, None],
            np.array([[e == name for name in events] for e in cells.event_time], dtype=float),
            np.eye(len(cells)),
        ]
        names = [
            ("level", ""),
            *(("region", r) for r in regions),
            *(("event", e) for e in events),
            *(("cell", k) for k in range(len(cells))),
        ]
        return np.hstack(parts).astype(float), names

    def _coefficients(self, kind: str) -> np.ndarray:
        """Draws of all coefficients, shape (draws, coefficients); kind is prior, posterior or unpooled."""
        x, y = self._design()
        loadings, names = self._loadings()
        rng = np.random.default_rng({"prior": 2, "posterior": 3, "unpooled": 4}[kind])
        out = []
        for d in range(self.chains * self.draws):
            scale = {name: values.ravel()[d] for name, values in self._scales.items()}
            sd = {"level": 0.3, "region": 0.02 + scale["region_sd"], "event": 0.02 + scale["event_sd"], "cell": 0.02 + scale["cell_sd"]}
            if kind == "unpooled":
                sd = {"level": 1e-3, "region": 1e-3, "event": 1e-3, "cell": 3.0}
            prior_sd = np.array([sd[group] for group, _ in names])
            if kind == "prior":
                out.append(prior_sd * rng.normal(size=prior_sd.size))
                continue
            z = x @ loadings * prior_sd
            precision = z.T @ z / (1.6 * scale["innovation_sd"]) ** 2 + np.eye(prior_sd.size)
            root = np.linalg.cholesky(precision)
            mean = np.linalg.solve(precision, z.T @ y) / (1.6 * scale["innovation_sd"]) ** 2
            out.append(prior_sd * (mean + np.linalg.solve(root.T, rng.normal(size=prior_sd.size))))
        return np.array(out)

    @cached_property
    def _draws_of(self) -> dict[str, np.ndarray]:
        return {kind: self._coefficients(kind) for kind in ("prior", "posterior", "unpooled")}

    @cached_property
    def tree(self) -> xr.DataTree:
        shape = (self.chains, self.draws)
        rng = np.random.default_rng(5)
        prior = {name: (("chain", "draw"), np.abs(rng.normal(0, 0.4, shape))) for name in self._scales}
        prior["autocorrelation"] = (("chain", "draw"), np.tanh(rng.normal(0, 0.6, shape)))
        loadings, _ = self._loadings()
        cells = (self._draws_of["posterior"] @ loadings.T).reshape(*shape, -1)
        posterior = {name: (("chain", "draw"), values) for name, values in self._scales.items()}
        posterior["cell_effect"] = (("chain", "draw", "cell"), cells)
        return xr.DataTree.from_dict({"posterior": xr.Dataset(posterior), "prior": xr.Dataset(prior)})

    def _aggregate(self, kind: str, by: str, estimand: str, source: str, level: float = 0.95, extrapolate: bool = True) -> Estimates:
        cells, (loadings, names) = self._cells, self._loadings()
        values = loadings @ self._draws_of[kind].T
        columns = {
            "simple": [],
            "event": ["event_time"],
            "cohort": ["cohort"],
            "region": ["region"],
            "region:event": ["region", "event_time"],
        }[by]
        kept = cells if by in ("event", "region:event") else cells[cells.event_time >= 0]
        groups = [((), kept)] if not columns else list(kept.groupby(columns))
        rows, draws = [], []
        for key, members in groups:
            weights = members.row.map(len).to_numpy(dtype=float)
            rows.append(
                {**dict(zip(columns, key, strict=True)), "estimand": estimand, "term": by, "source": source, "n_obs": int(weights.sum())}
            )
            draws.append(weights @ values[members.index] / weights.sum())
        if by == "region" and kind != "unpooled":
            note = "weights: treated rows; prior-driven: no treated unit in this region"
            for region in sorted(set(self.panel.regions) - set(kept.region)):
                rows.append(
                    {"region": region, "estimand": estimand, "term": by, "source": source, "n_obs": 0, "note": note, "identified": False}
                )
                expected = self._draws_of[kind][:, 0] + self._draws_of[kind][:, names.index(("region", region))]
                draws.append(expected if extrapolate else np.full(expected.size, np.nan))
        noise = 1.25 if estimand == "att_population" else 1.0
        stacked = np.array(draws)
        stacked = stacked.mean(axis=1, keepdims=True) + noise * (stacked - stacked.mean(axis=1, keepdims=True))
        return Estimates.from_draws(rows, stacked, level=level, title="Effects", outcome=self.model.outcome)

    def att(
        self, by: str = "simple", estimand: str = "att", level: float = 0.95, weights: str | None = None, extrapolate: bool = False
    ) -> Estimates:
        return self._aggregate("posterior", by, estimand, SOURCE, level, extrapolate)

    def prior_att(self, by: str = "simple") -> Estimates:
        return self._aggregate("prior", by, "att", "prior")

    def unpooled(self, by: str = "simple") -> Estimates:
        return self._aggregate("unpooled", by, "att", "synthetic posterior, no pooling")

    def diagnose(self) -> SimpleNamespace:
        failures = () if self.passed else ("R-hat of region_sd is 1.04, at least 1.01", "3 divergent transitions")
        words = "The sampler's diagnostics pass." if self.passed else "The sampler's diagnostics FAIL: " + "; ".join(failures) + "."
        return SimpleNamespace(
            passed=self.passed,
            failures=failures,
            rhat_max=1.004 if self.passed else 1.04,
            ess_bulk_min=812.0,
            ess_tail_min=640.0,
            divergences=0 if self.passed else 3,
            bfmi_min=0.81,
            k_hat=None,
            verdict=words,
        )

    def summary(self) -> pd.DataFrame:
        rows = {n: (v.mean(), v.std(), *np.quantile(v, [0.025, 0.975]), 812.0, 640.0, 1.004) for n, v in self._scales.items()}
        return pd.DataFrame.from_dict(rows, orient="index", columns=["mean", "sd", "eti95_lb", "eti95_ub", "ess_bulk", "ess_tail", "r_hat"])

    def priors(self) -> pd.DataFrame:
        return pd.DataFrame(
            [
                ("innovation_sd", "HalfNormal(0.40)", "standard deviation of the AR(1) innovations, log points", "default"),
                ("autocorrelation", "Normal(0, 1) on atanh", "autocorrelation of the errors", "default"),
                ("unit_effect_sd", "HalfNormal(0.20)", "spread of treatment effects over units, log points", "default"),
                ("region_sd", "HalfNormal(0.20)", "spread of treatment effects over regions, log points", "user"),
            ],
            columns=["parameter", "distribution", "meaning", "set_by"],
        )

    def predictive_check(self, draws: int = 200, seed: int = 0) -> SimpleNamespace:
        y = self.panel.column(self.model.outcome)
        rng = np.random.default_rng(seed)
        replicated = y.mean() + 0.9 * (y - y.mean()) + 0.35 * y.std() * rng.normal(size=(draws, y.size))
        statistics = {
            "mean": np.mean,
            "standard deviation": np.std,
            "minimum": np.min,
            "maximum": np.max,
            "autocorrelation within units": lambda v: np.corrcoef(v[1:], v[:-1])[0, 1],
        }
        rows = []
        for name, statistic in statistics.items():
            values = np.array([statistic(r) for r in replicated])
            rows.append((name, statistic(y), values.mean(), *np.quantile(values, [0.025, 0.975]), (values >= statistic(y)).mean()))
        table = pd.DataFrame(rows, columns=["statistic", "observed", "mean", "lower", "upper", "p_value"])
        return SimpleNamespace(observed=y, replicated=replicated, table=lambda: table)

    @property
    def heterogeneity(self) -> FakeHeterogeneity:
        return FakeHeterogeneity(self)

    def prior_sensitivity(self) -> PriorSensitivity:
        overall = self.att("simple")
        sources = ("full posterior, priors as given", "mode, priors as given", "mode, prior scales × 0.5", "mode, prior scales × 2")
        refits = sum((Estimates(overall.frame.assign(source=s)) for s in sources[1:]), Estimates(overall.frame.assign(source=sources[0])))
        scaling = pd.DataFrame(
            {
                "quantity": ["att overall", "region_sd"],
                "effect": [True, False],
                "prior": [0.01, 0.12],
                "likelihood": [0.09, 0.08],
                "strongest": ["region_sd", "region_sd"],
                "strongest_prior": [0.01, 0.11],
                "diagnosis": ["", "informative prior, perhaps in conflict with the data"],
            }
        )
        return PriorSensitivity(scaling, scaling[["prior"]], refits, {"factors": [0.5, 2.0]})

    def loo(self) -> SimpleNamespace:
        return SimpleNamespace(
            elpd=212.4,
            se=18.3,
            p=31.2,
            pareto_k=xr.DataArray(np.r_[np.full(self.panel.n_units - 1, 0.3), 0.74]),
            n_data_points=self.panel.n_units,
        )

    @property
    def meta(self) -> dict:
        return {
            "seed": 1,
            "sampler": "nutpie",
            "draws": self.draws,
            "tune": 500,
            "chains": self.chains,
            "target_accept": 0.9,
            "data_hash": "5a1f" * 16,
            "versions": {"python": "3.13", "pymc": "6.4", "jax": "0.12", "nutpie": "0.16"},
            "compile_seconds": 4.2,
            "sampling_seconds": 6.1,
            "created": "2026-01-01T00:00:00",
        }


def synthetic_baselines(fit: FakeFit) -> Estimates:
    """Invented point estimates with standard errors under names that a reader knows; and a published point without one."""
    rows = [
        {
            "estimand": "att",
            "term": "simple",
            "source": name,
            "estimate": b,
            "se": se,
            "lower": b - 1.96 * se,
            "upper": b + 1.96 * se,
            "level": 0.95,
            "interval": "normal, cluster by unit",
        }
        for name, b, se in (
            ("TWFE (synthetic)", 0.082, 0.058),
            ("Callaway–Sant'Anna, never treated (synthetic)", 0.110, 0.039),
            ("imputation (synthetic)", 0.080, 0.045),
        )
    ]
    rng = np.random.default_rng(7)
    for name, shift in (
        ("TWFE (synthetic)", 0.01),
        ("Callaway–Sant'Anna, never treated (synthetic)", 0.03),
        ("imputation (synthetic)", 0.0),
    ):
        for event, mean in fit.att("event").frame[["event_time", "estimate"]].itertuples(index=False):
            b, se = mean + shift + 0.02 * rng.normal(), 0.05
            rows.append(
                {
                    "estimand": "att",
                    "term": "event",
                    "event_time": event,
                    "source": name,
                    "estimate": b,
                    "se": se,
                    "lower": b - 1.96 * se,
                    "upper": b + 1.96 * se,
                    "level": 0.95,
                    "interval": "normal, cluster by unit",
                }
            )
    rows.append(
        {"estimand": "att", "term": "simple", "source": "published (synthetic)", "estimate": 0.08, "note": "no standard error printed"}
    )
    return Estimates.from_rows(rows)
