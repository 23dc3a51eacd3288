"""Space: weights, exposure to neighbours' treatment against loops over rows, spillovers that are there, and Moran's I."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy import sparse

import bayes
from bayes import Panel, exposure_columns, moran_test, neighbour_exposure, spillover
from bayes.did.draws import hyperparameters, posterior_dataset
from bayes.did.moran import residual_draws
from bayes.did.spatial import moran_moments, moran_statistic, spatial_weights
from bayes.errors import NoVariationError, SpatialWarning, SpecificationError
from tests.conftest import fabricated
from tests.did.dense import DensePanel, Point
from tests.panels import ROLES, simulated_frame


def ring(units, reach: int = 1) -> dict:
    """Each unit borders on those up to ``reach`` places before and after it in a circle."""
    n = len(units)
    return {u: [units[(i + d) % n] for d in range(-reach, reach + 1) if d] for i, u in enumerate(units)}


def shuffled_ring(panel: Panel, seed: int = 0) -> dict:
    """A ring in which neighbours are of any region and cohort."""
    return ring(np.random.default_rng(seed).permutation(panel.units).tolist(), 2)


# ── weights ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_three_forms_of_neighbours_agree():
    units = ["a", "b", "c"]
    lists = {"a": ["b", "c"], "b": ["a"], "c": ["a", "b"]}
    weighted = {u: dict.fromkeys(v, 1.0) for u, v in lists.items()}
    table = pd.DataFrame([[0, 1, 1], [1, 0, 0], [1, 1, 0]], units, units)
    expected = np.array([[0, 0.5, 0.5], [1, 0, 0], [0.5, 0.5, 0]])
    for form in (lists, weighted, table, table.loc[["c", "a", "b"], ["b", "c", "a"]]):
        np.testing.assert_array_equal(spatial_weights(units, form).toarray(), expected)
    np.testing.assert_array_equal(spatial_weights(units, table * 3, row_standardised=False).toarray(), table * 3)


@pytest.mark.parametrize(
    ("neighbours", "message"),
    [
        ({"a": ["b"]}, "neighbours of 1 units are not given .b."),
        ({"a": ["b"], "b": ["z"]}, "1 neighbours are no units of the panel .z."),
        ({"a": ["b"], "b": [], "z": []}, "no units of the panel .z."),
        ({"a": ["a"], "b": []}, "'a' is given as its own neighbour"),
        ({"a": {"b": -1.0}, "b": []}, "weight of 'b' for 'a' is -1"),
        ({"a": {"b": np.nan}, "b": []}, "weight of 'b' for 'a' is nan"),
        ({"a": "b", "b": []}, r"neighbours of 'a' must be a list, for example \['b'\]"),
        ([["a", "b"]], "must map each unit"),
        (pd.DataFrame(0, ["a", "a"], ["a", "b"]), "names 'a' twice"),
    ],
)
def test_unusable_weights_are_refused(neighbours, message):
    with pytest.raises(SpecificationError, match=message):
        spatial_weights(["a", "b"], neighbours)


def test_units_without_neighbours_and_neighbours_outside_are_named():
    with pytest.warns(SpatialWarning, match=r"1 units have no neighbour \(b\)"):
        spatial_weights(["a", "b"], {"a": ["b"], "b": []})
    with pytest.warns(SpatialWarning, match=r"left out \(z\)"):
        left = spatial_weights(["a", "b"], {"a": ["b", "z"], "b": ["a"], "q": ["a"]}, outside="leave-out")
    np.testing.assert_array_equal(left.toarray(), [[0, 1], [1, 0]])
    with pytest.raises(SpecificationError, match="'refuse', 'leave-out'"):
        spatial_weights(["a"], {"a": []}, outside="drop")


def test_neighbours_of_the_us_states():
    """105 borders, the number of the well-known map graph without the District of Columbia; each counted from both sides."""
    found = bayes.datasets.neighbours()
    panel = bayes.datasets.load("castle_doctrine")
    assert sorted(found) == sorted(panel.units)
    assert sum(map(len, found.values())) == 2 * 105
    assert all(a in found[b] for a in found for b in found[a])
    assert found["Alaska"] == found["Hawaii"] == []
    assert found["Maine"] == ["New Hampshire"]
    assert len(found["Missouri"]) == len(found["Tennessee"]) == 8  # the most that a state has
    assert "New Mexico" not in found["Utah"]
    assert "Michigan" not in found["Illinois"]
    with pytest.warns(SpatialWarning, match="Alaska, Hawaii"):
        assert spatial_weights(panel.units.tolist(), found).sum() == pytest.approx(48)


# ── exposure ────────────────────────────────────────────────────────────────────────────────────────────────────────


def brute_exposure(panel: Panel, neighbours: dict) -> np.ndarray:
    first = panel.frame.groupby("unit").first_treated.first()
    return np.array(
        [np.mean([first[v] <= year for v in neighbours[u]]) for u, year in zip(panel.frame.unit, panel.frame.year, strict=True)]
    )


@pytest.mark.parametrize("where", ["tiny_panel", "gappy_panel"])
def test_exposure_equals_a_loop_over_rows(where, request):
    panel = request.getfixturevalue(where)
    neighbours = shuffled_ring(panel)
    share, treated = brute_exposure(panel, neighbours), (panel.frame.year >= panel.frame.first_treated).to_numpy()
    f = neighbour_exposure(panel, neighbours, "near").frame
    np.testing.assert_allclose(f.near_untreated, np.where(treated, 0, share), atol=1e-14)
    np.testing.assert_allclose(f.near_treated, np.where(treated, share, 0), atol=1e-14)
    total = neighbour_exposure(panel, neighbours, row_standardised=False).frame
    np.testing.assert_allclose(total.neighbour_exposure_treated, np.where(treated, 4 * share, 0), atol=1e-14)
    cut = neighbour_exposure(panel, neighbours, levels=[0.25, 0.75])
    names = [f"neighbour_exposure_{s}{label}" for s in ("untreated", "treated") for label in ("(0,0.25]", "(0.25,0.75]", "(>0.75)")]
    assert exposure_columns(cut) == names
    np.testing.assert_array_equal(cut.frame[names[1]], ~treated & (share > 0.25) & (share <= 0.75))
    regional = neighbour_exposure(panel, neighbours, by_region=True)
    assert len(exposure_columns(regional)) == 6
    north = (panel.frame.region == "North").to_numpy()
    np.testing.assert_allclose(regional.frame["neighbour_exposure_treated:North"], np.where(treated & north, share, 0), atol=1e-14)


def test_exposure_asks_for_what_it_needs(tiny_panel):
    neighbours = shuffled_ring(tiny_panel)
    with pytest.raises(SpecificationError, match="no treatment timing"):
        neighbour_exposure(Panel.from_frame(tiny_panel.frame.drop(columns="first_treated"), unit="unit", time="year"), neighbours)
    for levels in ([0.5, 0.2], [0.0], [np.nan]):
        with pytest.raises(SpecificationError, match="increasing positive"):
            neighbour_exposure(tiny_panel, neighbours, levels=levels)
    with pytest.raises(SpecificationError, match="neighbour_exposure_treated"):
        neighbour_exposure(neighbour_exposure(tiny_panel, neighbours), neighbours)
    never = tiny_panel.units[np.isinf(tiny_panel.unit_first_treated)].tolist()
    lonely = {u: [v for v in never[:2] if v != u] for u in tiny_panel.units}
    with pytest.raises(NoVariationError, match="no exposure"):
        neighbour_exposure(tiny_panel, lonely)


def test_spillovers_and_the_effect_without_them_are_found():
    """Untreated neighbours of the treated lose 0.6 at full exposure, treated ones gain 0.3; ignoring this overstates the effect."""
    panel = Panel.from_frame(simulated_frame(n_units=90, noise=0.05), name="synthetic", **ROLES)
    exposed = neighbour_exposure(panel, shuffled_ring(panel))
    f = exposed.frame
    exposed = exposed.assign(y=f.y - 0.5 * f.x - 0.6 * f.neighbour_exposure_untreated + 0.3 * f.neighbour_exposure_treated)
    fit = fabricated(exposed, draws=200, covariates=tuple(exposure_columns(exposed)), leads=False)
    table = spillover(fit)
    truth = {"untreated": -0.6, "treated": 0.3}
    for row in table.where(estimand="spillover_per_exposure").frame.itertuples():
        assert abs(row.estimate - truth[row.term]) < 4 * row.se < 0.5
    for term in truth:
        column = exposed.column(f"neighbour_exposure_{term}")
        both = table.where(term=term)
        np.testing.assert_allclose(both.draws[0], both.draws[1] * column[column != 0].mean())
        assert (both.frame.n_obs == (column != 0).sum()).all()
    att, true = fit.att("simple", "att_population", weights="rows"), panel.frame.true_effect[panel.frame.treated == 1].mean()
    assert abs(att.frame.estimate[0] - true) < 4 * att.frame.se[0]
    ignored = fabricated(exposed, draws=200, leads=False).att("simple", "att_population", weights="rows").frame.estimate[0]
    assert ignored - true > 0.2


def test_spillovers_by_region_and_without_columns(tiny_panel):
    exposed = neighbour_exposure(tiny_panel, shuffled_ring(tiny_panel), by_region=True)
    table = spillover(fabricated(exposed, covariates=tuple(exposure_columns(exposed)), leads=False))
    assert list(table.frame.region[:3]) == ["Centre", "North", "South"]
    assert set(table.frame.term) == {"untreated", "treated"}
    with pytest.raises(SpecificationError, match="no covariate called near_untreated"):
        spillover(fabricated(exposed, leads=False), name="near")


# ── Moran's I ───────────────────────────────────────────────────────────────────────────────────────────────────────


def lattice(rows: int, columns: int) -> np.ndarray:
    place = np.indices((rows, columns)).reshape(2, -1).T
    return (np.abs(place[:, None] - place).sum(axis=2) == 1).astype(float)


def test_moran_of_patterns_with_a_known_answer():
    weights = sparse.csr_array(lattice(4, 4))
    board = np.indices((4, 4)).sum(axis=0).ravel() % 2
    assert moran_statistic(board.astype(float), weights) == pytest.approx(-1)
    halves = np.repeat([0.0, 1.0], 8)  # 24 borders, 4 of them between the halves
    assert moran_statistic(halves, weights) == pytest.approx((20 - 4) / 24)
    assert np.isnan(moran_statistic(np.ones(16), weights))


def test_moran_equals_double_loops_and_has_its_moments():
    rng = np.random.default_rng(3)
    w = rng.random((9, 9)) * (rng.random((9, 9)) < 0.4)
    np.fill_diagonal(w, 0)
    values = rng.normal(size=(2, 9))
    for x, found in zip(values, moran_statistic(values, sparse.csr_array(w)), strict=True):
        z = x - x.mean()
        cross = sum(w[i, j] * z[i] * z[j] for i in range(9) for j in range(9))
        assert found == pytest.approx(9 / w.sum() * cross / (z @ z))
    mean, sd = moran_moments(sparse.csr_array(w))
    drawn = moran_statistic(rng.normal(size=(40_000, 9)), sparse.csr_array(w))
    assert abs(drawn.mean() - mean) < 4 * sd / 200
    assert abs(drawn.std() / sd - 1) < 0.02


def test_moran_moments_of_the_binary_ring():
    """n units in a circle: S0 = 2n, S1 = 4n, S2 = 16n, put into the formula by hand for n = 10."""
    w = np.roll(np.eye(10), 1, axis=0) + np.roll(np.eye(10), -1, axis=0)
    mean, sd = moran_moments(sparse.csr_array(w))
    assert mean == pytest.approx(-1 / 9)
    assert sd**2 == pytest.approx((100 * 40 - 10 * 160 + 3 * 400) / (99 * 400) - 1 / 81)


def test_residuals_are_what_effects_drawn_leave(gappy_panel):
    """Their mean over draws equals the outcome less the exact posterior mean of everything else, by dense algebra at fixed scales."""
    fit = fabricated(gappy_panel, leads=False)
    names, shape = fit.model.parameters(fit._collapsed), (1, 800)
    values = {n: float(fit.posterior[n].mean()) for n in names}
    fixed = posterior_dataset({n: np.full(shape, v) for n, v in values.items()}, fit._collapsed, fit.model.resolved_priors(), 1)
    tree = xr.DataTree.from_dict({"posterior": fixed})
    fit = type(fit)(fit.model, fit.panel, tree)
    residual = residual_draws(fit, 800, 2)
    dense = DensePanel(fit.model, fit.panel)
    expected, sd = dense_residual(dense, values)
    error = np.abs(residual.mean(axis=0) - expected) / (residual.std(axis=0) / np.sqrt(800))
    assert error.max() < 5
    assert abs(np.mean(residual.std(axis=0) / sd) - 1) < 0.02


def dense_residual(dense: DensePanel, values: dict[str, float]) -> tuple[np.ndarray, np.ndarray]:
    """Posterior mean and sd of every ε given the scales: y is Gaussian with flat effects, ε is one of its parts."""
    c = dense.collapsed
    h = hyperparameters({n: np.full(1, v) for n, v in values.items()}, c, dense.spec.resolved_priors())
    components = tuple(zip(dense.names, h.component_sds[0], strict=True))
    point = Point(float(h.innovation_sd[0]), float(h.autocorrelation[0]), float(h.unit_sds[0, 0]), components=components)
    v, errors, x = dense.marginal_covariance(point), dense.errors(point), dense.flat_design
    inverse = np.linalg.inv(v)
    p = inverse - inverse @ x @ np.linalg.pinv(x.T @ inverse @ x) @ x.T @ inverse
    return errors @ p @ dense.outcome * c.scales[-1], np.sqrt(np.diag(errors - errors @ p @ errors)) * c.scales[-1]


@pytest.fixture(scope="module")
def correlated():
    """Synthetic: 60 units in a ring; a wave that moves along the ring is added to the outcome of every period."""
    frame = simulated_frame(n_units=60, noise=0.05)
    rng = np.random.default_rng(2)
    angle = 2 * np.pi * frame.unit.str[1:].astype(int) / 60
    phase, size = rng.uniform(0, 2 * np.pi, 8), rng.normal(0, 0.3, 8)
    wave = size[frame.year - 2001] * np.sin(angle + phase[frame.year - 2001])
    roles = {k: v for k, v in ROLES.items() if k != "region"}
    build = {"quiet": frame.y - 0.5 * frame.x, "waves": frame.y - 0.5 * frame.x + wave}
    return {k: fabricated(Panel.from_frame(frame.assign(y=y), name="synthetic", **roles), leads=False) for k, y in build.items()}


def test_spatial_correlation_is_found_where_it_is(correlated):
    found = {}
    for name, fit in correlated.items():
        test = moran_test(fit, ring(fit.panel.units.tolist()), draws=40, permutations=199, seed=4)
        found[name] = test.tests.set_index("term").loc["all"]
        assert len(test.tests) == len(test.estimates) == 9
        assert test.estimates.draws.shape == (9, 40)
        np.testing.assert_allclose(test.estimates.draws[-1], test.estimates.draws[:-1].mean(axis=0))
        assert test.estimates.meta["seed"] == test.seed == 4
        assert "Moran's I" in repr(test)
    assert found["waves"].p_permutation == 1 / 200
    assert found["waves"].p_normal < 1e-6
    assert found["waves"].observed > 0.5
    assert found["quiet"].p_permutation > 0.05
    assert found["quiet"].expected == pytest.approx(-1 / 59)


def test_moran_counts_who_is_there(gappy_panel):
    fit = fabricated(gappy_panel, leads=False)
    neighbours = ring(gappy_panel.units.tolist())
    test = moran_test(fit, neighbours, draws=20, permutations=50)
    again = moran_test(fit, neighbours, draws=20, permutations=50)
    pd.testing.assert_frame_equal(test.tests, again.tests)
    residual = residual_draws(fit, 20, 0).mean(axis=0)
    for row in test.tests.iloc[:-1].itertuples():
        here = (gappy_panel.frame.year == row.period).to_numpy()
        units, values = gappy_panel.frame.unit[here].tolist(), residual[here]
        linked = [i for i, u in enumerate(units) if set(neighbours[u]) & set(units)]
        z = values[linked] - values[linked].mean()
        weight = np.array([[(units[j] in neighbours[units[i]]) / 2 for j in linked] for i in linked])
        assert row.units == len(linked)
        assert row.observed == pytest.approx(len(linked) / weight.sum() * (z @ weight @ z) / (z @ z))


def test_moran_refuses_what_it_cannot_do(tiny_panel):
    fit = fabricated(tiny_panel, leads=False)
    with pytest.raises(SpecificationError, match="draws must be a whole number"):
        moran_test(fit, ring(tiny_panel.units.tolist()), draws=1)
    pair = {u: [] for u in tiny_panel.units} | {"u000": ["u001"], "u001": ["u000"]}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpatialWarning)
        with pytest.raises(SpecificationError, match="No period has 4 units"):
            moran_test(fit, pair)
