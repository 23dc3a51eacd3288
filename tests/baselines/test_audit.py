"""Audit of printed figures: intervals of rounding, expected findings of the studies, none in tables that a regression really printed."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayes
from bayes import Estimates
from bayes.baselines._printed_numbers import Interval, decimals, rounded
from bayes.baselines._treated_rows import Coding, codings, treated_rows
from bayes.errors import DataError, DatasetError, MissingColumnError, SpecificationError

HEADER = "estimand,term,variant,region,source,estimate,se,t,t_printed,stars,n_obs,place\n"


def audited(folder, lines, stated=""):
    """Report of a table in a file: each line estimand,term,variant,region,source,estimate,se,t,t_printed,stars,n_obs,place."""
    file = folder / "table.csv"
    file.write_text(HEADER + "\n".join(lines) + "\n", encoding="utf-8")
    file.with_suffix(".toml").write_text(stated, encoding="utf-8")
    return bayes.audit(file)


def row(estimand, term, estimate, variant="", region="", se="", t="", t_printed="", stars="", n_obs="", place=""):
    return ",".join([estimand, term, variant, region, "synthetic", estimate, se, t, t_printed, stars, n_obs, place])


# ── numbers ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_rounding_intervals():
    assert rounded("0.020") == pytest.approx((0.0195, 0.0205))
    assert rounded("-0.3") == pytest.approx((-0.35, -0.25))
    assert rounded("3,135") == pytest.approx((3134.5, 3135.5))
    assert rounded("0", least=3) == pytest.approx((-0.0005, 0.0005))
    assert decimals("12.") == 0
    for wrong in ("", "a", "1e-3", "0.1*", "--1"):
        with pytest.raises(DataError, match="not a printed number"):
            rounded(wrong)


def test_interval_arithmetic_holds_every_value():
    rng = np.random.default_rng(0)
    for _ in range(200):
        a, b = (Interval(*np.sort(rng.normal(size=2))) for _ in range(2))
        c = Interval(*np.sort(rng.exponential(size=2)))
        x, y, z = (rng.uniform(*i) for i in (a, b, c))
        for value, span in ((x + y, a + b), (x - y, a - b), (x * y, a * b), (x / z, a / c), (abs(x), abs(a))):
            assert span.lower - 1e-12 <= value <= span.upper + 1e-12
    assert (Interval(1, 2) / Interval(0, 1)).upper == np.inf
    assert (Interval(0, 0) / Interval(0, 1)) == (0, 0)
    with pytest.raises(ValueError, match="negative"):
        Interval(1, 2) / Interval(-1, 1)


def test_ends_of_intervals_belong_to_them():
    assert rounded("0.024").meets(rounded("0.025"))
    assert not rounded("0.024").meets(rounded("0.026"))
    assert rounded("0.025").exceeds(rounded("0.024"))
    assert not rounded("0.025").exceeds(rounded("0.025"))


def test_treated_rows_are_those_that_print_the_mean_and_sd():
    n = 3135
    shown = []
    for k in range(n + 1):
        d = np.r_[np.ones(k), np.zeros(n - k)]
        if f"{d.mean():.3f}" == "0.144":
            shown.append((k, f"{d.std(ddof=1):.3f}"))
    assert list(treated_rows(rounded("0.144"), n)) == [k for k, _ in shown] == [450, 451, 452, 453]
    assert list(treated_rows(rounded("0.144"), n, rounded("0.351"))) == [k for k, sd in shown if sd == "0.351"] == [450, 451, 452]


def test_codings_are_all_of_them():
    pairs = [(9, 4), (8, 3)]
    found = codings([450, 452], 60, 11, pairs)
    one = {(g, p, 0, 0) for g in range(1, 61) for p in range(1, 12) if g * p in (450, 452)}
    two = {(a, p, b, q) for p, q in pairs for a in range(1, 60) for b in range(1, 61 - a) if a * p + b * q in (450, 452)}
    assert set(found) == one | two
    assert len(found) == len(one) + len(two)
    assert str(Coding(46, 9, 9, 4)) == "46 × 9 + 9 × 4"


# ── the studies ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_findings_of_the_province_study():
    found = bayes.audit("province_tfp").findings
    assert list(found.columns) == ["check", "place", "printed", "arithmetic", "verdict"]
    stars = found[found["check"] == "stars against t"]
    assert list(stars["place"]) == ["Table 1, PTEC(VRS), eastern"]
    assert stars["verdict"].iloc[0].startswith("*** is **; a one-sided 1 % level (2.326) would do, but")
    assert "2.536 [2.5355, 2.5365]; *** needs 2.576" in stars["arithmetic"].iloc[0]
    wrong = found[found["check"] == "driving × direct = indirect"]
    assert list(wrong["printed"]) == ["0.053", "0.024", "0.053"]
    assert [words.split(" = ")[1].split()[0] for words in wrong["arithmetic"]] == ["0.07459", "0.05736", "0.1281"]
    orders = found[found["check"] == "order"]
    assert len(orders) == 2
    assert "the printed order is Central, West, East (0.449 − 0.248 is 2.6 standard errors" in orders["verdict"].iloc[0]
    assert "0.009 is not 0.003" in set(found["verdict"])
    assert "decimal point lost; read as 2.034" in set(found["verdict"])


def test_findings_of_the_city_study():
    report = bayes.audit("city_pilot_did")
    found = report.findings.set_index("check")
    done = found.loc["mean(D) · n against treated units × periods", "arithmetic"]
    solutions = ("41 × 11 = 451", "50 × 9 = 450", "46 × 9 + 9 × 4 = 450", "48 × 9 + 5 × 4 = 452", "53 × 8 + 9 × 3 = 451")
    refuted = ("53 × 8 = 424", "53 × 9 = 477", "41 × 9 + 9 × 4 = 405", "41 × 9 + 8 × 4 = 401")
    assert all(s in done.split("those with a stated number")[1] for s in solutions)
    assert all(s in done.split("those with a stated number")[0] for s in refuted)
    assert set(report.codings["treated_rows"]) == {450, 451, 452}
    cells = report.codings["units"] * report.codings["periods"] + report.codings["later_units"] * report.codings["later_periods"]
    assert (cells == report.codings["treated_rows"]).all()
    assert list(found.loc["n = units × periods", "printed"]) == ["285 units, 14 periods, 2009 to 2022", "285 units, 10 periods"]
    assert list(found.loc["partial R² against t", "place"]) == ["Table 2, LGDP, (2) NPRO", "Table 2, NHS, (3) NPRO"]
    assert "stars against t" not in found.index
    # Rounding leaves these open, so they are no findings.
    assert list(report.remarks["place"]) == ["Table 2, LGDP, (4) NPRO", "Table 2, NHS, (3) NPRO", "Table 2, NHS, (4) NPRO"]


def test_studies_without_two_figures():
    for study in ("castle_doctrine", "yangtze_green_tfp", "regional_coordination"):
        report = bayes.audit(study)
        assert report.checks.empty
        assert "No two printed figures" in repr(report)
    assert "18 statements have no figure" in bayes.audit("yangtze_green_tfp").summary


# ── a table that a regression printed ───────────────────────────────────────────────────────────────────────────────


def least_squares(y, x):
    """Coefficients, classical standard errors, R²."""
    beta, *_ = np.linalg.lstsq(x, y, rcond=None)
    e = y - x @ beta
    covariance = np.linalg.inv(x.T @ x) * (e @ e) / (len(y) - x.shape[1])
    return beta, np.sqrt(np.diag(covariance)), 1 - e @ e / ((y - y.mean()) @ (y - y.mean()))


def marks(t):
    return "***" if abs(t) > 2.58 else "**" if abs(t) > 1.97 else "*" if abs(t) > 1.65 else ""


STATED = """
[[sample]]
place = "synthetic text"
units = 40
first = 2009
last = 2019

