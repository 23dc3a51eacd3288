"""The two-dummy regression and stepwise columns, against least squares by hand."""

from __future__ import annotations

import numpy as np
import pytest

import bayes
from bayes.baselines import did, names, stepwise
from bayes.errors import MissingColumnError, NoComparisonError, SpecificationError
from bayes.panel import Panel
from tests.panels import ROLES, simulated_frame

ROLES = {k: v for k, v in ROLES.items() if k != "weights"}


@pytest.fixture(scope="module")
def panel():
    frame = simulated_frame(seed=4, n_units=30, gaps=True)
    return Panel.from_frame(frame.assign(z=frame.y * 0.5 + frame.x), name="synthetic", **ROLES)


def by_hand(x: np.ndarray, y: np.ndarray, unit: np.ndarray, absorbed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Least squares, and CR1 standard errors clustered by unit; ``absorbed`` columns more than those nested in units were estimated."""
    beta = np.linalg.lstsq(x, y, rcond=None)[0]
    bread, residual = np.linalg.pinv(x.T @ x), y - x @ beta
    scores = np.array([x[unit == u].T @ residual[unit == u] for u in np.unique(unit)])
    g, n, k = len(scores), len(y), x.shape[1] + absorbed
    covariance = g / (g - 1) * (n - 1) / (n - k) * bread @ scores.T @ scores @ bread
    return beta, np.sqrt(np.diag(covariance))


def dummies(codes: np.ndarray) -> np.ndarray:
    return (codes[:, None] == np.unique(codes)).astype(float)


def columns(panel: Panel) -> dict[str, np.ndarray]:
    first = panel.unit_first_treated[panel.unit_codes]
    year = panel.frame["year"].to_numpy()
    ever, after = np.isfinite(first).astype(float), (year >= first.min()).astype(float)
    return {"ever": ever, "after": after, "both": ever * after, "own": (year >= first).astype(float)}


# ── two groups, two times ───────────────────────────────────────────────────────────────────────────────────────────


def test_two_dummies_and_their_product_equal_least_squares(panel):
    row = did(panel, "y", "two-group", ["x"]).frame
    assert len(row) == 1
    c = columns(panel)
    x = np.column_stack([np.ones(panel.n_rows), c["ever"], c["after"], c["both"], panel.column("x")])
    beta, se = by_hand(x, panel.column("y"), panel.unit_codes)
    assert row.estimate[0] == pytest.approx(beta[3], abs=1e-9)
    assert row.se[0] == pytest.approx(se[3], rel=1e-6)
    assert row.source[0].startswith("Two groups, two times (pyfixest")
    assert row.n_obs[0] == panel.n_rows


def test_with_one_date_it_is_the_difference_of_differences_of_means():
    frame = simulated_frame(seed=2, n_units=24)
    one = Panel.from_frame(frame[frame.first_treated != frame.first_treated.max()], **ROLES)
    c, y = columns(one), one.column("y")
    cell = {(e, a): y[(c["ever"] == e) & (c["after"] == a)].mean() for e in (0, 1) for a in (0, 1)}
    row = did(one, "y", "two-group").frame.iloc[0]
    assert row.estimate == pytest.approx(cell[1, 1] - cell[1, 0] - cell[0, 1] + cell[0, 0], abs=1e-9)
    assert "later date" not in row.note


def test_later_cohorts_count_from_the_first_date_and_the_note_counts_them(panel):
    late = int((panel.unit_first_treated[np.isfinite(panel.unit_first_treated)] > np.nanmin(panel.unit_first_treated)).sum())
    assert late > 0
    assert f"{late} units with a later date count as treated from the first date on" in did(panel, "y", "two-group").frame.note[0]


def test_anticipation_moves_the_common_date(panel):
    c = columns(panel)
    early = (panel.frame["year"].to_numpy() >= panel.unit_first_treated.min() - 1).astype(float)
    x = np.column_stack([np.ones(panel.n_rows), c["ever"], early, c["ever"] * early])
    row = did(panel, "y", "two-group", anticipation=1).frame.iloc[0]
    assert row.estimate == pytest.approx(by_hand(x, panel.column("y"), panel.unit_codes)[0][3], abs=1e-9)


def test_it_runs_only_when_named(panel):
    assert "two-group" in names()
    sources = did(panel, "y").frame.source
    assert not sources.str.startswith("Two groups").any()
    assert sources.str.startswith("TWFE").any()


# ── columns ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_columns_of_twfe_equal_least_squares_with_dummies(panel):
    table = stepwise(panel, "y", {"(1)": [], "(2)": ["x"], "(3)": ["x", "z"]}).frame
    d, y, unit = columns(panel)["own"], panel.column("y"), panel.unit_codes
    effects = np.column_stack([dummies(unit), dummies(panel.period_codes)[:, 1:]])
    for heading, covariates in {"(1)": [], "(2)": ["x"], "(3)": ["x", "z"]}.items():
        x = np.column_stack([d, *(panel.column(name) for name in covariates), effects])
        beta = np.linalg.lstsq(x, y, rcond=None)[0]
        rows = table[table.variant == heading].set_index(["estimand", "term"])
        assert rows.estimate["att", "simple"] == pytest.approx(beta[0], abs=1e-7)
        for k, name in enumerate(covariates, start=1):
            assert rows.estimate["coefficient", name] == pytest.approx(beta[k], abs=1e-7)
        residual, mean = y - x @ beta, y - y.mean()
        assert rows.estimate["r_squared", "y"] == pytest.approx(1 - residual @ residual / (mean @ mean), abs=1e-7)
        within = y - effects @ np.linalg.lstsq(effects, y, rcond=None)[0]
        assert rows.estimate["r_squared_within", "y"] == pytest.approx(1 - residual @ residual / (within @ within), abs=1e-7)
    assert table[table.estimand.str.startswith("r_squared")].se.isna().all()


def test_the_treatment_row_is_that_of_did(panel):
    for estimator in ("twfe", "two-group"):
        ours = stepwise(panel, "y", {"a": ["x"]}, estimator).where(estimand="att").frame.iloc[0]
        theirs = did(panel, "y", estimator, ["x"]).where(term="simple").frame.iloc[0]
        for column in ("estimate", "se", "lower", "upper", "n_obs", "source"):
            assert ours[column] == theirs[column]


def test_columns_of_the_two_group_regression_have_its_dummies(panel):
    table = stepwise(panel, "y", {"(1)": ["x"]}, "two-group").frame.set_index(["estimand", "term"])
    c = columns(panel)
    x = np.column_stack([np.ones(panel.n_rows), c["ever"], c["after"], c["both"], panel.column("x")])
    beta, se = by_hand(x, panel.column("y"), panel.unit_codes)
    for term, k in {"ever treated": 1, "from the first date on": 2, "x": 4}.items():
        assert table.estimate["coefficient", term] == pytest.approx(beta[k], abs=1e-9)
        assert table.se["coefficient", term] == pytest.approx(se[k], rel=1e-6)
    assert "r_squared_within" not in table.index.get_level_values(0)


def test_headings_of_a_printed_table_meet_its_columns(panel):
    printed = bayes.published("city_pilot_did").where(estimand="att")
    steps = {heading: [] for heading in printed.frame.variant}
    joined = bayes.compare(stepwise(panel, "y", steps), printed).joined
    liu = joined[joined.source.str.startswith("Liu")]
    assert len(liu) == 4
    assert liu.difference.notna().all()


def test_a_coefficient_that_is_absorbed_is_named_not_dropped(panel):
    constant = panel.assign(size=panel.unit_codes.astype(float), twice=2 * panel.column("x"))
    table = stepwise(constant, "y", {"(1)": ["size", "x", "twice"]}).frame.set_index(["estimand", "term"])
    assert np.isnan(table.estimate["coefficient", "size"])
    assert not table.identified["coefficient", "size"]
    assert "absorbed" in table.note["coefficient", "size"]
    assert table.identified["coefficient", "x"] != table.identified["coefficient", "twice"], "one of two columns that say the same"
    assert np.isfinite(table.estimate["att", "simple"])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"columns": {}}, SpecificationError, "columns must"),
        ({"columns": ["x"]}, SpecificationError, "columns must"),
        ({"columns": {"1": ["x", "x"]}}, SpecificationError, "twice"),
        ({"columns": {"1": ["w"]}}, MissingColumnError, "'w'"),
        ({"columns": {"1": []}, "estimator": "etwfe"}, SpecificationError, "Choose one of: 'twfe', 'two-group'"),
        ({"columns": {"1": []}, "level": 95}, SpecificationError, "between 0 and 1"),
    ],
)
def test_a_call_that_cannot_be_right_is_refused(panel, options, error, message):
    with pytest.raises(error, match=message):
        stepwise(panel, "y", **options)


def test_panels_without_treatment_are_refused(panel):
    bare = Panel.from_frame(panel.frame, "unit", "year", "region")
    with pytest.raises(SpecificationError, match="treatment timing"):
        stepwise(bare, "y", {"1": []})
    never = Panel.from_frame(panel.frame.assign(first_treated=np.inf), **ROLES)
    with pytest.raises(NoComparisonError, match="No unit is treated"):
        stepwise(never, "y", {"1": []})


def test_libraries_leave_the_root_logger_alone(panel):
    """pyfixest switches on everybody's messages when it is imported; a fit's page of them would follow."""
    import logging

    before = logging.getLogger().level, list(logging.getLogger().handlers)
    did(panel, "y", "two-group")
    assert (logging.getLogger().level, list(logging.getLogger().handlers)) == before
