"""HonestDiD bounds against the reference file, the event study they start from, and what is refused."""

from __future__ import annotations

import builtins
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bayes
from bayes.baselines import event_study, honest_did
from bayes.errors import BaselineWarning, MissingExtraError, SpecificationError
from bayes.estimates import Estimates

REFERENCE = Path(__file__).parents[1] / "reference" / "did.csv"
OUTCOME = {"castle": "log_homicide", "mpdta": "log_employment"}
TOLERANCE = 1e-4

EVENTS = np.array([-3.0, -2.0, 0.0, 1.0])
ESTIMATES = np.array([0.02, -0.01, 0.3, 0.4])
COVARIANCE = 0.002 * (0.6 * np.eye(4) + 0.4)


@pytest.fixture(scope="module")
def studies():
    panels = {"castle": bayes.datasets.load("castle_doctrine"), "mpdta": bayes.datasets.load("minimum_wage")}
    return {name: event_study(panel, OUTCOME[name]) for name, panel in panels.items()}


@pytest.fixture(scope="module")
def solver():
    pytest.importorskip("cvxpy", reason="moderndid's solver is not installed")


def printed(dataset: str, kind: str) -> pd.DataFrame:
    """Bounds by M of moderndid's rows: ``DeltaRM``, ``DeltaSD`` or ``original``."""
    table = pd.read_csv(REFERENCE).query("dataset == @dataset and estimator == 'HonestDiD'")
    table = table[table.implementation_version.str.startswith("moderndid") & table.parameter.str.contains(kind)].drop_duplicates(
        "parameter"
    )
    assert len(table)
    multiples = [float(p.partition("M=")[2] or "nan") for p in table.parameter]
    return table.set_index(pd.Index(multiples))[["ci_low", "ci_high"]]


@pytest.mark.usefixtures("solver")
@pytest.mark.parametrize("dataset", OUTCOME)
@pytest.mark.parametrize(("restriction", "kind"), [("relative-magnitudes", "DeltaRM"), ("smoothness", "DeltaSD")])
def test_bounds_are_those_of_the_reference(dataset, restriction, kind, studies):
    """The reference takes event times −5 to 3 of Callaway–Sant'Anna, not yet treated controls, one base period, and the effect at e = 0."""
    theirs, study = printed(dataset, kind), studies[dataset].between(-5, 3)
    found = honest_did(
        study.estimates, study.covariance, restriction=restriction, weights={0: 1}, max_violation=theirs.index.to_numpy()
    ).frame
    np.testing.assert_allclose(found[["lower", "upper"]].iloc[1:], theirs, atol=TOLERANCE)
    np.testing.assert_allclose(found.loc[0, ["lower", "upper"]].to_numpy(float), printed(dataset, "original").iloc[0], atol=TOLERANCE)
    assert (found.event_time == 0).all()
    assert found.variant[1].endswith(f"M = {theirs.index[0]:g}")
    assert found.source.str.contains("moderndid").all()
    assert found.source.str.contains("Callaway").all()
    assert found.identified.all()


@pytest.mark.usefixtures("solver")
def test_bounds_widen_with_the_violation():
    for restriction, multiples in (("relative-magnitudes", [0.5, 1, 2]), ("smoothness", [0.01, 0.05, 0.2])):
        frame = honest_did(ESTIMATES, COVARIANCE, EVENTS, restriction=restriction, max_violation=multiples).frame
        assert (np.diff((frame.upper - frame.lower)[1:]) > 0).all()
        assert frame.estimate.eq(0.35).all()
        assert frame.interval.iloc[0] == "normal"
        assert frame.interval.iloc[1].startswith("robust")


@pytest.mark.usefixtures("solver")
def test_defaults_choose_the_violations():
    frame = honest_did(ESTIMATES, COVARIANCE, EVENTS).frame
    assert frame.variant.tolist()[1:] == [f"relative magnitudes, M = {m}" for m in ("0.5", "1", "1.5", "2")]
    assert len(honest_did(ESTIMATES, COVARIANCE, EVENTS, restriction="smoothness").frame) == 11


