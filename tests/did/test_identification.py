"""Which cells the flat design determines: rank against brute-force null spaces, and what a table says about the others."""

from __future__ import annotations

import numpy as np
import pytest

from bayes import Panel, StaggeredDiD
from bayes.did.draws import posterior_dataset, with_untreated_regions
from bayes.errors import SpecificationError
from tests.conftest import fabricated
from tests.did.dense import DensePanel, panel_of
from tests.panels import simulated_frame

FRAME = simulated_frame(n_units=24, n_periods=8)
NEVER = FRAME.first_treated.isna()
LATE = FRAME.groupby("unit").first_treated.transform("first") == 2006.0


def everybody_treated_at_last():
    """The never treated leave after 2006: in 2007 and 2008 every unit is treated."""
    return FRAME[~(NEVER & (FRAME.year > 2006))]


def fully_treated_region():
    """Every unit of the South is treated in 2004: no comparison within the South."""
    south = FRAME.region == "South"
    return FRAME.assign(first_treated=FRAME.first_treated.mask(south, 2004.0))


CASES = {
    "all identified": (FRAME, {}),
    "last periods all treated": (everybody_treated_at_last(), {}),
    "last periods all treated, leads too": (everybody_treated_at_last(), {"anticipation": 1}),
    "region fully treated, common periods": (fully_treated_region(), {}),
    "region fully treated, its own periods": (fully_treated_region(), {"period_effects": "region"}),
    "not-yet-treated only": (FRAME[~NEVER], {}),
    "gaps": (simulated_frame(n_units=12, n_periods=7, gaps=True), {"period_effects": "region", "covariates": ("x",)}),
    "covariate only the treated have": (
        FRAME.assign(x=np.where(FRAME.year >= FRAME.first_treated, FRAME.year - 2000.0, 0.0)),
        {"covariates": ("x",)},
    ),
}


def in_row_space(x: np.ndarray) -> np.ndarray:
    """Coefficients that the columns determine: their coordinate vectors have no part in the null space of x, by singular values."""
    x = x / np.maximum(np.linalg.norm(x, axis=0), 1e-300)
    _, values, right = np.linalg.svd(x, full_matrices=True)
    rank = int((values > 1e-8 * values[0]).sum())
    return np.abs(right[rank:]).max(axis=0, initial=0.0) < 1e-6


@pytest.mark.parametrize("name", CASES)
def test_identified_cells_and_leads_equal_the_brute_force_null_space(name):
    frame, options = CASES[name]
    dense = DensePanel(StaggeredDiD("y", **options), panel_of(frame))
    flat = np.hstack([dense.unit_dummies, dense.flat])
    n = flat.shape[1]
    cells = in_row_space(np.hstack([flat, dense.cells]))[n:]
    leads = in_row_space(np.hstack([flat, dense.cells, dense.leads]))[n + cells.size :]
    np.testing.assert_array_equal(dense.collapsed.identified_cells, cells)
    np.testing.assert_array_equal(dense.collapsed.identified_leads, leads)


def test_the_cases_cover_both_answers():
    def identified(name):
        frame, options = CASES[name]
        return StaggeredDiD("y", **options).collapse(panel_of(frame)).identified_cells

    assert identified("all identified").all()
    for name in set(CASES) - {"all identified", "region fully treated, common periods", "gaps"}:
        assert not identified(name).all(), name


def test_a_cell_with_only_not_yet_treated_comparisons_is_identified():
    """2004 and 2005 have no never-treated row here, but the cohort of 2006 stands untreated."""
    dense = DensePanel(StaggeredDiD("y"), panel_of(FRAME[~NEVER]))
    cells, known = dense.collapsed.design.cells, dense.collapsed.identified_cells
    period = dense.collapsed.calendar(cells.period)
    assert known[period < 2006].all()
    assert not known[period >= 2006].any()


@pytest.fixture(scope="module")
def last_treated():
    return panel_of(everybody_treated_at_last())


@pytest.fixture(scope="module")
def pooled(last_treated):
    return fabricated(last_treated, pooling=("event", "region"), covariates=("x",))


@pytest.fixture(scope="module")
def unpooled(last_treated):
    return fabricated(last_treated, pooling="none", covariates=("x",))


