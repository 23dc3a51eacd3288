"""Bad input to a frontier: each case has its error or warning, which names where it is and what to do; good input has none."""

from __future__ import annotations

import contextlib
import inspect
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bayes.errors import (
    CollinearColumnsError,
    MissingColumnError,
    MissingValueError,
    NotNumericError,
    NotPositiveError,
    NoVariationError,
    SpecificationError,
    TimingWarning,
    WeakRegionWarning,
    WrongSkewnessWarning,
)
from bayes.frontier.checks import check_panel
from bayes.frontier.model import StochasticFrontier
from bayes.frontier.support import MODELS, SHARED, WITH_UNIT_EFFECTS
from tests.frontier.test_data import frontier_frame, panel_of, unbalanced

FRAME = frontier_frame(n_units=30, n_periods=6)
ROWS = np.random.default_rng(12).normal(size=len(FRAME))
EAST = FRAME.region == "East"


def check(frame=FRAME, output="y", inputs=("k", "l"), **options):
    """Check with a frontier of five terms, whose every warning is an error here."""
    roles = {"region": options.pop("region")} if "region" in options else {}
    defaults = {"technology": "cobb-douglas", "technical_change": "neutral"}
    return check_panel(StochasticFrontier(output, inputs, **(defaults | options)), panel_of(frame, **roles))


def single_unit_region(frame=FRAME):
    """u00 is a region of its own."""
    return frame.assign(region=frame.region.where(frame.unit != "u00", "Alone"))


# ── good input ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("pooling", ["none", "complete", ("technology", "efficiency"), ("noise",)])
@pytest.mark.parametrize("model", MODELS)
def test_a_good_panel_passes_in_silence(model, pooling):
    check(model=model, pooling=pooling)
    check(model=model, pooling=pooling, covariates=["z"], determinants=["w"], noise_determinants=["z", "w"])


def test_levels_are_not_guessed():
    """Positive, large and skewed columns may be levels or not: the user says so by ``panel.log``, and nobody else."""
    check(FRAME.assign(y=np.exp(FRAME.y), k=np.exp(FRAME.k)), model="time-invariant", pooling="complete", inputs=("k", "l", "w"))


def test_logs_name_rows_that_are_not_positive():
    frame = FRAME.assign(w=FRAME.w.mask((FRAME.unit == "u03") & (FRAME.year == 2002), 0.0))
    with pytest.raises(NotPositiveError, match="Column 'w' has 1 values that are zero or negative: unit u03, year 2002"):
        panel_of(frame).log("k", "w")


def test_a_panel_without_regions_says_nothing_about_regions():
    check(region=None)
    check(region=None, technology="translog", frame=FRAME[FRAME.unit < "u05"])


# ── columns ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("error", "values", "message"),
    [
        (MissingValueError, FRAME.k.mask(FRAME.index == 7), "Column 'k' has 1 missing or infinite values: unit u01, year 2002"),
        (NotNumericError, "many", "Column 'k' holds str 'many'"),
        (NoVariationError, 2.5, r"Column 'k' \(inputs\) is 2.5 in every row.*Leave it out of inputs"),
        (NoVariationError, 0.1 + 1e-17 * ROWS, r"Column 'k' \(inputs\) is 0.1 in every row"),
    ],
)
def test_columns_that_cannot_be_used(error, values, message):
    with pytest.raises(error, match=message):
        check(FRAME.assign(k=values))


@pytest.mark.parametrize("role", ["covariates", "determinants", "noise_determinants"])
def test_a_constant_column_is_named_with_its_role(role):
    with pytest.raises(NoVariationError, match=rf"Column 'c' \({role}\) is 3 in every row.*Leave it out of {role}"):
        check(FRAME.assign(c=3), **{role: ["c"]})
    with pytest.raises(NoVariationError, match=r"Column 'y' \(output\) is 0 in every row.*Check how the column was made"):
        check(FRAME.assign(y=0.0))


