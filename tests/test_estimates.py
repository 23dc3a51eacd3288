"""Estimates: the columns, the draws beside them, and the table protocol that puts them beside other packages' fits."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pandas as pd
import pytest

from bayes.errors import SpecificationError
from bayes.estimates import COLUMNS, Estimates
from tests.panels import simulated_frame

ROWS = [
    {"estimand": "att", "term": "simple", "source": "model"},
    {"estimand": "att", "term": "event", "event_time": 0, "source": "model"},
    {"estimand": "att", "term": "event", "event_time": 1, "source": "model"},
]


@pytest.fixture
def draws() -> np.ndarray:
    return np.random.default_rng(5).normal([[0.5], [0.0], [-2.0]], 0.2, (3, 4000))


@pytest.fixture
def posterior(draws) -> Estimates:
    return Estimates.from_draws(ROWS, draws, title="Effects", outcome="y")


def test_from_rows_fills_every_column_in_order():
    table = Estimates.from_rows([{"estimand": "att", "term": "simple", "estimate": 0.08, "source": "a study"}])
    assert list(table.frame.columns) == list(COLUMNS)
    assert np.isnan(table.frame.se[0])
    assert table.frame.identified[0]
    assert table.frame.region[0] == ""
    assert len(Estimates.from_rows([])) == 0


def test_from_rows_leaves_the_given_frame_alone():
    given = pd.DataFrame({"estimate": [1.0]}, index=[7])
    table = Estimates.from_rows(given)
    assert list(given.columns) == ["estimate"]
    assert list(table.frame.index) == [0]


def test_unknown_columns_and_draws_of_the_wrong_shape_are_refused(draws):
    with pytest.raises(SpecificationError, match="'std_error'"):
        Estimates.from_rows([{"estimate": 1.0, "std_error": 0.1}])
    with pytest.raises(SpecificationError, match=r"shape \(3, 4000\) do not fit 1 estimates"):
        Estimates.from_rows([{"estimate": 1.0}], draws)


def test_from_draws_summarises_each_row(draws, posterior):
    frame = posterior.frame
    assert np.array_equal(frame.estimate, draws.mean(axis=1))
    assert np.array_equal(frame.se, draws.std(axis=1, ddof=1))
    assert np.allclose(frame.lower, np.quantile(draws, 0.025, axis=1), rtol=1e-12)
    assert np.allclose(frame.upper, np.quantile(draws, 0.975, axis=1), rtol=1e-12)
    assert np.array_equal(frame.prob_positive, (draws > 0).mean(axis=1))
    assert set(frame.level) == {0.95}
    assert set(frame.interval) == {"equal-tailed posterior"}


def test_level_is_honoured_and_checked(draws):
    lower = Estimates.from_draws(ROWS, draws, level=0.8).frame.lower
    assert np.allclose(lower, np.quantile(draws, 0.1, axis=1), rtol=1e-12)
    for level in (0, 1, 95):
        with pytest.raises(SpecificationError, match="level must lie between 0 and 1"):
            Estimates.from_draws(ROWS, draws, level=level)


def test_row_without_draws_is_missing_not_zero(draws):
    draws[1] = np.nan
    frame = Estimates.from_draws(ROWS, draws).frame
    assert frame.loc[1, ["estimate", "se", "lower", "upper", "prob_positive"]].isna().all()
    assert frame.loc[[0, 2], "prob_positive"].notna().all()


def test_where_keeps_draws_beside_their_rows(draws, posterior):
    later = posterior.where(term="event", event_time=[1, 2])
    assert len(later) == 1
    assert np.array_equal(later.draws, draws[[2]])
    assert later.meta["outcome"] == "y"
    assert len(posterior.where(region="West")) == 0
    with pytest.raises(SpecificationError, match="'regoin'"):
        posterior.where(regoin="West")


def test_relabel_renames_words_in_a_column(posterior):
    renamed = posterior.relabel(estimand={"att": "effect"})
    assert set(renamed.frame.estimand) == {"effect"}
    assert set(posterior.frame.estimand) == {"att"}
    assert renamed.draws is posterior.draws
    with pytest.raises(SpecificationError, match="estimnd"):
        posterior.relabel(estimnd={})


def test_sum_stacks_rows_and_draws(draws, posterior):
    both = posterior + posterior.where(term="simple")
    assert len(both) == 4
    assert np.array_equal(both.draws, draws[[0, 1, 2, 0]])
    point = Estimates.from_rows([{"estimand": "att", "term": "simple", "estimate": 0.08}])
    assert (posterior + point).draws is None
    assert (posterior + point).title == "Effects"
    with pytest.raises(TypeError):
        posterior + 1


def test_estimates_are_frozen(posterior):
    with pytest.raises(dataclasses.FrozenInstanceError):
        posterior.title = "other"


def test_printing_leaves_out_columns_that_say_nothing_and_escapes(posterior):
    assert "term_to" not in repr(posterior)
    assert "event_time" in repr(posterior)
    assert "<script>" not in Estimates.from_rows([{"estimate": 1.0, "note": "<script>"}])._repr_html_()


# ── the protocol of maketables ──────────────────────────────────────────────────────────────────────────────────────


def test_labels_are_unique_and_bounds_carry_their_level(posterior):
    other = Estimates.from_rows([{**ROWS[0], "source": "twfe", "estimate": 0.1, "lower": 0.0, "upper": 0.2, "level": 0.9}])
    table = (posterior + other + other).__maketables_coef_table__
    assert table.index.is_unique
    assert list(table.index[[0, 1, 3]]) == ["att simple, model", "att event e=0", "att simple, twfe"]
    assert table.loc["att simple, twfe", ["ci90l", "ci90u"]].tolist() == [0.0, 0.2]
    assert np.isnan(table.loc["att simple, twfe", "ci95l"]), "a 90 % bound never stands in a column of 95 %"
    assert table.p.isna().all()


@pytest.fixture(scope="module")
def regression():
    # pyfixest 0.60 uses arguments that pandas 3.1 deprecates, and great_tables warns on import; neither is ours to change.
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pyfixest = pytest.importorskip("pyfixest")
        pytest.importorskip("maketables")
        return pyfixest.feols("y ~ x + treated | unit + year", simulated_frame(), vcov={"CRV1": "unit"})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # raised inside maketables and great_tables, not here
def test_table_beside_a_regression_in_html_tex_and_docx(regression, posterior, tmp_path):
    import docx
    import maketables

    point = Estimates.from_rows([{"estimand": "att", "term": "simple", "estimate": 0.08, "source": "a study"}], outcome="y")
    table = maketables.ETable([regression, posterior, point], coef_fmt="b:.3f* \n (se:.3f)")
    html, tex = table.make(type="gt").as_raw_html(), table.make(type="tex")
    mean, sd = posterior.frame.loc[0, ["estimate", "se"]]
    for text in (html, tex):
        assert f"{mean:.3f}" in text
        assert f"({sd:.3f})" in text
        assert f"{mean:.3f}*" not in text, "no stars on a posterior"
        assert f"{regression.coef()['treated']:.3f}***" in text, "the stars of the regression are its own"
        assert "equal-tailed posterior" in text
        assert "0.080" in text
        assert "(-)" in text, "a published point without a standard error shows a dash, not nan"
    file = tmp_path / "table.docx"
    table.save(type="docx", file_name=str(file))
    cells = {cell.text for t in docx.Document(str(file)).tables for row in t.rows for cell in row.cells}
    assert any(f"{mean:.3f}" in text for text in cells)
