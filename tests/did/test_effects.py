"""Aggregations against brute force on the treated rows, and the three estimands against each other."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes import Panel
from bayes.errors import SpecificationError
from tests.conftest import fabricated
from tests.panels import ROLES, simulated_frame

AGGREGATIONS = ("simple", "event", "cohort", "calendar", "region", "region:event", "cell")
LABELS = {
    "simple": [], "event": ["event_time"], "cohort": ["cohort"], "calendar": ["period"], "region": ["region"],
    "region:event": ["region", "event_time"], "cell": ["region", "cohort", "period", "event_time"],
}  # fmt: skip


def treated_rows(fit) -> pd.DataFrame:
    """Every treated row with its labels, weight, cell, and group of its unit, from the frame alone."""
    p = fit.panel
    f = p.frame
    rows = pd.DataFrame(
        {
            "unit": f[p.unit],
            "region": f[p.region].astype(str),
            "cohort": p.periods[0] + p.step * np.ceil((f[p.first_treated] - p.periods[0]) / p.step),
            "period": f[p.time].astype(float),
            "weight": f.groupby(p.unit)[p.weights].transform("mean") if p.weights else 1.0,
            "dates": f.groupby(p.unit)[p.time].transform(lambda t: hash(tuple(t))),
        }
    )
    rows["event_time"] = (rows.period - rows.cohort) / p.step
    return rows[rows.event_time >= -fit.model.anticipation].reset_index(drop=True)


def brute_force(fit, by: str, weights: str, estimand: str) -> dict[tuple, np.ndarray]:
    """Weighted mean over the treated rows of each row's cell effect plus its group's unit effect, in every draw."""
    posterior, rows = fit.posterior, treated_rows(fit)
    cells = list(zip(posterior.cell_region.values, posterior.cell_cohort.values, posterior.cell_event_time.values, strict=True))
    effect = posterior.cell_effect.values.reshape(-1, len(cells))
    row_effect = effect[:, [cells.index(k) for k in zip(rows.region, rows.cohort, rows.event_time, strict=True)]]
    if estimand == "att":
        name = "group_effect" if weights == "rows" else "group_effect_weighted"
        row_effect = row_effect + posterior[name].values.reshape(len(effect), -1)[:, group_of(fit, rows)]
    elif estimand == "att_new_unit":
        row_effect = row_effect + posterior.new_unit_effect.values.reshape(-1, 1)
    if by in ("simple", "cohort", "calendar", "region"):
        keep = rows.event_time >= 0
        rows, row_effect = rows[keep].reset_index(drop=True), row_effect[:, keep]
    w = rows.weight if weights == "panel" else pd.Series(1.0, index=rows.index)
    groups = rows.groupby(LABELS[by]).indices if LABELS[by] else {(): np.arange(len(rows))}
    return {_key(k): np.average(row_effect[:, i], axis=1, weights=w.iloc[i]) for k, i in groups.items()}


def _key(label) -> tuple:
    return tuple(label) if isinstance(label, tuple) else (label,)


def group_of(fit, rows: pd.DataFrame) -> np.ndarray:
    """Position of each row's unit among the groups: the same region, cohort and observed dates."""
    c = fit._collapsed
    hashed = {hash(tuple(int(t) for t in c.calendar(g.dates))): g.dates.tobytes() for g in c.groups}
    keys = [(c.regions[g.region], float(c.calendar(g.cohort)), g.dates.tobytes()) for g in c.groups]
    return np.array([keys.index((r, g, hashed[d])) for r, g, d in zip(rows.region, rows.cohort, rows.dates, strict=True)])


@pytest.fixture(scope="module")
def gappy_fit(gappy_panel):
    return fabricated(gappy_panel, anticipation=1, covariates=("x",))


@pytest.fixture(scope="module")
def biennial_fit():
    frame = simulated_frame()
    frame = frame.assign(year=2001 + 2 * (frame.year - 2001), first_treated=2000 + 2 * (frame.first_treated - 2001))
    assert (frame.first_treated.dropna() % 2 == 0).all()  # even years of treatment on a grid of odd years: treated from the next one on
    return fabricated(Panel.from_frame(frame, **ROLES))


@pytest.mark.parametrize("fit", ["tiny_fit", "gappy_fit", "biennial_fit"])
@pytest.mark.parametrize("weights", ["rows", "panel"])
def test_every_aggregation_is_the_mean_over_treated_rows(fit, weights, request):
    fit = request.getfixturevalue(fit)
    for by in AGGREGATIONS:
        for estimand in ("att", "att_population", "att_new_unit"):
            table = fit.att(by, estimand=estimand, weights=weights)
            rows = ~table.frame.note.str.startswith("lead")
            expected = brute_force(fit, by, weights, estimand)
            labels = [_key(tuple(r)) for r in table.frame.loc[rows, LABELS[by]].itertuples(index=False)]
            assert set(labels) == set(expected), by
            for label, draws in zip(labels, table.draws[rows], strict=True):
                np.testing.assert_allclose(draws, expected[label], rtol=1e-9, atol=1e-12, err_msg=f"{by} {label} {estimand}")
            assert (table.frame.estimand == estimand).all()
            assert (table.frame.term == by).all()


