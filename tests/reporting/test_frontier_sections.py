"""The report of a stochastic frontier: its sections, its words, and every panel form that it must be able to write about."""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

import numpy as np
import pandas as pd
import pytest

import bayes
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.frontier.skewness import coelli_1995
from bayes.panel import Panel
from bayes.reporting import frontier_words as words
from bayes.reporting.figures import Picture
from bayes.reporting.frontier_residuals import implied_skewness, noise_check, skewness_by_region
from bayes.reporting.frontier_sections import build_sections
from tests.frontier.posteriors import synthetic_frame
from tests.reporting.frontier_fakes import fabricated_frontier, failed, state_frame

ORDER = [
    "diagnostics",
    "headline",
    "comparison",
    "efficiency",
    "regions",
    "productivity",
    "gap",
    "prior-driven",
    "prior-posterior",
    "residuals",
    "chains",
    "priors",
    "criticism",
    "descriptive",
    "data",
    "software",
    "methods",
    "references",
]


@pytest.fixture(scope="module")
def fit():
    return fabricated_frontier(covariates=("c",))


def likelihood_rows(fit) -> Estimates:
    """Made-up maximum-likelihood rows; one region collapsed."""
    frame = fit.elasticities("region").frame.assign(source="Maximum likelihood, by region", interval="normal, Hessian")
    frame.loc[frame.region == "West", "note"] = "boundary: no inefficiency (σ_u → 0)"
    return Estimates.from_rows(frame)


@pytest.fixture(scope="module")
def page(fit, tmp_path_factory) -> str:
    table = bayes.compare(fit.elasticities("region"), likelihood_rows(fit))
    path = bayes.report(fit, tmp_path_factory.mktemp("r") / "report.html", comparison=table, outcome="log output", time_unit="years")
    assert path.stat().st_size < 3_000_000
    return path.read_text(encoding="utf-8")


@pytest.fixture
def without_drawing(monkeypatch):
    drawn = Picture("data:,", "data:,", "alt", "caption", 1, 1)
    monkeypatch.setattr("bayes.reporting.figures.picture", lambda figure, *_: drawn)


def text_of(page: str, anchor: str) -> str:
    part = re.search(rf'<section id="{anchor}".*?</section>', page, re.DOTALL).group(0)
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", part)))


def section(parts, anchor):
    return next(part for part in parts if part.anchor == anchor)


# ── the page ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_sections_come_in_the_order_a_reader_needs(page):
    assert re.findall(r'<section id="([^"]+)"', page) == ORDER


def test_headline_has_the_fits_own_numbers(page, fit):
    row = fit.efficiency("all").frame.iloc[0]
    said = text_of(page, "headline")
    assert f"output reached {100 * row['estimate']:.1f} % of what the frontier of the unit's own region allows" in said
    with pytest.warns(bayes.errors.ProductivityWarning):
        total = fit.productivity("all").where(estimand="tfpc").frame.iloc[0]
    assert f"changed by {100 * (total['estimate'] - 1):+.2f} % per year".replace("-", "−") in said
    assert "Before the data, the model put the efficiency of a row at a median of" in said


def test_comparison_shows_sources_side_by_side_and_where_likelihood_ended(page):
    said = text_of(page, "comparison")
    assert "Maximum likelihood, by region" in said
    assert "boundary: no inefficiency (σ_u → 0) West" in said
    assert "All rows with differences (12)" in said
    assert "Waldman" in text_of(page, "references")


def test_every_picture_has_words_and_a_phone_version(page):
    alts = re.findall(r'<img [^>]*alt="([^"]+)"', page)
    assert len(alts) == 7  # efficiency, elasticities, productivity twice, gap, prior and posterior, chains; the units are no US states
    assert all(len(alt) > 30 for alt in alts)
    assert page.count('<source media="(max-width: 600px)" srcset="data:image/') == 7


def test_references_are_those_of_the_model(page, without_drawing, tmp_path):
    listed = text_of(page, "references")
    for used in ("Aigner", "Greene", "van den Broeck", "Orea", "Coelli", "O'Donnell", "Seyboldt"):
        assert used in listed
    assert "paddy farmers" not in listed
    other = bayes.report(fabricated_frontier(model="bc92", pooling="complete"), tmp_path / "b.html").read_text(encoding="utf-8")
    assert "paddy farmers" in text_of(other, "references")
    assert "Greene" not in text_of(other, "references")


