"""The cluster-robust posterior: sandwiches against dense algebra, leaving out against refits, ordinary least squares, and bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes import Panel, StaggeredDiD
from bayes.did.draws import hyperparameters
from bayes.did.robust import scores_at_the_mean
from bayes.did.unit_scores import ClusterScores, sandwich
from bayes.errors import MissingColumnError, SpecificationError, UnsupportedModelError
from tests.conftest import fabricated
from tests.did.dense import COMPONENT_SDS, DensePanel, Point, panel_of
from tests.panels import ROLES, simulated_frame


class Dense:
    """Every unit's part of the log posterior in dense matrices, at the posterior means of the scales of a fit."""

    def __init__(self, fit):
        dense, c = DensePanel(fit.model, fit.panel), fit._collapsed
        scalars = {n: fit.posterior[n].to_numpy().mean(keepdims=True) for n in fit.model.parameters(c)}
        h = hyperparameters(scalars, c, fit.model.resolved_priors())
        units = dict(zip(c.unit_columns.names, h.unit_sds[0], strict=True))
        components = tuple(zip(dense.names, h.component_sds[0], strict=True))
        assert set(dense.names) <= set(COMPONENT_SDS)
        point = Point(float(h.innovation_sd[0]), float(h.autocorrelation[0]), **units, components=components)
        cells = dense.cells
        if c.basis is None:
            kept = c.flat_cell_columns(())
            cells = cells[:, kept[kept >= c.n_flat_common] - c.n_flat_common]
        self.w = np.hstack([dense.flat, cells])
        self.y, self.scale = dense.outcome, c.scales[-1]
        v = dense.errors(point)
        for sd, z in zip(point.unit_sds(dense.unit_names), dense.unit_columns, strict=True):
            v = v + sd**2 * z @ z.T
        self.rows = [np.flatnonzero(dense.rows.unit.to_numpy() == u) for u in fit.panel.units]
        self.m = []
        for at in self.rows:
            inverse = np.linalg.inv(v[np.ix_(at, at)])
            one = inverse @ np.ones(at.size)
            self.m.append(inverse - np.outer(one, one) / one.sum())
        prior = np.zeros((self.w.shape[1],) * 2)
        if c.basis is not None:
            f = dense.loadings(point)
            prior[-len(f) :, -len(f) :] = np.linalg.inv(f @ f.T)
        self.information = [self.w[at].T @ m @ self.w[at] for at, m in zip(self.rows, self.m, strict=True)]
        self.linear = [self.w[at].T @ m @ self.y[at] for at, m in zip(self.rows, self.m, strict=True)]
        self.precision, self.right = prior + sum(self.information), sum(self.linear)
        self.mean = np.linalg.solve(self.precision, self.right)

    def scores(self, cluster: np.ndarray) -> np.ndarray:
        by_unit = [w - i @ self.mean for w, i in zip(self.linear, self.information, strict=True)]
        return np.array([sum(s for s, k in zip(by_unit, cluster, strict=True) if k == c) for c in range(cluster.max() + 1)])

    def without(self, members: np.ndarray) -> np.ndarray:
        """The posterior mean when these units are left out and everything else is solved again."""
        precision = self.precision - sum(self.information[i] for i in members)
        return np.linalg.solve(precision, self.right - sum(self.linear[i] for i in members))


MODELS = {
    "default": {"covariates": ("x",)},
    "trends": {"unit_trends": True, "pooling": ("region", "cell"), "errors": "iid"},
    "flat": {"pooling": "none"},
    "one region's own periods": {"period_effects": "region", "anticipation": 1},
}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.parametrize("where", ["tiny_panel", "gappy_panel"])
def test_scores_and_sandwich_equal_dense_algebra(kind, where, request):
    fit = fabricated(request.getfixturevalue(where), leads=False, **MODELS[kind])
    dense, n = Dense(fit), fit.panel.n_units
    for cluster in (np.arange(n), np.arange(n) % 5):
        posterior, scores, _ = scores_at_the_mean(fit, cluster, True)
        np.testing.assert_allclose(posterior.covariance, np.linalg.inv(dense.precision), rtol=1e-7, atol=1e-10)
        np.testing.assert_allclose(posterior.mean, dense.mean, rtol=1e-7, atol=1e-9)
        expected = dense.scores(cluster)
        np.testing.assert_allclose(scores.score, expected, rtol=1e-7, atol=1e-8 * np.abs(expected).max())
        h = np.linalg.inv(dense.precision)
        np.testing.assert_allclose(
            sandwich(posterior, ClusterScores(scores.score, None)), h @ expected.T @ expected @ h, rtol=1e-6, atol=1e-10
        )


