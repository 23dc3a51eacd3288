"""The specification: words are checked at construction, it never changes, and it survives JSON."""

from __future__ import annotations

import dataclasses
import json
from types import SimpleNamespace

import numpy as np
import pytest

from bayes import Panel, Prior, StaggeredDiD
from bayes.errors import AffectedCovariateWarning, NoVariationError, SpecificationError

BAD = {
    "pooling word": {"pooling": "some"},
    "pooling component": {"pooling": ("event", "state")},
    "pooling number": {"pooling": 3},
    "errors": {"errors": "arma"},
    "unit effects": {"unit_effects": "none"},
    "period effects": {"period_effects": "unit"},
    "anticipation below zero": {"anticipation": -1},
    "anticipation fraction": {"anticipation": 0.5},
    "anticipation truth value": {"anticipation": True},
    "path order": {"path_order": 3},
    "path order fraction": {"path_order": 1.0},
    "path order truth value": {"path_order": True},
    "one covariate as text": {"covariates": "x"},
    "covariates number": {"covariates": 3},
    "covariates of numbers": {"covariates": (1, 2)},
    "covariate twice": {"covariates": ("x", "x")},
    "outcome among covariates": {"covariates": ("y",)},
    "outcome number": {"outcome": 3},
    "leads text": {"leads": "no"},
    "trends number": {"unit_trends": 1},
    "errors list": {"errors": ["ar1"]},
    "prior of nothing": {"priors": {"slope_sd": 1.0}},
    "prior text": {"priors": {"cell_sd": "small"}},
    "priors list": {"priors": [0.5]},
}


@pytest.mark.parametrize("name", BAD)
def test_words_that_do_not_exist_are_refused_at_construction(name):
    with pytest.raises(SpecificationError):
        StaggeredDiD(**{"outcome": "y", **BAD[name]})


def test_unknown_keywords_are_refused():
    with pytest.raises(TypeError, match="cluster"):
        StaggeredDiD("y", cluster="state")
    with pytest.raises(TypeError, match="iterations"):
        StaggeredDiD("y").fit(None, iterations=5)


def test_the_specification_is_frozen():
    spec = StaggeredDiD("y")
    with pytest.raises(dataclasses.FrozenInstanceError):
        spec.outcome = "z"
    given = {"cell_sd": 0.1}
    spec = StaggeredDiD("y", priors=given)
    given["cell_sd"] = 9.0
    assert spec.priors == {"cell_sd": 0.1}


SPECS = [
    StaggeredDiD("y"),
    StaggeredDiD("y", covariates=["x", "z"], pooling=["region", "event"], errors="iid", leads=False, unit_effects="fixed"),
    StaggeredDiD("y", pooling="none", unit_trends=True, period_effects="region", anticipation=2, path_order=2),
    StaggeredDiD("y", pooling="complete", priors={"level": 3, "region_sd": Prior("HalfStudentT", {"nu": 3, "sigma": 0.2}, False, "mine")}),
    StaggeredDiD("y", priors={"cell_sd": np.float32(0.25), "event_sd": np.int64(1)}),
]


@pytest.mark.parametrize("spec", SPECS)
def test_it_survives_json(spec):
    assert StaggeredDiD.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_components_are_in_one_order_whatever_the_user_s():
    assert StaggeredDiD("y", pooling=("cell", "region")).components == ("level", "region", "cell")
    assert StaggeredDiD("y", pooling="none").components == ()
    assert StaggeredDiD("y", pooling="complete").components == ("level",)


def test_parameters_are_those_that_the_model_has(tiny_panel):
    def parameters(**options):
        spec = StaggeredDiD("y", **options)
        return spec.parameters(spec.collapse(tiny_panel))

    scales = ("event_sd", "region_sd", "cohort_sd", "region_event_sd", "cell_sd")
    assert parameters() == ("innovation_sd", "autocorrelation", "unit_effect_sd", *scales)
    assert parameters(errors="iid", unit_effects="fixed", pooling="none") == ("innovation_sd",)
    assert parameters(unit_trends=True, pooling="complete") == ("innovation_sd", "autocorrelation", "unit_effect_sd", "unit_trend_sd")


def test_the_fit_has_the_variables_that_it_promises(tiny_fit, tiny_panel):
    posterior = tiny_fit.posterior
    assert set(posterior.data_vars) == {
        *tiny_fit.model.parameters(tiny_fit._collapsed), "cell_effect", "period_effect", "coefficient", "lead_effect", "group_effect",
        "group_effect_weighted", "new_unit_effect",
    }  # fmt: skip
    assert posterior.sizes["chain"] == 2
    assert posterior.sizes["draw"] == 500
    assert all(v.dtype == float for v in posterior.data_vars.values())
    np.testing.assert_array_equal(posterior.period_column_period, np.arange(2002, 2009))
    assert (posterior.cell_region.values == tiny_fit.att("cell").frame.region).all()
    assert tiny_fit.tree["sample_stats"]["diverging"].dtype == bool
    assert tiny_fit.panel.n_rows == tiny_panel.n_rows


def test_the_coefficient_of_the_covariate_is_found(tiny_fit):
    beta = tiny_fit.posterior.coefficient.values[..., 0]
    assert abs(beta.mean() - 0.5) < 4 * beta.std()
    assert beta.std() < 0.05


def test_no_pooling_has_no_prior_of_effects(tiny_panel):
    from tests.conftest import fabricated

    fit = fabricated(tiny_panel, pooling="none", errors="iid", unit_effects="fixed", leads=False)
    with pytest.raises(SpecificationError, match="flat priors"):
        fit.prior_att()
    assert "lead_effect" not in fit.posterior
    assert set(fit.priors().parameter) == {"innovation_sd"}
    np.testing.assert_allclose(fit.unpooled("cell").draws, fit.att("cell").draws)


@pytest.mark.parametrize("outcome", ["constant", "effects only"])
def test_an_outcome_without_residual_variation_is_refused(tiny_frame, outcome):
    unit, year = tiny_frame["unit"].astype("category").cat.codes, tiny_frame["year"]
    y = 3.0 + 0 * year if outcome == "constant" else 0.5 * unit + 0.1 * (year - year.min()) ** 2
    panel = Panel.from_frame(tiny_frame.assign(y=y), unit="unit", time="year", region="region", first_treated="first_treated")
    with pytest.raises(NoVariationError, match="fitted exactly"):
        StaggeredDiD("y").collapse(panel)


def test_covariates_that_move_with_the_treatment_are_named_at_the_fit(tiny_panel, monkeypatch):
    """Not those that do not, nor columns made from the treatment, as the exposure to neighbours is. Sampling is replaced."""
    fitted = SimpleNamespace(diagnose=lambda: SimpleNamespace(passed=True))
    monkeypatch.setattr(StaggeredDiD, "_sample", lambda *given: fitted)
    treated = tiny_panel.period_codes >= tiny_panel.unit_cohort_codes[tiny_panel.unit_codes]
    x = tiny_panel.column("x")
    panel = tiny_panel.assign(moved=x + 3.0 * treated, exposed=np.where(treated, 0.0, np.abs(x)))
    assert StaggeredDiD("y", ("x", "exposed")).fit(panel) is fitted  # warnings are errors here
    with pytest.warns(AffectedCovariateWarning, match=r"'moved' \(t = ") as found:
        StaggeredDiD("y", ("x", "moved", "exposed")).fit(panel)
    assert "'x'" not in str(found[0].message)