def test_a_failed_fit_says_so_first_and_on_every_table(fit, without_drawing, tmp_path):
    page = bayes.report(failed(fit), tmp_path / "failed.html").read_text(encoding="utf-8")
    assert "Diagnostics FAILED" in text_of(page, "diagnostics")
    assert page.count('<p class="failed">') == page.count("<table>")
    assert page.count("<table>") > 8


def test_title_and_misuse(fit, without_drawing, tmp_path):
    page = bayes.report(fit, tmp_path / "r.html").read_text(encoding="utf-8")
    assert "<h1>synthetic frontier: efficiency and productivity, y</h1>" in page
    with pytest.raises(SpecificationError, match=r"comparison= takes"):
        build_sections(fit, comparison=pd.DataFrame())


def test_states_get_a_map_and_other_units_do_not(fit):
    states = state_frame().iloc[:12]
    frame = synthetic_frame(n_units=12, n_periods=6)
    named = frame.assign(unit=states.state.to_numpy()[np.repeat(np.arange(12), 6)])
    panel = Panel.from_frame(named, "unit", "year", region="region", name="states")
    assert len(section(build_sections(fabricated_frontier(panel)), "efficiency").figures) == 2
    assert len(section(build_sections(fit), "efficiency").figures) == 1


# ── every panel form ────────────────────────────────────────────────────────────────────────────────────────────────