def test_names_that_do_not_exist_or_would_be_mistaken():
    with pytest.raises(MissingColumnError, match="'water'"):
        check(inputs=("k", "water"))
    with pytest.raises(SpecificationError, match="'time' would be mistaken for the time trend"):
        StochasticFrontier("y", ["k", "time"], technical_change="none")
    with pytest.raises(SpecificationError, match="Two terms of the frontier would be called 'intercept'"):
        check(FRAME.assign(intercept=ROWS), inputs=("k", "intercept"))
    with pytest.raises(SpecificationError, match="Two terms of the frontier would be called 'k:l': rename columns that contain ':'"):
        check(FRAME.assign(**{"k:l": ROWS}), covariates=["k:l"], technology="translog")
    with pytest.raises(SpecificationError, match="The output 'y' stands among its own determinants"):
        check(determinants=["y"])


def test_an_output_that_is_fitted_exactly():
    exact = FRAME.assign(y=1 + 0.3 * FRAME.k + 0.7 * FRAME.l)
    for model in MODELS:
        with pytest.raises(NoVariationError, match=r"Column 'y' \(output\) is fitted exactly"):
            check(exact, model=model)
    copies = FRAME.assign(**{c: FRAME.groupby("unit")[c].transform("first") for c in ("y", "k", "l")})
    for model in (*SHARED, *WITH_UNIT_EFFECTS):
        with pytest.raises(NoVariationError, match="the rows of a unit are copies"):
            check(copies, model=model)
    check(copies, model="pooled")


# ── linear combinations ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("columns", "options", "message"),
    [
        ({"m": 2 * FRAME.k - 3}, {"inputs": ("k", "l", "m")}, r"Term 'm' is an exact linear combination of k \(up to a constant\)"),
        ({"m": FRAME.k - 2 * FRAME.l}, {"covariates": ["m"]}, "Term 'm' is an exact linear combination of k, l "),
        ({"m": FRAME.year / 10}, {"covariates": ["m"]}, "Term 'm' is an exact linear combination of time "),
        ({"k": (ROWS > 0).astype(float)}, {"technology": "translog"}, "Term 'k:k' is an exact linear combination of k .*cobb-douglas"),
        ({"k": np.sign(ROWS)}, {"technology": "translog"}, "Term 'k:k' is an exact linear combination of k "),
        ({"m": FRAME.k * FRAME.l}, {"technology": "translog", "covariates": ["m"]}, "Term 'm' is an exact linear combination of k, l, k:l"),
        ({"k": FRAME.year - 1990.0}, {}, "Term 'time' is an exact linear combination of k .*technical_change='none'"),
        (
            {"k": FRAME.k.round(), "m": (FRAME.k.round() - FRAME.k.round().mean()) * (FRAME.year - FRAME.year.mean())},
            {"inputs": ("m", "k"), "technical_change": "biased", "technology": "cobb-douglas"},
            "Term 'k:time' is an exact linear combination of m .*technical_change='neutral'",
        ),
    ],
)
def test_collinear_terms_are_named_with_what_they_combine(columns, options, message):
    with pytest.raises(CollinearColumnsError, match=message):
        check(FRAME.assign(**columns), **options)


def test_two_periods_cannot_bend_a_trend():
    with pytest.raises(CollinearColumnsError, match=r"Term 'time:time' is .*cobb-douglas"):
        check(FRAME[FRAME.year <= 2002], technology="translog", region=None)


def test_the_first_of_several_combinations_is_named():
    frame = FRAME.assign(a=FRAME.k + FRAME.l, b=FRAME.k - FRAME.l, c=ROWS)
    with pytest.raises(CollinearColumnsError, match="Term 'a' is an exact linear combination of k, l "):
        check(frame, covariates=["c", "a", "b"])