@pytest.mark.parametrize("dataset", OUTCOME)
def test_covariance_belongs_to_the_estimates(dataset, studies):
    study = studies[dataset]
    np.testing.assert_allclose(np.sqrt(np.diag(study.covariance)), study.estimates.frame.se, rtol=1e-9)
    assert np.linalg.eigvalsh(study.covariance)[0] > 0
    part = study.between(-3, 1)
    assert part.estimates.frame.event_time.tolist() == [-3, -2, 0, 1]
    place = [study.estimates.frame.event_time.tolist().index(e) for e in (-3, -2, 0, 1)]
    np.testing.assert_array_equal(part.covariance, study.covariance[np.ix_(place, place)])
    with pytest.raises(SpecificationError, match="between 50"):
        study.between(50, 60)


def test_covariance_is_moderndid_s_from_its_influence_functions(studies):
    """Another program's covariance of the same estimator, from its influence functions."""
    from moderndid import aggte, att_gt

    from bayes.baselines._sample import make_sample

    panel = bayes.datasets.load("minimum_wage")
    sample = make_sample(panel, "log_employment", (), panel.unit, False, 0, 0.95, "universal")
    frame = sample.frame.astype({"cohort": float})
    options = {"control_group": "notyettreated", "base_period": "universal", "boot": False, "cband": False}
    with bayes.baselines._libraries.quiet():
        found = aggte(att_gt(frame, "outcome", "time", "unit", "cohort", **options), type="dynamic", boot=False, cband=False)
    keep = np.asarray(found.event_times) != -1
    influence = found.influence_func[:, keep]
    np.testing.assert_allclose(studies["mpdta"].covariance, influence.T @ influence / len(influence) ** 2, atol=1e-10)
    np.testing.assert_allclose(studies["mpdta"].estimates.frame.estimate, np.asarray(found.att_by_event)[keep], atol=1e-10)


def test_a_coarser_cluster_brings_its_own_covariance(studies):
    panel = bayes.datasets.load("castle_doctrine")
    clustered = event_study(panel, "log_homicide", cluster=panel.region)
    np.testing.assert_allclose(np.sqrt(np.diag(clustered.covariance)), clustered.estimates.frame.se, rtol=1e-6)
    assert not np.allclose(clustered.covariance, studies["castle"].covariance)
    np.testing.assert_allclose(clustered.estimates.frame.estimate, studies["castle"].estimates.frame.estimate)


BAD = {
    "'relative-magnitudes', 'smoothness'": {"restriction": "bounded"},
    "level": {"level": 0},
    "max_violation": {"max_violation": -1.0},
    "needs a lead": {"estimates": ESTIMATES[2:], "covariance": COVARIANCE[2:, 2:], "event_times": EVENTS[2:]},
    "follow each other": {"event_times": [-4, -2, 0, 1]},
    "do not fit": {"covariance": np.eye(3)},
}


@pytest.mark.parametrize("message", BAD)
def test_what_cannot_be_used_is_refused_by_name(message):
    given = {"estimates": ESTIMATES, "covariance": COVARIANCE, "event_times": EVENTS} | BAD[message]
    with pytest.raises(SpecificationError, match=message):
        honest_did(**given)


def test_a_posterior_is_refused():
    draws = np.random.default_rng(1).normal(size=(4, 50))
    own = Estimates.from_draws([{"term": "event", "event_time": e} for e in EVENTS], draws)
    with pytest.raises(SpecificationError, match=r"fit\.sensitivity"):
        honest_did(own, COVARIANCE)


def test_a_missing_solver_is_named_with_its_remedy(monkeypatch):
    real = builtins.__import__

    def without(name, *arguments, **options):
        if name == "moderndid":
            raise ImportError("no solver")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtraError, match="didhonest"):
        honest_did(ESTIMATES, COVARIANCE, EVENTS)


def test_a_panel_without_event_study_says_so(monkeypatch):
    from bayes.baselines import _callaway_santanna

    def broken(sample):
        raise ValueError("singular")

    monkeypatch.setattr(_callaway_santanna, "fit", broken)
    with pytest.warns(BaselineWarning, match="singular"), pytest.raises(SpecificationError, match="no event study"):
        event_study(bayes.datasets.load("minimum_wage"), "log_employment")