FORMS = {
    "translog, determinants": {"technology": "translog", "model": "pooled", "determinants": ["z", "d"], "technical_change": "biased"},
    "truncated normal": {"model": "pooled", "inefficiency": "truncated-normal"},
    "gamma": {"model": "pooled", "inefficiency": "gamma"},
    "student-t": {"model": "pooled", "noise": "student-t", "noise_determinants": ["z"]},
    "time-invariant": {"model": "time-invariant"},
    "kumbhakar": {"model": "kumbhakar-1990"},
    "four components": {"model": "four-component"},
    "regions on their own": {"pooling": "none"},
    "one technology": {"pooling": "complete", "technical_change": "none"},
    "noise pooled": {"pooling": ("technology", "efficiency", "noise")},
    "cost with products": {"kind": "cost", "products": ["k"]},
    "cost without products": {"kind": "cost"},
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_has_a_report(name, without_drawing, tmp_path):
    options = FORMS[name]
    fit = fabricated_frontier(**options, draws=110)
    page = bayes.report(fit, tmp_path / "r.html").read_text(encoding="utf-8")
    found = re.findall(r'<section id="([^"]+)"', page)
    absent = {"productivity"} if name == "cost without products" else {"gap"} if name == "one technology" else set()
    assert set(ORDER) - set(found) == absent
    assert ("determinants" in found) == bool(fit.model.determinants)
    assert not re.search(r"\b(nan|None|inf)\b", re.sub(r"<[^>]+>", " ", page).replace("none", ""))
    if fit.model.kind == "cost":
        assert "of actual cost" in text_of(page, "headline")
    if fit.model.pooling == "complete":
        assert "Technology, inefficiency and noise are common to all regions." in text_of(page, "methods")


def test_a_panel_without_regions_and_a_cross_section(without_drawing, tmp_path):
    frame = synthetic_frame(n_units=12, n_periods=6)
    one = Panel.from_frame(frame, "unit", "year", name="no regions")
    page = bayes.report(fabricated_frontier(one, draws=110), tmp_path / "one.html").read_text(encoding="utf-8")
    assert "The panel has one region." in text_of(page, "methods")
    assert "own region" not in text_of(page, "headline")
    once = synthetic_frame(n_units=40, n_periods=2).drop_duplicates("unit").assign(year=lambda t: 2001 + np.arange(len(t)) % 2)
    cross = Panel.from_frame(once, "unit", "year", region="region", name="every unit once")
    fit = fabricated_frontier(cross, model="pooled", technical_change="none", draws=110)
    found = re.findall(r'<section id="([^"]+)"', bayes.report(fit, tmp_path / "cross.html").read_text(encoding="utf-8"))
    assert "productivity" not in found


# ── residuals ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_skewness_by_region_is_that_of_least_squares_with_unit_effects(fit):
    frame, found = fit.panel.frame, skewness_by_region(fit).set_index("region")
    for region in ("East", "North", "West"):
        part = frame[frame.region == region]
        dummies = pd.get_dummies(part.unit).to_numpy(dtype=float)
        x = np.column_stack([dummies, part[["k", "l", "c", "year"]]])
        e = part.y - x @ np.linalg.lstsq(x, part.y)[0]
        assert found.loc[region, "skewness"] == pytest.approx(coelli_1995(e.to_numpy()).skewness, abs=1e-9)
        assert found.loc[region, "rows"] == len(part)
    assert found.index[-1] == "all regions, one technology"


def test_skewness_of_too_few_rows_is_said_in_words():
    frame = synthetic_frame(n_units=9, n_periods=3)
    frame = pd.concat([frame[frame.region != "West"], frame[frame.region == "West"].iloc[:2]])
    fit = fabricated_frontier(Panel.from_frame(frame, "unit", "year", region="region"), model="pooled", draws=30)
    row = skewness_by_region(fit).set_index("region").loc["West"]
    assert np.isnan(row["skewness"])
    assert "at least three" in row["verdict"] or "residuals" in row["verdict"]


@pytest.mark.parametrize("inefficiency", ["half-normal", "exponential", "rayleigh", "gamma", "truncated-normal"])
def test_implied_skewness_is_that_of_simulated_errors(inefficiency):
    fit = fabricated_frontier(model="pooled", inefficiency=inefficiency, draws=5, chains=1)
    p, rng, size = fit.parameters(), np.random.default_rng(0), 400_000
    simulated = []
    for k in range(5):
        ratio = p["location_ratio"][k] if "location_ratio" in p else 0.0
        u = {
            "half-normal": lambda: np.abs(rng.normal(size=size)),
            "exponential": lambda: rng.exponential(size=size),
            "rayleigh": lambda: rng.rayleigh(size=size),
            "gamma": lambda k=k: rng.gamma(p["shape"][k], size=size),
            "truncated-normal": lambda ratio=ratio: (lambda z: z[z > 0])(ratio + rng.normal(size=3 * size)),
        }[inefficiency]()
        e = p["noise_scale"][k, 0] * rng.normal(size=u.size) + p["inefficiency_scale"][k, 0] * u
        e = e - e.mean()
        simulated.append((e**3).mean() / (e**2).mean() ** 1.5)
    assert implied_skewness(fit).iloc[0] == pytest.approx(np.mean(simulated), abs=0.02)


def test_noise_that_the_model_made_passes_and_autocorrelated_noise_does_not():
    spec = {"model": "pooled", "technology": "cobb-douglas", "technical_change": "neutral", "draws": 60}
    frame = synthetic_frame(n_units=30, n_periods=12)
    fit = fabricated_frontier(Panel.from_frame(frame, "unit", "year", region="region"), **spec)
    p, data, rng = fit.parameters(np.array([0])), fit.data, np.random.default_rng(1)
    made = fit.tree["posterior"].to_dataset()
    made = made.isel(chain=[0] * 4, draw=[0] * 60)  # one point, the truth of what is simulated now
    region = data.in_rows(np.broadcast_to(data.unit_region[:, None], data.mask.shape)).astype(int)
    fitted = np.einsum("kn,nk->n", np.stack([data.in_rows(c) for c in data.design]), p["technology"][0][region])
    u = p["inefficiency_scale"][0][region] * np.abs(rng.normal(size=data.n_rows))
    z = rng.normal(size=(30, 12))
    for name, noise in {"white": z, "lasting": np.cumsum(z, axis=1) / 3}.items():
        v = p["noise_scale"][0][region] * (noise / noise.std()).ravel()
        panel = Panel.from_frame(fit.panel.frame.assign(y=fitted + v - u), "unit", "year", region="region")
        tree = fit.tree.copy()
        tree["posterior"] = type(tree)(made)
        check = noise_check(replace(fit, panel=panel, tree=tree)).set_index("statistic")
        outside = (check["observed"] < check["lower"]) | (check["observed"] > check["upper"])
        assert outside["autocorrelation within units"] == (name == "lasting")
        assert not outside["skewness"] or name == "lasting"


def test_prior_driven_words_name_the_regions():
    skewness = pd.DataFrame(
        {"region": ["East", "West", "all"], "rows": 50, "verdict": ["unclear", "wrong", "wrong"], "hidden": [True, False, False]}
    )
    fit = fabricated_frontier(draws=30)
    said = words.prior_driven(skewness, {"East": 0.2, "West": 0.9}, {"unit_effect_sd": 0.8}, fit.model)
    assert said[0].startswith("In West the data say little about inefficiency")
    assert said[1].startswith("In East the skewness that the posterior implies is smaller")
    assert "In West residuals are skewed against inefficiency." in said[2]
    assert "unit effect sd" in said[3]
    assert len(words.prior_driven(skewness.assign(verdict="right", hidden=False), {"East": 0.2}, {}, fit.model)) == 1