@pytest.mark.parametrize(("distance", "refused"), [(1e-11, True), (1e-6, False)])
def test_only_exact_combinations_are_refused(distance, refused):
    """A column that is 1e-6 of its size away from another is poor data, which the posterior shows; it is no combination."""
    frame = FRAME.assign(m=FRAME.k + distance * ROWS)
    with pytest.raises(CollinearColumnsError) if refused else contextlib.nullcontext():
        check(frame, inputs=("k", "l", "m"))


@pytest.mark.parametrize("unit", [1e-8, 1.0, 1e8])
def test_units_of_measurement_do_not_matter(unit):
    check(FRAME.assign(z=unit * FRAME.z, w=unit * FRAME.w), covariates=["z"], determinants=["w"])
    with pytest.raises(CollinearColumnsError, match="Term 'm' is an exact linear combination of z"):
        check(FRAME.assign(z=unit * FRAME.z, m=FRAME.z), covariates=["z", "m"])


def test_rank_agrees_with_singular_values():
    """Random designs with random exact combinations: refused exactly when the singular values say so, and the combination named holds."""
    rng, seen = np.random.default_rng(4), set()
    for _ in range(40):
        x = rng.normal(size=(len(FRAME), 4))
        if rng.random() < 0.6:
            weights = rng.choice([0.0, 1.0, -2.0], size=3)
            place = int(rng.integers(4))
            x[:, place] = np.delete(x, place, axis=1) @ weights + 5 if weights.any() else x[:, place]
        frame = FRAME.assign(**{f"x{j}": x[:, j] for j in range(4)})
        full = np.linalg.matrix_rank(np.column_stack([np.ones(len(x)), x])) == 5
        seen.add(full)
        with contextlib.nullcontext() if full else pytest.raises(CollinearColumnsError):
            check(frame, inputs=[f"x{j}" for j in range(4)], technical_change="none")
    assert seen == {True, False}


def test_collinear_determinants():
    frame = FRAME.assign(v=1 - 2 * FRAME.w, n=FRAME.w + FRAME.z)
    with pytest.raises(CollinearColumnsError, match=r"Column 'v' \(determinants\) is an exact linear combination of w "):
        check(frame, determinants=["w", "v"])
    with pytest.raises(CollinearColumnsError, match=r"Column 'n' \(noise_determinants\) is an exact linear combination of w, z "):
        check(frame, noise_determinants=["w", "z", "n"])
    with pytest.raises(SpecificationError, match=r"Column 'w' stands twice in determinants"):
        check(determinants=["w", "w"])
    check(determinants=["k", "w"], noise_determinants=["k"])  # a shifter may be an input, and shift both


# ── regions that stand alone ────────────────────────────────────────────────────────────────────────────────────────


def test_constant_in_a_region_that_stands_alone():
    frame = FRAME.assign(k=FRAME.k.where(~EAST, 1.5))
    with pytest.raises(NoVariationError, match=r"Column 'k' is constant in region 'East', where pooling='none'.*pool regions partially"):
        check(frame, pooling="none")
    check(frame)
    by_region = FRAME.assign(m=FRAME.region.map({"East": 1.0, "North": 2.0, "West": 4.0}))
    with pytest.raises(NoVariationError, match="Column 'm' is constant in regions 'East', 'North', 'West'"):
        check(by_region, pooling="none", covariates=["m"])
    check(by_region, pooling="complete", covariates=["m"])
    with pytest.raises(NoVariationError, match="Column 'year' is constant in region 'East'"):
        check(FRAME[~EAST | (FRAME.year == 2003)], pooling="none", model="pooled")


def test_collinear_in_a_region_that_stands_alone():
    frame = FRAME.assign(z=FRAME.z.where(~EAST, 2 * FRAME.l))
    with pytest.raises(CollinearColumnsError, match=r"Term 'z' is an exact linear combination of l .* in region 'East'"):
        check(frame, pooling="none", covariates=["z"])
    check(frame, covariates=["z"])