@pytest.mark.parametrize("kind", ["default", "trends"])
@pytest.mark.parametrize("clusters", [24, 7])
def test_leaving_out_equals_solving_again_without_the_cluster(kind, clusters, tiny_panel):
    fit = fabricated(tiny_panel, leads=False, **MODELS[kind])
    dense, cluster = Dense(fit), np.arange(tiny_panel.n_units) % clusters
    posterior, scores, _ = scores_at_the_mean(fit, cluster, True)
    moved = np.array([dense.mean - dense.without(np.flatnonzero(cluster == c)) for c in range(clusters)])
    expected = (clusters - 1) / clusters * moved.T @ moved
    np.testing.assert_allclose(sandwich(posterior, scores), expected, rtol=1e-6, atol=1e-10)


def saturated(panel: Panel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Design of unit, period and region × cohort × period dummies, outcome, and the weights that average the cells over treated rows."""
    f = panel.frame
    treated = f.year >= f.first_treated
    cell = (f.region + f.first_treated.astype(str) + f.year.astype(str)).where(treated, "")
    dummies = [pd.get_dummies(f.unit), pd.get_dummies(f.year).iloc[:, 1:], pd.get_dummies(cell).drop(columns="")]
    x = np.hstack([d.to_numpy(float) for d in dummies])
    weight = np.r_[np.zeros(dummies[0].shape[1] + dummies[1].shape[1]), dummies[2].sum()]
    return x, f.y.to_numpy(), weight / weight.sum()


def test_flat_iid_cells_give_the_cluster_standard_errors_of_least_squares():
    """CR0 exactly, CR1 up to its factor (statsmodels), and the jackknife of refitted regressions."""
    import statsmodels.api as sm

    panel = Panel.from_frame(simulated_frame(n_units=60), **ROLES)
    fit = fabricated(panel, pooling="none", errors="iid", unit_effects="fixed", leads=False)
    x, y, weight = saturated(panel)
    units = panel.unit_codes
    plain = fit.cluster_robust("simple", weights="rows", small_sample="none").frame.iloc[0]
    found = sm.OLS(y, x).fit(cov_type="cluster", cov_kwds={"groups": units})
    n, k, g = *x.shape, panel.n_units
    factor = g / (g - 1) * (n - 1) / (n - k)
    assert plain.se == pytest.approx(np.sqrt(weight @ found.cov_params() @ weight / factor), rel=1e-8)
    without = []
    for u in range(g):
        kept = units != u
        without.append(weight @ np.linalg.lstsq(x[kept], y[kept], rcond=None)[0])
    jackknife = np.sqrt((g - 1) / g * ((np.array(without) - weight @ found.params) ** 2).sum())
    assert fit.cluster_robust("simple", weights="rows").frame.se[0] == pytest.approx(jackknife, rel=1e-8)


@pytest.fixture(scope="module")
def fit():
    """More units than columns, as the sandwich needs."""
    return fabricated(Panel.from_frame(simulated_frame(n_units=60), name="synthetic", **ROLES), draws=200, leads=False, covariates=("x",))


def test_draws_keep_the_centre_and_take_the_sandwich_as_their_covariance(fit):
    for by in ("simple", "region:event", "cell"):
        robust, ours = fit.cluster_robust(by), fit.att(by, "att_population")
        np.testing.assert_allclose(robust.draws.mean(axis=1), ours.draws.mean(axis=1), rtol=1e-9, atol=1e-12)
        assert list(robust.frame.event_time.fillna(-9)) == list(ours.frame.event_time.fillna(-9))
    region, simple = fit.cluster_robust("region"), fit.cluster_robust("simple")
    rows = region.frame.n_obs.to_numpy(float)
    panel_weights = fit.cluster_robust("region", weights="rows")
    joined = np.cov(panel_weights.draws)
    w = rows / rows.sum()
    assert np.sqrt(w @ joined @ w) == pytest.approx(fit.cluster_robust("simple", weights="rows").frame.se[0], rel=1e-6)
    assert simple.meta["clusters"] == 60
    assert (simple.frame.interval == "equal-tailed, cluster-robust posterior").all()


def test_a_coarser_cluster_by_column_or_mapping(fit):
    by_column = fit.cluster_robust(cluster="region")
    regions = dict(zip(fit.panel.units, fit.panel.regions[fit.panel.unit_regions], strict=True))
    by_mapping = fit.cluster_robust(cluster=pd.Series(regions, name="region"))
    np.testing.assert_array_equal(by_column.draws, by_mapping.draws)
    assert "few clusters (3 by region)" in by_column.frame.note[0]
    assert by_column.frame.source[0].endswith("cluster-robust by region (jackknife)")
    assert by_column.frame.se[0] != pytest.approx(fit.cluster_robust().frame.se[0], rel=1e-3)


def one_treated() -> Panel:
    """South has one treated unit of the first cohort and none of the other."""
    frame = simulated_frame(n_units=60)
    south = sorted(frame.unit[(frame.region == "South") & (frame.first_treated == 2004)].unique())
    other = frame.unit[(frame.region == "South") & (frame.first_treated == 2006)].unique()
    return Panel.from_frame(frame[~frame.unit.isin([*south[1:], *other])], **ROLES)


@pytest.mark.parametrize("pooling", ["none", "complete", ("region", "cell")])
def test_one_treated_unit_has_no_robust_spread(pooling):
    table = fabricated(one_treated(), pooling=pooling, leads=False).cluster_robust("region").frame.set_index("region")
    assert np.isnan(table.se["South"])
    assert not table.identified["South"]
    assert "one treated unit" in table.note["South"]
    assert table.se["North"] > 0


def test_what_limits_the_spread_is_said():
    panel = one_treated()
    flat = fabricated(panel, pooling="none", leads=False).cluster_robust(weights="rows").frame
    assert "of the weight in cells of one treated unit, whose own spread is not seen" in flat.note[0]
    pooled = fabricated(panel, leads=False, priors={"level": 0.001, "drift": 0.001}, pooling="complete").cluster_robust().frame
    assert "descriptive: strong pooling" in pooled.note[0]
    few = panel.frame[panel.frame.unit.isin(sorted(panel.frame.unit.unique())[:9])]
    crowded = fabricated(Panel.from_frame(few, **ROLES), pooling="none", leads=False).cluster_robust()
    assert np.isnan(crowded.frame.se[0])
    assert "9 units for" in crowded.frame.note[0]


def test_bad_input_names_the_place(fit):
    with pytest.raises(SpecificationError, match="att_population"):
        fit.cluster_robust(estimand="att")
    with pytest.raises(SpecificationError, match="'leave-one-out', 'none'"):
        fit.cluster_robust(small_sample="cr1")
    with pytest.raises(MissingColumnError, match="'state'"):
        fit.cluster_robust(cluster="state")
    with pytest.raises(SpecificationError, match="unit 'u000' lies in several"):
        fit.cluster_robust(cluster="year")
    with pytest.raises(SpecificationError, match="unit 'u001'"):
        fit.cluster_robust(cluster={"u000": "a"})
    with pytest.raises(SpecificationError, match="Unknown aggregation"):
        fit.cluster_robust("country")
    heavy = StaggeredDiD("y", likelihood="student-t", leads=False)
    with pytest.raises(UnsupportedModelError, match="cluster-robust"):
        type(fit)(heavy, fit.panel, fit.tree).cluster_robust()


def test_widths_side_by_side(fit):
    table = fit.interval_check(weights="rows")
    assert len(table) == 5
    assert table.sd_ratio[0] == 1
    np.testing.assert_allclose(table.sd_ratio * table.se, table.se[0])
    assert table.source[4].startswith("ETWFE")
    assert table.note[4].startswith("cells at event times")
    by_region = fit.interval_check(cluster="region", weights="rows")
    assert by_region.se[4] != pytest.approx(table.se[4], rel=1e-3)
    with_dose = fabricated(fit.panel.assign(dose=1.0 + fit.panel.unit_codes % 3), dose="dose", leads=False)
    assert "neither doses" in with_dose.interval_check().note[4]


def test_few_treated_clusters_stand_beside_their_standard_error(fit):
    frame = fit.panel.frame
    one = panel_of(frame.assign(first_treated=frame.first_treated.where(frame.unit == fit.panel.units[0])))
    table = fabricated(one, leads=False).interval_check(weights="rows")
    assert table.se[[2, 3]].isna().all()
    assert "few treated clusters (1 by unit)" in table.note[4]
    assert "one treated unit: what the effect would be on others rests on the prior" in table.note[0]
