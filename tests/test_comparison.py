"""bayes.compare: the join, the distances, the ratio of sds, and every way of writing the table."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayes
from bayes.errors import SpecificationError
from bayes.estimates import Estimates


def posterior(estimand="att", mean=0.10, sd=0.04, term="simple", source="hierarchical DiD", seed=0, **keys) -> Estimates:
    draws = np.random.default_rng(seed).normal(mean, sd, size=(1, 4000))
    return Estimates.from_draws([{"estimand": estimand, "term": term, "source": source, **keys}], draws)


def classic(source="TWFE", estimate=0.08, se=0.05, term="simple", **keys) -> Estimates:
    bounds = {"lower": estimate - 1.96 * se, "upper": estimate + 1.96 * se, "level": 0.95, "interval": "normal, clustered by unit"}
    return Estimates.from_rows([{"estimand": "att", "term": term, "source": source, "estimate": estimate, "se": se, **bounds, **keys}])


def printed() -> Estimates:
    return Estimates.from_rows(
        [{"estimand": "att", "term": "simple", "source": "published", "estimate": 0.08, "note": "no standard error printed"}]
    )


def row_of(comparison, source, **keys) -> pd.Series:
    frame = comparison.joined
    for column, value in {"source": source, **keys}.items():
        frame = frame[frame[column] == value]
    assert len(frame) == 1
    return frame.iloc[0]


def test_difference_is_taken_from_the_first_argument():
    first = posterior()
    comparison = bayes.compare(first, classic(), printed())
    assert comparison.reference == "hierarchical DiD"
    row = row_of(comparison, "TWFE")
    assert row["difference"] == pytest.approx(0.08 - first.frame["estimate"].iloc[0], abs=1e-15)
    assert np.isnan(row_of(comparison, "hierarchical DiD")["difference"])
    turned = bayes.compare(classic(), first)
    assert row_of(turned, "hierarchical DiD")["difference"] == pytest.approx(-row["difference"], abs=1e-15)


def test_overlap_is_true_false_or_unknown():
    comparison = bayes.compare(posterior(), classic(), classic("far", estimate=0.9, se=0.05), printed())
    assert bool(row_of(comparison, "TWFE")["intervals_overlap"]) is True
    assert bool(row_of(comparison, "far")["intervals_overlap"]) is False
    assert row_of(comparison, "published")["intervals_overlap"] is pd.NA


def test_touching_intervals_overlap():
    left = classic("left", estimate=0.0, se=0.1)
    right = classic("right", estimate=0.0, se=0.1)
    right.frame.loc[0, ["lower", "upper"]] = [left.frame.loc[0, "upper"], 1.0]
    assert bool(row_of(bayes.compare(left, right), "right")["intervals_overlap"]) is True


def test_sd_ratio_uses_the_population_mean_when_present():
    sample, population = posterior(sd=0.03), posterior("att_population", sd=0.06, seed=1)
    with_mean = row_of(bayes.compare(sample, population, classic(se=0.05)), "TWFE")
    without = row_of(bayes.compare(sample, classic(se=0.05)), "TWFE")
    assert with_mean["sd_ratio"] == pytest.approx(population.frame["se"].iloc[0] / 0.05, rel=1e-12)
    assert with_mean["sd_ratio_estimand"] == "att_population"
    assert without["sd_ratio"] == pytest.approx(sample.frame["se"].iloc[0] / 0.05, rel=1e-12)
    assert without["sd_ratio_estimand"] == "att"
    other_region = posterior("att_population", sd=0.5, seed=1, region="West")
    assert row_of(bayes.compare(sample, other_region, classic(se=0.05)), "TWFE")["sd_ratio_estimand"] == "att"


def test_sd_ratio_is_posterior_over_standard_error_whatever_the_order():
    sample, rival = posterior(sd=0.03), classic(se=0.06)
    forth = row_of(bayes.compare(sample, rival), "TWFE")["sd_ratio"]
    back = row_of(bayes.compare(rival, sample), "hierarchical DiD")["sd_ratio"]
    assert forth == back == pytest.approx(0.5, rel=0.05)


def test_no_ratio_between_two_of_a_kind_and_none_for_a_printed_point():
    assert np.isnan(row_of(bayes.compare(classic(), classic("CS")), "CS")["sd_ratio"])
    both = bayes.compare(posterior(), posterior(source="other prior", seed=2))
    assert np.isnan(row_of(both, "other prior")["sd_ratio"])
    published = row_of(bayes.compare(posterior(), printed()), "published")
    assert published[["se", "lower", "upper", "sd_ratio"]].isna().all()


def test_rows_are_joined_on_every_key():
    comparison = bayes.compare(
        posterior(term="event", event_time=0.0),
        posterior(term="event", event_time=1.0, mean=0.5, seed=1),
        classic(term="event", event_time=1.0, estimate=0.5),
        classic("CS", term="event", event_time=2.0),
    )
    assert abs(row_of(comparison, "TWFE")["difference"]) < 0.01
    assert np.isnan(row_of(comparison, "CS")["difference"])


def test_a_variant_stands_beside_the_reference_without_variant():
    comparison = bayes.compare(posterior(), classic(variant="varying base"))
    assert row_of(comparison, "TWFE")["difference"] == pytest.approx(-0.02, abs=0.005)
    exact = bayes.compare(posterior(), posterior(variant="varying base", mean=0.3, seed=1), classic(variant="varying base", estimate=0.3))
    assert abs(row_of(exact, "TWFE")["difference"]) < 0.01


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: bayes.compare(), "Nothing to compare"),
        (lambda: bayes.compare(pd.DataFrame()), "must be bayes.Estimates .*, got a DataFrame"),
        (lambda: bayes.compare(posterior(source="")), "have no source"),
        (lambda: bayes.compare(posterior(), posterior(seed=3)), "more than once.*labels="),
        (lambda: bayes.compare(posterior(), labels=["a", "b"]), "2 labels for 1 arguments"),
        (lambda: bayes.compare(posterior() + classic(), labels=["a"]), "would merge the sources"),
        (lambda: bayes.compare(posterior()).table("colour"), "by='colour' does not exist"),
        (lambda: bayes.compare(posterior()).where(term="event"), "No row"),
        (lambda: bayes.compare(Estimates.from_rows([])), "no rows"),
    ],
)
def test_misuse_is_refused_in_words(call, words):
    with pytest.raises(SpecificationError, match=words):
        call()


def test_labels_tell_two_fits_of_one_model_apart():
    comparison = bayes.compare(posterior(), posterior(seed=3), labels=["default priors", "wide priors"])
    assert comparison.joined["source"].tolist() == ["default priors", "wide priors"]


def test_where_keeps_the_distances():
    comparison = bayes.compare(posterior(), posterior(region="West", term="region"), classic(), title="t")
    part = comparison.where(source="TWFE")
    assert len(part) == 1
    assert part.joined["difference"].iloc[0] == comparison.joined["difference"].iloc[2]
    assert part.aggregation == comparison.aggregation


def test_layouts_hold_the_same_numbers():
    comparison = bayes.compare(
        posterior(term="region", region="West"),
        posterior(term="region", region="East", seed=2),
        classic(term="region", region="West"),
        printed(),
    )
    long, by_source, by_region = (comparison.table(by) for by in ("term", "source", "region"))
    assert by_source.columns.tolist() == ["Estimand", "Region", "hierarchical DiD", "TWFE", "published"]
    assert {"West", "East", "all"} <= set(by_region.columns)
    cell = long.loc[long["Source"] == "TWFE", "Estimate [interval]"].item()
    assert cell == "0.080 [−0.018, 0.178]"
    assert cell in by_source["TWFE"].tolist()
    assert cell in by_region["West"].tolist()


def test_unidentified_rows_say_so():
    row = {"estimand": "att", "term": "region", "region": "East", "source": "fit", "identified": False}
    assert bayes.compare(Estimates.from_rows([row])).table()["Estimate [interval]"].tolist() == ["not identified"]


def test_terminal_table_is_aligned_and_at_most_120_wide():
    long_name = "Imputation, Borusyak–Jaravel–Spiess, not yet treated, covariates, diff-diff 3.13.0, clustered by state"
    comparison = bayes.compare(
        posterior(), posterior("att_population", seed=1), classic(long_name), printed(), posterior(term="region", region="A" * 60)
    )
    lines = repr(comparison).splitlines()
    assert max(map(len, lines)) <= 120
    assert "0.080 [−0.018, 0.178]" in repr(comparison)
    rules = [line for line in lines if line.startswith("─")]
    assert len(rules) == 3
    assert len(set(map(len, rules))) == 1


def test_every_overall_number_names_its_aggregation():
    given = Estimates.from_rows(
        [{"estimand": "att", "term": "simple", "source": "mine", "estimate": 1.0}], aggregation="population-weighted"
    )
    noted = classic("CS", note="cohort-size weights; base period g − 1")
    shown = repr(bayes.compare(posterior(), given, noted, classic("unheard of")))
    for words in ("mean over treated rows", "population-weighted", "cohort-size weights", "aggregation not stated by the source"):
        assert words in shown.replace("\n", " ")
    etwfe = bayes.compare(classic("ETWFE, Wooldridge"), classic("Two-way fixed effects")).aggregation
    assert etwfe["ETWFE, Wooldridge"] != etwfe["Two-way fixed effects"]


def test_notes_of_prior_driven_rows_are_printed():
    shown = repr(bayes.compare(posterior(term="region", region="East", note="prior-driven: no treated unit in this region")))
    assert "East: prior-driven: no treated unit in this region." in shown.replace("\n", " ")


def test_a_failed_fit_opens_every_table():
    words = "DIAGNOSTICS FAILED: R-hat 1.04"
    failed = Estimates(posterior().frame, meta={"passed": False, "verdict": words})
    comparison = bayes.compare(classic(), failed)
    assert repr(comparison).startswith(f"! {words}")
    assert comparison._repr_html_().startswith(f'<p class="failed">{words}')
    assert comparison.to_markdown().startswith(f"**{words}**")
    assert words in comparison.where(source="TWFE").to_tex()
    assert not bayes.compare(classic()).warning


HOSTILE = "<script>alert(1)</script> & 5 % x_1 $y$ | `z`"


def test_text_is_escaped_everywhere(tmp_path):
    comparison = bayes.compare(posterior(), classic(HOSTILE, note="=cmd|' /C calc'!A0"))
    assert "<script>" not in comparison._repr_html_()
    assert "&lt;script&gt;" in comparison._repr_html_()
    tex = comparison.to_tex()
    assert r"\& 5 \% x\_1 \$y\$" in tex
    assert "<script>" not in comparison.to_markdown()
    assert r"\|" in comparison.to_markdown()
    comparison.to_docx(tmp_path / "t.docx")
    from docx import Document

    document = Document(str(tmp_path / "t.docx"))
    assert HOSTILE in "".join(cell.text for table in document.tables for row in table.rows for cell in row.cells)


def test_csv_holds_numbers_and_no_formula(tmp_path):
    comparison = bayes.compare(posterior(), classic("=1+1", note="@SUM(A1)"), classic("+plus"), classic("-minus"))
    comparison.to_csv(tmp_path / "t.csv")
    back = pd.read_csv(tmp_path / "t.csv")
    assert back["source"].tolist()[1:] == ["'=1+1", "'+plus", "'-minus"]
    assert back["note"].iloc[1] == "'@SUM(A1)"
    np.testing.assert_allclose(back["estimate"], comparison.frame["estimate"], rtol=1e-12)
    assert (back["lower"].iloc[1:] < 0).all()


def test_files_hold_what_the_methods_return(tmp_path):
    comparison = bayes.compare(posterior(), classic())
    assert comparison.to_tex(tmp_path / "t.tex") == (tmp_path / "t.tex").read_text(encoding="utf-8")
    assert comparison.to_markdown(tmp_path / "t.md") == (tmp_path / "t.md").read_text(encoding="utf-8")


def test_maketables_puts_a_comparison_beside_estimates():
    from maketables import ETable

    comparison = bayes.compare(posterior(), classic())
    tex = ETable([posterior(), comparison]).make(type="tex")
    assert "TWFE" in tex
    assert "*" not in tex.split("bottomrule")[0]  # the legend under the table explains stars that no row has
    assert [table.frame["source"].iloc[0] for table in comparison.sources()] == ["hierarchical DiD", "TWFE"]