def test_determinants_that_only_regions_differ_in():
    frame = FRAME.assign(m=FRAME.region.map({"East": 1.0, "North": 2.0, "West": 4.0}))
    for role in ("determinants", "noise_determinants"):
        with pytest.raises(NoVariationError, match=rf"Column 'm' \({role}\) does not vary within any region"):
            check(frame, pooling="none", **{role: ["m"]})
        check(frame, **{role: ["m"]})
    frame = frame.assign(n=frame.w + frame.m)
    with pytest.raises(CollinearColumnsError, match=r"'n' .*combination of w .*within regions, each of which has its own scale"):
        check(frame, pooling="none", determinants=["w", "n"])


def test_more_parameters_than_units_or_rows_of_a_region():
    """A translog with a quadratic trend has eight terms; with both scales ten parameters, and the region has nine units."""
    frame = FRAME[~EAST | (FRAME.unit < "u27")]
    translog = {"technology": "translog", "pooling": "none"}
    for model in (*SHARED, *WITH_UNIT_EFFECTS):
        with pytest.raises(
            SpecificationError, match=r"Fewer units than the 10 parameters of a region \(8 .*\) in 'East' \(9\).*Pool them par"
        ):
            check(frame, model=model, **translog)
        check(model=model, **translog)
    check(frame, model="pooled", **translog)
    few = FRAME[~EAST | (FRAME.unit < "u03")]  # six rows of one unit
    with pytest.raises(SpecificationError, match=r"Fewer rows than the 7 parameters .* in 'East' \(6\).*leave columns out"):
        check(few, pooling="none", model="pooled", covariates=["z", "w"], technical_change="none")


def test_more_parameters_than_rows_of_the_panel():
    frame = FRAME[(FRAME.unit < "u03") & (FRAME.year <= 2003)]
    for pooling in ("none", "complete", ("technology",)):
        with pytest.raises(SpecificationError, match=r"9 rows for 11 parameters \(8 technology terms, σ_u, σ_v, 1 determinants\)"):
            check(frame, technology="translog", pooling=pooling, determinants=["w"], model="pooled")


def test_a_region_of_one_unit_that_stands_alone():
    for model in WITH_UNIT_EFFECTS:
        with pytest.raises(SpecificationError, match=r"One unit only in region 'Alone'.*cannot be told apart\. Pool regions partially"):
            check(single_unit_region(), pooling="none", model=model)


@pytest.mark.parametrize("model", [*SHARED, *WITH_UNIT_EFFECTS])
def test_units_that_show_nothing_of_their_own(model):
    once = FRAME[FRAME.year == 2001 + FRAME.unit.str[1:].astype(int) % 6]
    with pytest.raises(SpecificationError, match=rf"Every unit \(unit\) has a single row: model='{model}'.*Use model='pooled'"):
        check(once, model=model)
    check(once, model="pooled", pooling="complete")
    with pytest.raises(SpecificationError, match=rf"There is one unit, 'u00': model='{model}'.*Use model='pooled'"):
        check(frontier_frame(n_units=1, n_periods=40), model=model, region=None)


# ── stated warnings ─────────────────────────────────────────────────────────────────────────────────────────────────


def caught(frame=FRAME, **options) -> list[warnings.WarningMessage]:
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        check(frame, **options)
    return found


def test_regions_with_fewer_units_than_terms_are_listed_once():
    frame = FRAME[(FRAME.unit < "u22")]  # 8, 7 and 7 units
    (warning,) = caught(frame, technology="translog")
    assert warning.category is WeakRegionWarning
    assert "Fewer units than the 8 technology terms in 'North' (7), 'West' (7): their technology leans" in str(warning.message)
    for pooling in ("complete", ("efficiency", "noise")):
        assert not caught(frame, technology="translog", pooling=pooling)