def test_tables_leave_unidentified_cells_out_and_say_so(pooled, unpooled):
    for fit in (pooled, unpooled):
        calendar = fit.att("calendar").frame.set_index("period")
        assert calendar.estimate[[2004.0, 2005.0, 2006.0]].notna().all()
        assert calendar.estimate[[2007.0, 2008.0]].isna().all()
        assert (calendar.identified == calendar.estimate.notna()).all()
        assert calendar.note[2007.0].endswith("not identified: no untreated comparison for these cells")
        simple = fit.att("simple").frame.iloc[0]
        assert np.isfinite(simple.estimate)
        assert not simple.identified
        cells = fit.att("cell", weights="rows").frame
        share = cells.n_obs[cells.identified].sum() / cells.n_obs.sum()
        assert f"over identified cells only ({share:.0%} of the weight)" in fit.att("simple", weights="rows").frame.note[0]


def test_averages_over_identified_cells_ignore_the_others(unpooled):
    """Redundant flat cells are NaN in the draws; they must not reach an average that leaves them out."""
    cells = unpooled.att("cell", weights="rows")
    keep = cells.frame.identified.to_numpy()
    expected = np.average(cells.draws[keep], axis=0, weights=cells.frame.n_obs[keep])
    np.testing.assert_allclose(unpooled.att("simple", weights="rows").draws[0], expected, rtol=1e-10)


def test_extrapolation_is_flagged(pooled):
    frame = pooled.att("calendar", extrapolate=True).frame.set_index("period")
    assert frame.estimate.notna().all()
    assert not frame.identified[[2007.0, 2008.0]].any()
    assert frame.note[[2007.0, 2008.0]].str.contains("prior-driven: 100% of the weight").all()
    assert not frame.note[[2004.0, 2005.0]].str.contains("prior-driven").any()


def test_nothing_to_extrapolate_from_without_pooling(unpooled):
    with pytest.raises(SpecificationError, match="no hierarchy"):
        unpooled.att("calendar", extrapolate=True)


@pytest.fixture(scope="module")
def untreated_region():
    frame = FRAME.assign(first_treated=FRAME.first_treated.mask(FRAME.region == "South"))
    return fabricated(panel_of(frame), draws=400, covariates=("x",))


def test_a_region_without_treated_units_is_named_and_predicted_on_request_only(untreated_region):
    row = untreated_region.att("region").where(region="South").frame.iloc[0]
    assert np.isnan(row.estimate)
    assert not row.identified
    assert "no treated unit in this region" in row.note
    assert row.n_obs == 0
    predicted = untreated_region.att("region", extrapolate=True)
    row = predicted.where(region="South").frame.iloc[0]
    assert np.isfinite(row.estimate)
    assert not row.identified
    assert "prior-driven" in row.note
    assert row.n_obs == 0
    plain = untreated_region.att("region")
    np.testing.assert_array_equal(predicted.where(region="North").draws, plain.where(region="North").draws)
    other = plain.where(region=["Centre", "North"]).frame
    assert row.se > other.se.max()
    events = untreated_region.att("region:event", extrapolate=True).where(region="South").frame
    assert len(events) == 5
    assert events.estimate.notna().all()


def test_predictions_move_with_the_effects_they_are_predicted_from(untreated_region):
    draws = untreated_region.att("region", extrapolate=True, estimand="att_population").draws
    assert np.corrcoef(draws)[:2, 2].max() > 0.1


def test_one_treated_region_does_not_make_the_others_its_copies(tiny_frame):
    """The spread between regions cannot be seen in one region, so predictions of the others carry its prior."""
    only = np.where(tiny_frame["region"] == tiny_frame["region"].min(), tiny_frame["first_treated"], np.inf)
    panel = Panel.from_frame(
        tiny_frame.assign(first_treated=only), unit="unit", time="year", region="region", first_treated="first_treated"
    )
    model = StaggeredDiD("y", leads=False, pooling=("event", "region"))
    collapsed, priors = model.collapse(panel), model.resolved_priors()
    assert "region_sd" not in model.parameters(collapsed)
    small = 1e-3 * collapsed.scales[-1]
    scalars = {n: np.full((1, 4000), 0.3 if n == "autocorrelation" else small) for n in model.parameters(collapsed)}
    fitted = posterior_dataset(scalars, collapsed, priors, 1)
    cells = with_untreated_regions(fitted, collapsed, priors, 1)["cell_effect"].to_numpy()[0]
    distance = cells[:, collapsed.design.cells.size] - cells[:, 0]
    expected = np.sqrt(2) * priors["region_sd"].parameters["sigma"] * collapsed.scales[-1]
    assert distance.std() > 0.5 * expected