[regions]
place = "synthetic text"
units = { East = 15, West = 25 }

[treatment]
place = "synthetic text"
term = "did"
dates = [2011, 2016]
all = [10]

[[sign]]
place = "synthetic text"
says = "positive"
sign = "positive"
estimand = "att"
term = "simple"
variant = "(2)"

[[order]]
place = "synthetic text"
says = "the effect does not grow when x is added"
estimand = "att"
term = "simple"
variant = ["(1)", "(2)"]

[[equal]]
place = "synthetic text"
says = "twice the same"
this = { estimand = "att", term = "simple", variant = "(2)" }
that = { estimand = "att", term = "simple", variant = "(2)" }
"""


def regression_table(seed):
    """A synthetic panel's nested regressions, a mediator's and their products, as a study would print them."""
    rng = np.random.default_rng(seed)
    units, periods = 40, 11
    year = np.tile(np.arange(2009, 2020), units)
    d = ((np.repeat(np.arange(units), periods) < 10) & (year >= 2011)).astype(float)
    x = rng.normal(size=d.size) + 0.6 * d
    m = 0.4 + 0.5 * d + rng.normal(size=d.size)
    y = 0.3 * d + 0.4 * x + 0.3 * m + rng.normal(size=d.size)
    one, lines = np.ones(d.size), [row("mean", "did", f"{d.mean():.3f}"), row("sd", "did", f"{d.std(ddof=1):.3f}")]
    lines.append(row("mean", "m", f"{m.mean():.3f}"))
    for name, columns in (("(1)", {"simple": d}), ("(2)", {"simple": d, "x": x})):
        beta, se, r2 = least_squares(y, np.column_stack([one, *columns.values()]))
        for (term, _), b, s in zip(columns.items(), beta[1:], se[1:], strict=True):
            estimand = "att" if term == "simple" else "coefficient"
            lines.append(row(estimand, term, f"{b:.3f}", name, se=f"{s:.3f}", stars=marks(b / s), n_obs="440", place="Table 1"))
        lines.append(row("r_squared", "y", f"{r2:.3f}", name, n_obs="440"))
    (constant, a), (_, se), _ = least_squares(m, np.column_stack([one, d]))
    lines += [
        row("constant", "m", f"{constant:.3f}"),
        row("driving", "m", f"{a:.3f}", t=f"{a / se:.3f}", stars=marks(a / se), place="Table 2"),
    ]
    (_, direct, b), _, _ = least_squares(y, np.column_stack([one, d, m]))
    lines += [row("mediator_effect", "m", f"{b:.3f}"), row("indirect", "m", f"{a * b:.3f}"), row("direct", "all", f"{direct:.3f}")]
    return [*lines, row("total", "all", f"{direct + a * b:.3f}")]


@pytest.mark.parametrize("seed", range(12))
def test_no_finding_in_a_consistent_table(tmp_path, seed):
    report = audited(tmp_path, regression_table(seed), STATED)
    found = report.findings
    order = found["check"] == "order"  # whether the effect shrinks is up to the seed
    assert found[~order].empty, found.to_string()
    kinds = set(report.checks["check"])
    assert {"stars against t", "n = units × periods", "driving × direct = indirect", "total = direct + indirect"} <= kinds
    assert {"constant + effect × mean = mean", "partial R² against t", "mean(D) · n against treated units × periods"} <= kinds


WRONG = {
    "stars against t": ("coefficient,x", 9, "***", "*"),
    "driving × direct = indirect": ("indirect", 5, None, "0.9"),
    "total = direct + indirect": ("total", 5, None, "2.345"),
    "constant + effect × mean = mean": ("constant", 5, None, "0.9"),
    "mean(D) · n against treated units × periods": ("mean,did", 5, "0.205", "0.215"),
    "partial R² against t": ("coefficient,x", 6, None, "0.4"),
    "n = units × periods": ("r_squared", 10, "440", "400"),
}


@pytest.mark.parametrize("check", WRONG)
def test_one_wrong_figure_is_found(tmp_path, check):
    start, column, before, after = WRONG[check]
    lines = regression_table(3)
    place = next(k for k, line in enumerate(lines) if line.startswith(start))
    cells = lines[place].split(",")
    assert before is None or cells[column] == before
    cells[column] = after
    lines[place] = ",".join(cells)
    assert check in set(audited(tmp_path, lines, STATED).findings["check"])


def test_falling_r_squared_and_regions_that_do_not_sum(tmp_path):
    lines = [
        row("coefficient", "a", "0.5", "(1)"), row("r_squared", "y", "0.40", "(1)"),
        row("coefficient", "a", "0.5", "(2)"), row("coefficient", "b", "0.5", "(2)"), row("r_squared", "y", "0.38", "(2)"),
    ]  # fmt: skip
    found = audited(tmp_path, lines, STATED.split("[treatment]")[0].replace("West = 25", "West = 24")).findings.set_index("check")
    assert found.loc["R² of nested columns", "verdict"] == "R² falls although a variable is added"
    assert found.loc["regions sum to the sample", "arithmetic"] == "15 + 24 = 39 ≠ 40"


def test_stars_with_rounding(tmp_path):
    cases = {
        ("0.132", "2.536", "***"): "contradicted", ("0.132", "2.577", "***"): "holds", ("0.1", "2.58", "**"): "open",
        ("0.1", "2.80", "**"): "contradicted", ("0.1", "1.5", ""): "holds", ("0.1", "4.0", ""): "contradicted",
        ("0.1", "1.9", "**"): "contradicted",
    }  # fmt: skip
    lines = [row("direct", f"x{k}", e, t=t, stars=s, place="Table 1") for k, (e, t, s) in enumerate(cases)]
    assert list(audited(tmp_path, lines).checks["outcome"]) == list(cases.values())
    zero = audited(tmp_path, [row("direct", "x", "0.002", se="0.000", stars="***")]).checks.iloc[0]
    assert zero["outcome"] == "holds"
    assert "inf" in zero["arithmetic"]
    assert audited(tmp_path, [row("direct", "x", "0.5", se="0.1")]).checks.empty, "a table without stars makes no claim"


def test_one_sided_levels_that_fit_the_whole_table_are_said(tmp_path):
    report = audited(tmp_path, [row("direct", "x", "0.1", t="2.40", stars="***"), row("direct", "z", "0.1", t="1.70", stars="**")])
    assert len(report.findings) == 2
    assert report.findings["verdict"].str.contains("fits the rest of the table").all()


def test_products_with_zero_and_by_region(tmp_path):
    lines = [
        row("driving", "x", "6.458", region="East"), row("mediator_effect", "x", "0", region="East"),
        row("mediator_effect", "z", "0.025"), row("indirect", "x", "0", region="East"), row("indirect", "z", "0.053"),
    ]  # fmt: skip
    checks = audited(tmp_path, lines).checks
    assert list(checks["outcome"]) == ["holds"], "z has no driving effect, so its product is not checked"


# ── estimates, and what is refused ──────────────────────────────────────────────────────────────────────────────────


def test_published_estimates_are_checked_as_their_file_prints_them():
    whole, by_name = bayes.audit(bayes.published("province_tfp")), bayes.audit("province_tfp")
    pd.testing.assert_frame_equal(whole.checks, by_name.checks)
    part = bayes.audit(bayes.published("province_tfp").where(term="ptec"))
    assert list(part.findings["check"]) == ["stars against t", "t as printed"]
    assert "order" not in set(part.checks["check"])
    with pytest.raises(DataError, match="4 rows are not those"):
        bayes.audit(bayes.published("province_tfp").where(term="ptec", estimand="direct").relabel(term={"ptec": "scale"}))


def test_other_estimates_are_checked_for_sums_and_products():
    keys = {"source": "synthetic", "term": "m"}
    rows = [{**keys, "estimand": e, "estimate": v} for e, v in (("driving", 0.5), ("mediator_effect", 0.25), ("indirect", 0.125))]
    assert bayes.audit(Estimates.from_rows(rows)).findings.empty
    rows[2]["estimate"] = 0.225
    found = bayes.audit(Estimates.from_rows(rows)).findings
    assert list(found["verdict"]) == ["0.225 is not the product"]
    with pytest.raises(SpecificationError, match="have draws"):
        bayes.audit(Estimates.from_draws(rows, np.zeros((3, 4))))


def test_report_is_shown_and_written():
    report = bayes.audit("city_pilot_did")
    assert "27 checks: 5 contradicted, 3 left open, 19 hold." in repr(report)
    assert "0.144" in report._repr_html_()
    assert "285 × 14" in report.as_table().markdown()
    assert len(report.table("all")) == 27
    assert len(report.table("holds")) == 19
    with pytest.raises(SpecificationError, match="'findings', 'remarks', 'holds', 'all'"):
        report.table("bad")


def test_bad_files(tmp_path):
    with pytest.raises(DatasetError, match="Known: castle_doctrine"):
        bayes.audit("castle")
    with pytest.raises(DatasetError, match=r"none\.csv does not exist"):
        bayes.audit(tmp_path / "none.csv")
    with pytest.raises(DataError, match=r"Table 9: '0\.1x' is not a printed number"):
        audited(tmp_path, [row("direct", "x", "0.2", se="0.1x", place="Table 9")])
    with pytest.raises(DataError, match="stars '\\+'"):
        audited(tmp_path, [row("direct", "x", "0.2", se="0.1", stars="+")])
    good = [row("direct", "x", "0.2", region="East")]
    with pytest.raises(DataError, match=r"unknown words \['years'\]"):
        audited(tmp_path, good, '[[sample]]\nplace = "a"\nunits = 3\nyears = 4\n')
    with pytest.raises(DataError, match="give periods, or first and last"):
        audited(tmp_path, good, '[[sample]]\nplace = "a"\nunits = 3\n')
    with pytest.raises(DataError, match=r"\['units'\] are missing"):
        audited(tmp_path, good, '[[sample]]\nplace = "a"\nperiods = 3\n')
    with pytest.raises(DataError, match="0 printed figures have"):
        audited(tmp_path, good, '[[sign]]\nplace = "a"\nsays = "b"\nsign = "positive"\nestimand = "direct"\nterm = "x"\n')
    with pytest.raises(DataError, match="Choose one of positive, negative"):
        audited(tmp_path, good, '[[sign]]\nplace = "a"\nsays = "b"\nsign = "plus"\n')
    with pytest.raises(DataError, match="must be a list"):
        audited(tmp_path, good, '[[order]]\nplace = "a"\nsays = "b"\nestimand = "direct"\n')
    with pytest.raises(DataError, match="row 2: 13 fields under 12 columns"):
        audited(tmp_path, [*good, good[0] + ",Table 1"])
    (tmp_path / "short.csv").write_text("estimand,term\natt,simple\n", encoding="utf-8")
    with pytest.raises(MissingColumnError, match="estimate"):
        bayes.audit(tmp_path / "short.csv")