@pytest.mark.parametrize(
    ("model", "pooling", "reasons"),
    [
        ("true-random-effects", ("technology",), ["unit effect of the unit and the region's intercept"]),
        ("four-component", ("technology", "efficiency"), ["unit effect of the unit", "σ_u rests on that unit alone"]),
        ("time-invariant", ("technology",), ["inefficiency of the unit and the region's intercept"]),
        ("pooled", ("efficiency",), ["σ_u rests on that unit alone"]),
        ("pooled", ("technology",), []),
        ("true-random-effects", ("noise",), []),
        ("true-random-effects", "complete", []),
    ],
)
def test_a_region_of_one_unit_is_stated(model, pooling, reasons):
    messages = [str(w.message) for w in caught(single_unit_region(), model=model, pooling=pooling)]
    single = [m for m in messages if m.startswith("One unit only in region 'Alone'")]
    assert len(single) == bool(reasons)
    assert all(reason in single[0] for reason in reasons)
    assert len(messages) - len(single) == ("technology" in pooling)


def test_a_region_column_with_one_region():
    with pytest.warns(
        WeakRegionWarning, match=r"Column 'region' has one region only \('East'\): nothing varies by region.*pooling='complete'"
    ):
        check(FRAME[EAST])
    check(FRAME[EAST], pooling="complete")
    check(FRAME[EAST], pooling="none")


def test_gaps_and_early_ends_of_a_path_in_time():
    frame = unbalanced(FRAME)
    with pytest.warns(TimingWarning) as found:
        check(frame, model="bc92")
    (warning,) = found
    text = str(warning.message)
    assert "h(t) = exp(−η(t − T_i)) of model='bc92' runs in calendar time" in text
    assert "1 of 30 units have gaps (u01)" in text
    assert "2 of 30 units end before year 2006 (u02, u04): u_i is their inefficiency in their own last period T_i" in text
    with pytest.warns(TimingWarning, match=r"t = 1 in 2001.*gaps \(u01\).*they follow the same h\(t\) up to there"):
        check(frame, model="kumbhakar-1990")
    for model in ("pooled", "time-invariant", "true-random-effects"):
        check(frame, model=model)
    with pytest.warns(TimingWarning, match=r"10 of 30 units have gaps \(u20, u21, u22, u23, u24 and 5 more\)"):
        check(FRAME[(FRAME.year != 2003) | (FRAME.unit < "u20")], model="bc92")


@pytest.mark.parametrize("step", [1, 5])
def test_a_regular_panel_and_a_late_start_have_no_gap(step):
    frame = frontier_frame(n_units=30, step=step)
    check(frame[(frame.unit != "u03") | (frame.year > 2001)], model="bc92")


# ── skewness ────────────────────────────────────────────────────────────────────────────────────────────────────────

SKEWED = frontier_frame(n_units=60, n_periods=6, inefficiency=0.6)


@pytest.mark.parametrize("model", MODELS)
def test_the_wrong_kind_is_stated(model):
    """Cost data called production and production data called cost; the right kind passes in silence."""
    cost = SKEWED.assign(y=-SKEWED.y)
    check(SKEWED, model=model)
    check(cost, model=model, kind="cost")
    with pytest.warns(
        WrongSkewnessWarning, match=r"kind='production', which implies negative skewness.*kind='cost'.*no inefficiency"
    ) as found:
        check(cost, model=model)
    assert "σ_u at zero" in str(found[0].message)
    assert "posterior of σ_u is the prior's, held near zero" in str(found[0].message)
    with pytest.warns(WrongSkewnessWarning, match="kind='cost', which implies positive skewness"):
        check(SKEWED, model=model, kind="cost")


def test_the_statistic_named_is_coelli_1995():
    """Pooled with a common technology: sample skewness of ordinary residuals over √(6/N), computed here from SciPy's skewness."""
    frame = SKEWED.assign(y=-SKEWED.y)
    x = np.column_stack([np.ones(len(frame)), frame.k, frame.l, frame.year - 2003])
    for pooling, dummies in (("complete", x[:, :1]), ("none", pd.get_dummies(frame.region, dtype=float))):
        design = np.column_stack([dummies, x[:, 1:]])
        e = frame.y - design @ np.linalg.lstsq(design, frame.y)[0]
        z = stats.skew(e) / np.sqrt(6 / len(e))
        words = re.escape(f"statistic is {z:+.2f} (p = {stats.norm.sf(z):.2g}, one-sided)")
        with pytest.warns(WrongSkewnessWarning, match=words):
            check(frame, model="pooled", pooling=pooling)


