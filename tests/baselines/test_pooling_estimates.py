"""Pooling of printed estimates against brute force over (μ, τ), its limits, and the eight schools."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

import bayes
from bayes import Estimates, Prior
from bayes.baselines import _normal_hierarchy as hierarchy
from bayes.errors import SpecificationError

# Rubin (1981). Posterior means and their Monte-Carlo errors: posteriordb, eight_schools_noncentered (μ ~ N(0, 5), τ half-Cauchy(0, 5)).
SCHOOLS = ([28, 8, -3, 7, -1, 1, 18, 12], [15, 10, 16, 11, 9, 11, 10, 18])
SCHOOL_MEANS = [6.15050, 4.93958, 3.90591, 4.79602, 3.61444, 4.05115, 6.31717, 4.88400, 4.41052, 3.60206]
SCHOOL_ERRORS = [0.0557, 0.0462, 0.0542, 0.0475, 0.0461, 0.0485, 0.0499, 0.0543, 0.0330, 0.0319]


def printed(y, se, **more) -> Estimates:
    rows = [
        {"estimand": "att", "term": "region", "region": f"r{k}", "source": "a study", "estimate": a, "se": b, **more}
        for k, (a, b) in enumerate(zip(y, se, strict=True))
    ]
    return Estimates.from_rows(rows)


def brute_force(y, se, log_prior, reach, mean_prior=None):
    """Expectations over a two-dimensional grid of (μ, τ) by Gauss–Legendre, conditionals of θ in closed form. Cubes put many nodes near
    the centre of μ and near τ = 0."""
    node, weight = np.polynomial.legendre.leggauss(500)
    x = (node + 1) / 2
    mu, tau, stretch = np.mean(y) + reach * node**3, reach * x**3, 3 * x**2
    m, t = np.meshgrid(mu, tau, indexing="ij")
    density = log_prior(t)
    for a, b in zip(y, se, strict=True):
        density = density + stats.norm.logpdf(a, m, np.hypot(b, t))
    if mean_prior:
        density = density + stats.norm.logpdf(m, *mean_prior)
    w = np.exp(density - density.max()) * (weight * node**2)[:, None] * (weight * stretch)
    w /= w.sum()
    theta = [(a / b**2 + m / t**2) / (1 / b**2 + 1 / t**2) for a, b in zip(y, se, strict=True)]
    spread = [1 / (1 / b**2 + 1 / t**2) for b in se]
    means = [float((w * q).sum()) for q in theta] + [float((w * m).sum())]
    variances = [float((w * (q**2 + v)).sum()) - e**2 for q, v, e in zip(theta, spread, means, strict=False)]
    variances += [float((w * m**2).sum()) - means[-1] ** 2, float((w * (m**2 + t**2)).sum()) - means[-1] ** 2]
    return np.array([*means, means[-1], float((w * t).sum())]), np.sqrt(variances), (w, m, t)


CASES = {
    "half-normal": (Prior("HalfNormal", {"sigma": 0.1}, False), lambda t: -0.5 * (t / 0.1) ** 2, 1.5),
    "half-t": (Prior("HalfStudentT", {"nu": 4, "sigma": 0.1}, False), lambda t: -2.5 * np.log1p((t / 0.1) ** 2 / 4), 30.0),
    "exponential": (Prior("Exponential", {"scale": 0.1}, False), lambda t: -t / 0.1, 4.0),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("mean_prior", [None, (0.1, 0.2)])
def test_equal_to_two_dimensional_quadrature(name, mean_prior):
    y, se = [0.248, 0.449, 0.274], [0.036, 0.0676, 0.0472]
    prior, log_density, reach = CASES[name]
    given = None if mean_prior is None else Prior("Normal", {"mu": mean_prior[0], "sigma": mean_prior[1]}, False)
    out = bayes.pool(printed(y, se), prior=prior, mean_prior=given)
    mean, sd, _ = brute_force(y, se, log_density, reach, mean_prior)
    assert out.frame["estimate"].to_numpy() == pytest.approx(mean, abs=1e-7)
    tail = 1e-4 if name == "half-t" else 1e-6  # the grid ends, the second moment of a t is far out
    assert out.frame["se"].to_numpy()[:-1] == pytest.approx(sd, rel=tail)


def test_quantiles_and_probabilities_are_those_of_the_mixture():
    y, se = np.array([0.02, -0.05, 0.09]), np.array([0.03, 0.05, 0.04])
    mixture = hierarchy.posterior(y, se, lambda t: -0.5 * (t / 0.05) ** 2, 0.05)
    levels = np.array([0.025, 0.5, 0.9])
    for row, found in enumerate(hierarchy.quantiles(mixture, levels)):
        reached = [stats.norm.cdf(q, mixture.mean[row], mixture.sd[row]) @ mixture.weight for q in found]
        assert reached == pytest.approx(levels, abs=1e-10)
    chosen = hierarchy.quantiles(mixture, levels, [3])
    assert chosen[0] == pytest.approx(hierarchy.quantiles(mixture, levels)[3])
    *_, (w, _, t) = brute_force(y, se, lambda x: -0.5 * (x / 0.05) ** 2, 0.6)
    for q, level in zip(hierarchy.tau_quantiles(mixture, levels), levels, strict=True):
        assert (w * (t < q)).sum() == pytest.approx(level, abs=0.01)  # steps of the grid


def test_eight_schools():
    prior = Prior("HalfStudentT", {"nu": 1, "sigma": 5}, relative=False)
    out = bayes.pool(printed(*SCHOOLS), prior=prior, mean_prior=Prior("Normal", {"mu": 0, "sigma": 5}, relative=False))
    found = out.frame["estimate"].drop(9).to_numpy()
    assert np.abs((found - SCHOOL_MEANS) / SCHOOL_ERRORS).max() < 3


def test_draws_agree_with_the_integral():
    out = bayes.pool(printed(*SCHOOLS), draws=40_000, seed=3)
    exact = out.frame
    error = exact["se"].to_numpy() / 200
    assert np.abs((out.draws.mean(axis=1) - exact["estimate"]) / error).max() < 4
    assert out.draws.std(axis=1) == pytest.approx(exact["se"].to_numpy(), rel=0.02)
    assert (out.draws < exact["lower"].to_numpy()[:, None]).mean(axis=1) == pytest.approx(0.025, abs=0.004)
    # Joint draws: a new region differs from the mean by N(0, τ²) in each draw.
    scaled = (out.draws[-2] - out.draws[-3]) / out.draws[-1]
    assert scaled.std() == pytest.approx(1, abs=0.02)
    assert out.meta["seed"] == 3
    assert np.array_equal(out.draws, bayes.pool(printed(*SCHOOLS), draws=40_000, seed=3).draws)


def test_limits_are_complete_and_no_pooling():
    y, se = np.array([0.1, 0.4, 0.2]), np.array([0.05, 0.08, 0.06])
    tight = bayes.pool(printed(y, se), prior=Prior("HalfNormal", {"sigma": 1e-6}, relative=False)).frame
    weight = se**-2 / (se**-2).sum()
    assert tight["estimate"].to_numpy()[:5] == pytest.approx(weight @ y, abs=1e-6)
    assert tight["se"].to_numpy()[:4] == pytest.approx((se**-2).sum() ** -0.5, rel=1e-6)
    wide = bayes.pool(printed(y, se / 1000)).frame
    assert wide["estimate"].to_numpy()[:3] == pytest.approx(y, abs=1e-5)
    assert wide["se"].to_numpy()[:3] == pytest.approx(se / 1000, rel=1e-4)


def test_default_prior_follows_the_units():
    one, thousand = (bayes.pool(printed(k * np.array([0.1, 0.4, 0.2]), k * np.array([0.05, 0.08, 0.06]))).frame for k in (1, 1000))
    for column in ("estimate", "se", "lower", "upper"):
        assert thousand[column].to_numpy() == pytest.approx(1000 * one[column].to_numpy(), rel=1e-6)
    assert thousand["prob_positive"].to_numpy() == pytest.approx(one["prob_positive"].to_numpy(), abs=1e-9, nan_ok=True)


def test_equal_estimates_take_their_scale_from_the_standard_errors():
    frame = bayes.pool(printed([0.2, 0.2], [0.1, 0.1])).frame
    assert frame["estimate"].to_numpy()[:4] == pytest.approx(0.2)
    assert 0.01 < frame["estimate"].to_numpy()[4] < 0.2


def test_rows_that_cannot_be_pooled_stay_with_their_reason():
    rows = printed([0.1, 0.4, 0.2, 0.3, 0.9], [0.05, 0.08, 0.06, np.nan, 0.04])
    rows.frame.loc[4, "region"] = ""
    out = bayes.pool(rows)
    lost = out.frame[~out.frame["identified"]]
    assert list(lost["region"]) == ["r3", ""]
    assert lost["estimate"].isna().all()
    assert "no standard error printed" in lost["note"].iloc[0]
    assert "printed 0.3" in lost["note"].iloc[0]
    assert "no region" in lost["note"].iloc[1]
    assert np.isnan(out.draws[:2]).all()
    assert len(out.meta["left_out"]) == 2
    alone = bayes.pool(printed([0.1, 0.4, 0.2], [0.05, 0.08, 0.06])).frame
    assert out.frame["estimate"].to_numpy()[2:] == pytest.approx(alone["estimate"].to_numpy())


def test_province_table_by_component_and_beside_the_printed_rows():
    printed_rows = bayes.published("province_tfp").where(estimand="direct")
    out = bayes.pool(printed_rows, seed=1)
    assert set(out.frame.loc[out.frame["estimand"] == "direct_between_sd", "term"]) == {"tfpc", "tc", "ec", "ptec", "sec"}
    assert len(out.frame) == 5 * (1 + 3 + 3) + 4
    table = out.where(term="tfpc", estimand="direct").frame.set_index("region")["estimate"]
    assert 0.248 < table["East"] < table["West"] < table["Central"] < 0.449
    joined = bayes.compare(out.where(term="tfpc", estimand="direct", identified=True), printed_rows.where(term="tfpc")).joined
    beside = joined[joined["source"] == "province productivity study"].set_index("region")
    assert beside["sd_ratio"].dropna().between(0.8, 1.1).all()
    assert len(out.meta["sensitivity"]) == 15
    assert "prior-driven" in out.frame.loc[out.frame["estimand"] == "direct_between_sd", "note"].iloc[0]


def test_pooling_over_sources_and_units():
    rows = printed([0.1, 0.3], [0.05, 0.05])
    rows.frame[["region", "source"]] = [["", "A"], ["", "B"]]
    out = bayes.pool(rows, across="source")
    assert list(out.frame["source"])[:2] == ["A, pooled", "B, pooled"]
    units = printed([0.1, 0.3], [0.05, 0.05], unit="")
    units.frame[["region", "unit"]] = [["West", "a"], ["West", "b"]]
    assert list(bayes.pool(units, across="unit").frame["unit"]) == ["a", "b", "", "", ""]


def test_a_variance_that_does_not_exist_is_not_given():
    cauchy = Prior("HalfStudentT", {"nu": 1, "sigma": 1})
    two, three = (bayes.pool(printed([0.1, 0.3, 0.2][:k], [0.05] * k), prior=cauchy).frame for k in (2, 3))
    assert two["se"].isna().tolist() == [False, False, False, True, True]
    assert three["se"].notna().all()


def test_bad_calls():
    good = printed([0.1, 0.4], [0.05, 0.08])
    with pytest.raises(SpecificationError, match="across='state' does not exist"):
        bayes.pool(good, across="state")
    with pytest.raises(SpecificationError, match=r"must be bayes\.Estimates"):
        bayes.pool([0.1, 0.2])
    with pytest.raises(SpecificationError, match="at least two"):
        bayes.pool(printed([0.1], [0.05]))
    with pytest.raises(SpecificationError, match=r"at least two.*no standard error printed"):
        bayes.pool(printed([0.1, 0.2], [np.nan, np.nan]))
    with pytest.raises(SpecificationError, match="no region: nothing to pool"):
        bayes.pool(bayes.published("city_pilot_did").where(estimand="att"))
    with pytest.raises(SpecificationError, match=r"att region r1: .*positive one is needed"):
        bayes.pool(printed([0.1, 0.2], [0.1, 0.0]))
    with pytest.raises(SpecificationError, match="att region r0 stands twice"):
        bayes.pool(good + good)
    with pytest.raises(SpecificationError, match="HalfNormal, HalfStudentT, Exponential"):
        bayes.pool(good, prior=Prior("Uniform", {"lower": 0, "upper": 1}))
    with pytest.raises(SpecificationError, match="family Normal"):
        bayes.pool(good, mean_prior=Prior("HalfNormal", {"sigma": 1}))
    with pytest.raises(SpecificationError, match="level"):
        bayes.pool(good, level=95)
    with pytest.raises(SpecificationError, match="draws"):
        bayes.pool(good, draws=0)
