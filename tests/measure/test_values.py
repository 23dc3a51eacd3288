"""What measures take: a column, or estimates by unit and period; and the table of results by draw."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes.errors import DuplicateRowError, MissingColumnError, MissingValueError, NotNumericError, NotPositiveError, SpecificationError
from bayes.estimates import Estimates
from bayes.measure._rows import Rows, read_together, row_weights
from bayes.measure._values import POSTERIOR, estimates_by_draw, values_of
from bayes.panel import Panel
from bayes.validation import one_of, whole_number


def synthetic() -> Panel:
    """Synthetic: units 9, 10 and 11 (numbers, whose order as text differs) in two regions, one row missing."""
    frame = pd.DataFrame({"unit": [9, 9, 10, 10, 11], "year": [2001, 2002, 2001, 2002, 2002], "region": ["W", "W", "E", "E", "W"]})
    frame = frame.assign(y=[1.0, 2, 3, 4, 5], text="a", w=[1.0, 1, 2, 2, 3])
    return Panel.from_frame(frame, unit="unit", time="year", region="region", name="synthetic")


def estimates(panel: Panel, n: int = 6, order=None, **columns) -> Estimates:
    rows = [{"estimand": "score", "unit": str(u), "period": t} for u, t in panel.frame[["unit", "year"]].itertuples(index=False)]
    draws = panel.column("y")[:, None] + np.arange(n) / 100
    order = np.arange(len(rows)) if order is None else order
    out = Estimates.from_draws([rows[i] | columns for i in order], draws[order])
    return out


def test_a_column():
    panel = synthetic()
    v = values_of(panel, "y")
    np.testing.assert_array_equal(v.draws, [[1, 2, 3, 4, 5]])
    assert not v.has_draws
    assert list(v.region_names) == ["W", "W", "E", "E", "W"]
    assert v.describe_row(4) == "unit 11, year 2002"
    assert (v.name, v.source, v.interval) == ("y", "", POSTERIOR)
    np.testing.assert_array_equal(v.periods, [2001, 2002])


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4], [4, 2, 0, 3, 1]])
def test_estimates_in_any_order(order):
    panel = synthetic()
    v = values_of(panel, estimates(panel, order=order, source="model"))
    np.testing.assert_array_equal(v.unit, [0, 0, 1, 1, 2])
    np.testing.assert_array_equal(v.period, [2001, 2002, 2001, 2002, 2002])
    np.testing.assert_allclose(v.draws, panel.column("y") + np.arange(6)[:, None] / 100)
    assert v.has_draws
    assert (v.name, v.source) == ("score", "model")
    assert v.period.dtype.kind == "i"


def test_estimates_without_draws_and_over_part_of_the_rows():
    panel = synthetic()
    part = estimates(panel).where(period=2002)
    points = Estimates.from_rows(part.frame)
    v = values_of(panel, points)
    np.testing.assert_allclose(v.draws, [[2.025, 4.025, 5.025]])
    assert not v.has_draws


def test_points_beside_rows_with_draws_are_points():
    """Plain scores stand beside bootstrapped ones with draws of NaN."""
    panel = synthetic()
    found = estimates(panel)
    points = Estimates(found.frame, np.full(found.draws.shape, np.nan), found.title, found.meta)
    v = values_of(panel, points)
    np.testing.assert_array_equal(v.draws, found.frame[["estimate"]].T)
    assert not v.has_draws


def test_the_grid_has_gaps_where_a_unit_is_not_observed():
    grid, codes, periods = values_of(synthetic(), "y").grid()
    np.testing.assert_array_equal(grid, [[[1, 2], [3, 4], [np.nan, 5]]])
    np.testing.assert_array_equal(codes, [0, 1, 2])
    np.testing.assert_array_equal(periods, [2001, 2002])


def test_positive_values_are_asked_for_in_every_draw():
    panel = synthetic()
    low = estimates(panel)
    low.draws[1, 3] = 0.0
    with pytest.raises(NotPositiveError, match=r"'score' has 1 rows.*unit 9, year 2002\. Because"):
        values_of(panel, low).require_positive("Because.")
    values_of(panel, low).require_not_negative("Because.")
    low.draws[:] = -1
    with pytest.raises(NotPositiveError, match=r"5 rows.*and 2 more"):
        values_of(panel, low).require_not_negative("Because.")


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        (lambda e: e + Estimates.from_rows(e.frame.assign(estimand="other")), SpecificationError, "2 values of 'estimand'"),
        (lambda e: e + Estimates.from_rows(e.frame.assign(variant="other")), SpecificationError, "'variant'"),
        (lambda e: Estimates.from_rows(e.frame.assign(unit="")), SpecificationError, "no unit or no period"),
        (lambda e: Estimates.from_rows(e.frame.assign(period=np.nan)), SpecificationError, "no unit or no period"),
        (lambda e: Estimates.from_rows(e.frame.assign(unit="12")), SpecificationError, "does not have: 12"),
        (lambda e: Estimates.from_rows(e.frame.assign(unit="abc")), SpecificationError, "does not have: abc"),
        (lambda e: Estimates.from_rows(e.frame.assign(period=1999)), SpecificationError, "periods that the panel does not have: 1999"),
        (lambda e: Estimates.from_rows(e.frame.assign(period=2001.5)), SpecificationError, "2001.5"),
        (lambda e: e + e, DuplicateRowError, "9, 2001 twice"),
        (lambda e: Estimates.from_rows(e.frame.assign(estimate=np.nan)), MissingValueError, "5 rows without a value: unit 9, year 2001"),
    ],
)
def test_estimates_that_cannot_be_read(change, error, words):
    panel = synthetic()
    with pytest.raises(error, match=words):
        values_of(panel, change(estimates(panel)))


def test_columns_that_cannot_be_read():
    panel = synthetic()
    with pytest.raises(MissingColumnError, match="no_such"):
        values_of(panel, "no_such")
    with pytest.raises(NotNumericError, match="text"):
        values_of(panel, "text")
    with pytest.raises(SpecificationError, match="got ndarray"):
        values_of(panel, panel.column("y"))
    with pytest.raises(SpecificationError, match="0 values of 'estimand'"):
        values_of(panel, estimates(panel).where(unit="none"))


def test_results_by_draw():
    rows = [{"estimand": "a"}, {"estimand": "b"}]
    many = estimates_by_draw(rows, np.arange(20.0).reshape(2, 10), "title", 0.8, "bootstrap", seed=3)
    assert list(many.frame.interval) == ["bootstrap"] * 2
    assert many.frame.level.iloc[0] == 0.8
    assert many.meta["seed"] == 3
    one = estimates_by_draw(rows, np.array([[1.0], [2.0]]), "title", seed=3)
    assert one.draws is None
    assert list(one.frame.estimate) == [1, 2]
    assert one.frame[["se", "lower", "upper", "level"]].isna().all(axis=None)
    for draws in (np.ones((2, 1)), np.ones((2, 5))):
        with pytest.raises(SpecificationError, match="level"):
            estimates_by_draw(rows, draws, "title", 95)


def test_quantities_read_together():
    panel = synthetic()
    a, b = read_together(panel, ["y", estimates(panel)])
    assert (a.draws.shape[0], b.draws.shape[0]) == (1, 6)
    with pytest.raises(SpecificationError, match="'score' 6, 'score' 5"):
        read_together(panel, [estimates(panel), estimates(panel, n=5)])
    with pytest.raises(SpecificationError, match="'y' has 2 rows that 'score' lacks: unit 9, year 2001; unit 10, year 2001"):
        read_together(panel, ["y", estimates(panel).where(period=2002)])
    with pytest.raises(SpecificationError, match="'y' has 2 rows that 'score' lacks"):
        read_together(panel, [estimates(panel).where(period=2002), "y"])


def test_weights_at_the_rows_of_a_quantity():
    panel = synthetic()
    np.testing.assert_array_equal(row_weights(values_of(panel, estimates(panel).where(period=2002)), "w"), [1, 2, 3])
    np.testing.assert_array_equal(row_weights(values_of(panel, "y"), None), np.ones(5))


def test_rows_that_do_not_exist_in_some_draws():
    rows = Rows(4, {"source": "s"})
    rows.add("a", np.arange(4.0), reason="never shown")
    rows.add("b", np.array([1, np.nan, 1, np.inf]), reason="why")
    rows.add("c", np.nan, reason="why", note="hidden", term="t")
    out = rows.estimates("title", 0.95)
    assert list(out.frame.identified) == [True, False, False]
    assert list(out.frame.note) == ["", "why (in 50.0% of the draws)", "why"]
    assert out.frame.estimate.isna().tolist() == [False, True, True]
    assert list(out.frame.source) == ["s"] * 3


def test_options_in_words_and_numbers():
    one_of("method", "a", ("a", "b"))
    for bad in ("c", None, ["a"]):
        with pytest.raises(SpecificationError, match="'a', 'b'"):
            one_of("method", bad, ("a", "b"))
    assert whole_number("n", np.int64(3), 1) == 3
    for bad in (0, 1.5, True, "2"):
        with pytest.raises(SpecificationError, match="at least 1"):
            whole_number("n", bad, 1)