def test_chance_skewness_of_unit_effects_is_no_alarm():
    """Forty right-skewed unit effects over fifteen periods would be called significant if their 600 rows were taken as independent."""
    frame = frontier_frame(seed=1, n_units=40, n_periods=15, inefficiency=0.1)
    effects = np.exp(np.random.default_rng(2).normal(size=40))
    frame["y"] += effects[np.repeat(np.arange(40), 15)]
    check(frame, model="true-random-effects")
    with pytest.warns(WrongSkewnessWarning):
        check(frame, model="pooled")


def test_units_of_one_row_tell_nothing_about_skewness_within_units():
    """Half of the units keep one row: the statistic is that of the other half."""
    frame = SKEWED.assign(y=-SKEWED.y)
    whole = frame.unit < "u30"
    within = frame[whole].groupby("unit")[["y", "k", "l", "year"]].transform(lambda x: x - x.mean())
    x = within[["k", "l", "year"]].to_numpy()
    z = stats.skew(within.y - x @ np.linalg.lstsq(x, within.y)[0]) / np.sqrt(6 / len(x))
    with pytest.warns(WrongSkewnessWarning, match=re.escape(f"statistic is {z:+.2f} ")):
        check(frame[whole | (frame.year == 2002)], pooling="complete")


def test_unit_means_that_use_up_the_rows_are_no_exact_fit():
    """Four units, two periods, four slopes: nothing is left within units, yet the random-effects model has its eight rows."""
    frame = FRAME[(FRAME.unit < "u04") & (FRAME.year <= 2002)]
    check(frame, pooling="complete", covariates=["z"])


def test_false_alarms_are_rare():
    """No inefficiency at all is the worst case: about one panel in a hundred may warn, in a hundred panels at most six (P > .9999)."""
    alarms = {"pooled": 0, "true-random-effects": 0}
    for seed in range(100):
        panel = panel_of(frontier_frame(seed, n_units=20, n_periods=5, inefficiency=0.0, unit_effect=0.1 * (seed % 2)))
        for model in alarms:
            spec = StochasticFrontier("y", ["k", "l"], technology="cobb-douglas", model=model, pooling="complete")
            if model == "true-random-effects" or seed % 2 == 0:
                with warnings.catch_warnings(record=True) as found:
                    warnings.simplefilter("always")
                    check_panel(spec, panel)
                alarms[model] += len(found)
    assert max(alarms.values()) <= 6


# ── where warnings point ────────────────────────────────────────────────────────────────────────────────────────────


def test_a_fit_gives_each_warning_once_at_the_users_line(monkeypatch):
    """Through every function between user and check: fit, cache, data. Without a model to build it stops before PyMC is imported."""
    frame = single_unit_region(unbalanced(SKEWED.assign(y=-SKEWED.y)))
    spec = StochasticFrontier("y", ["k", "l"], technology="cobb-douglas", model="bc92")
    panel = panel_of(frame)
    monkeypatch.setattr("bayes.frontier.marginal.marginal_model", None)
    for use in (spec.data, spec.fit):
        with warnings.catch_warnings(record=True) as found:
            warnings.simplefilter("always")
            with contextlib.suppress(TypeError):
                line = inspect.currentframe().f_lineno + 1
                use(panel)
        kinds = sorted(w.category.__name__ for w in found)
        assert kinds == ["TimingWarning", "WeakRegionWarning", "WeakRegionWarning", "WrongSkewnessWarning"]
        assert {(w.filename, w.lineno) for w in found} == {(__file__, line)}