def test_event_time_counts_steps_of_the_grid(biennial_fit):
    cells = biennial_fit.att("cell").frame
    assert set(cells.event_time) == {0.0, 1.0, 2.0, 3.0, 4.0}
    np.testing.assert_array_equal(cells.period, cells.cohort + 2 * cells.event_time)
    assert (cells.cohort % 2 == 1).all()


def test_anticipation_appears_by_event_time_and_nowhere_else(gappy_fit):
    event = gappy_fit.att("event").frame
    assert -1.0 in event.event_time.to_numpy()[~event.note.str.startswith("lead")]
    assert -2.0 not in set(event.event_time)  # the reference
    assert event.event_time[event.note.str.startswith("lead")].max() == -3.0
    treated = treated_rows(gappy_fit)
    assert gappy_fit.att("simple").frame.n_obs[0] == (treated.event_time >= 0).sum()


def test_number_of_rows_behind_each_estimate(tiny_fit):
    rows = treated_rows(tiny_fit)
    assert tiny_fit.att("simple").frame.n_obs[0] == len(rows)
    for by in ("cohort", "calendar", "region"):
        assert tiny_fit.att(by).frame.n_obs.sum() == len(rows)
    leads = tiny_fit.att("event").frame.query("event_time < 0")
    event = (tiny_fit.panel.frame.year - tiny_fit.panel.frame.first_treated).value_counts()
    assert dict(zip(leads.event_time, leads.n_obs, strict=True)) == {e: event[e] for e in event.index if np.isfinite(e) and e < -1}


def test_att_is_the_population_effect_plus_the_units_own(tiny_fit):
    """Differences of the estimands are the unit effects themselves, with mean near zero and the spread of their scale."""
    own = tiny_fit.att("simple").draws - tiny_fit.att("simple", estimand="att_population").draws
    new = tiny_fit.att("simple", estimand="att_new_unit").draws - tiny_fit.att("simple", estimand="att_population").draws
    np.testing.assert_allclose(new[0], tiny_fit.posterior.new_unit_effect.values.ravel(), atol=1e-12)
    sd = np.sqrt((tiny_fit.posterior.unit_effect_sd.values**2).mean())
    assert 0.8 * sd < new.std() < 1.2 * sd
    assert own.std() < new.std()


def test_without_random_unit_effects_the_three_estimands_are_one(tiny_panel):
    fit = fabricated(tiny_panel, unit_effects="fixed", covariates=("x",))
    first = fit.att("region").draws
    for estimand in ("att_population", "att_new_unit"):
        np.testing.assert_array_equal(fit.att("region", estimand=estimand).draws, first)
    assert "unit_effect_sd" not in fit.posterior
    assert "group_effect" not in fit.posterior


def test_default_weights_are_the_panel_s_and_are_named(tiny_fit):
    np.testing.assert_array_equal(tiny_fit.att().draws, tiny_fit.att(weights="panel").draws)
    assert "panel weights" in tiny_fit.att().frame.note[0]
    assert "treated rows" in tiny_fit.att(weights="rows").frame.note[0]
    assert not np.array_equal(tiny_fit.att(weights="rows").draws, tiny_fit.att(weights="panel").draws)


def test_prior_and_unpooled_tables_have_the_same_rows(tiny_fit):
    for by in AGGREGATIONS:
        table = tiny_fit.att(by)
        keys = ["estimand", "term", "region", "cohort", "period", "event_time"]
        rows = table.frame[~table.frame.note.str.startswith("lead")][keys].reset_index(drop=True)
        prior = tiny_fit.prior_att(by).frame
        pd.testing.assert_frame_equal(prior[keys].reset_index(drop=True), rows)
        assert (prior.source == "prior").all()
        pd.testing.assert_frame_equal(tiny_fit.unpooled(by).frame[keys], table.frame[keys])


def test_the_prior_is_wide_and_centred_on_zero(tiny_fit):
    prior = tiny_fit.prior_att("simple").frame.iloc[0]
    assert abs(prior.estimate) < 0.2 * prior.se
    assert prior.se > 2 * tiny_fit._collapsed.scales[-1]


def test_unpooled_effects_of_cells_are_wider(tiny_fit):
    ratio = np.log(tiny_fit.unpooled("region:event").frame.se / tiny_fit.att("region:event").frame.se)
    assert ratio.mean() > 0
    assert (ratio > 0).mean() > 0.7  # some 280 effective draws leave single sds uncertain by 4 %


def test_the_known_effect_lies_in_the_interval(tiny_fit):
    rows = tiny_fit.panel.frame
    truth = simulated_frame().query("true_effect > 0").true_effect.mean()
    row = tiny_fit.att("simple", weights="rows", level=0.99).frame.iloc[0]
    assert row.lower < truth < row.upper
    assert row.upper - row.lower < 1
    assert len(rows) == 192


def test_words_that_do_not_exist_are_refused(tiny_fit):
    for options in ({"by": "decade"}, {"estimand": "late"}, {"weights": "population"}, {"level": 1.5}):
        with pytest.raises(SpecificationError):
            tiny_fit.att(**options)
