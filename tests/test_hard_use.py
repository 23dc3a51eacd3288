"""Spoiled data and wrong arguments at every public entry: a result, or an error of ours that says what is wrong.

The fast tests make a few calls of each entry, the slow ones (``make test-slow``) more than a hundred of each. Sampling is replaced.
"""

from __future__ import annotations

import functools
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import bayes
import bayes.cross_lagged
import bayes.did.model
import bayes.frontier.model
import bayes.mechanism.fit
import bayes.mediation
from bayes.arguments import alternatives, checked, fits
from bayes.errors import BayesError, SamplingError, SpecificationError
from bayes.inference import sampling
from bayes.panel import Panel
from tests.malformed import CELL_FAULTS, COLUMN_FAULTS, NUMBERS, ROLES, TABLE_FAULTS, named, spoiled
from tests.public_entries import JUNK, keywords, on_estimates, on_panels, run, sound_panel
from tests.public_results import on_results, results

SLOW_ENTRIES = (
    *("baselines.did", "baselines.event_study", "baselines.wild_bootstrap", "baselines.mediation", "baselines.frontier"),
    *("baselines.honest_did", "baselines.cross_lagged", "baselines.stepwise", "measure.three_stage", "measure.beta_convergence"),
    *("StaggeredDiD.fit", "StochasticFrontier.fit", "Mediation.fit", "CrossLagged.fit", "compare_pooling", "calibrate"),
)
"""Entries whose calls take long, or load packages that do: they have their turn in the slow tests only."""
PANEL_ENTRIES, OTHER_ENTRIES = list(on_panels()), list(on_estimates())
RESULTS = (
    *("DiDFit", "Heterogeneity", "ParallelTrends", "PredictiveCheck", "Sensitivity", "PlaceboTest", "FrontierFit", "ScenarioResult"),
    *("MediationFit", "CrossLaggedFit", "CalibrationResult", "Comparison", "Estimates", "Panel", "FrontierMLE", "AuditReport"),
)
"""Classes with methods that take arguments; tests.public_results makes one of each."""
NOT_SPOILED = ("cache", "path", "resume", "progress", "self", "panel")
# PyTensor raises the interpreter's recursion limit when it is imported, which Hypothesis notices.
pytestmark = pytest.mark.filterwarnings("ignore:The recursion limit will not be reset")
QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture]


def profile(examples: int) -> settings:
    return settings(max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=QUIET)


@pytest.fixture(autouse=True)
def nothing_is_sampled(monkeypatch, tmp_path):
    """Everything up to the sampler runs; the sampler itself says no."""

    def refuse(*_: Any, **__: Any) -> Any:
        raise SamplingError("Sampling is replaced in this test.")

    real = sampling.sample
    for module in [m for name, m in sys.modules.items() if name.startswith("bayes") and getattr(m, "sample", None) is real]:
        monkeypatch.setattr(module, "sample", refuse)
    monkeypatch.setattr("bayes.calibration.drawn", refuse)
    monkeypatch.chdir(tmp_path)


@st.composite
def panels(draw: Any) -> Panel | None:
    """A panel made of a spoiled table, with and without a treatment; None where the table is refused."""
    faults = tuple(draw(st.lists(st.sampled_from([*CELL_FAULTS, *COLUMN_FAULTS, *TABLE_FAULTS]), min_size=1, max_size=2)))
    treated, seed = draw(st.booleans()), draw(st.integers(0, 500))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return Panel.from_frame(spoiled(seed, faults, NUMBERS), **(ROLES if treated else {**ROLES, "first_treated": None}))
        except BayesError:
            return None


def spoil_data(name: str, examples: int) -> None:
    function, arguments = on_panels()[name]

    @profile(examples)
    @given(panel=panels())
    def calls(panel):
        if panel is not None:
            before = panel.frame.shape, len(panel.set_aside)
            named(lambda: function(panel, **arguments))
            assert (panel.frame.shape, len(panel.set_aside)) == before, "no row leaves a panel in silence"

    calls()


def spoil_methods(of: str, step: int) -> int:
    """Every wrong argument at every method of one class of results, or every ``step``-th of them; how many calls were made."""
    methods = {name: call for name, call in on_results().items() if name.split(".")[0] == of}
    spots = [(*call, k) for call in methods.values() for k in sorted({*keywords(call[0]), *call[1]}) if k not in NOT_SPOILED]
    chosen = [(spot, junk) for spot in spots for junk in JUNK][::step]
    for (method, known, name), junk in chosen:
        named(functools.partial(method, **{**known, name: junk}))
    return len(chosen)


def spoil_arguments(name: str, examples: int) -> None:
    on_panel = name in PANEL_ENTRIES
    function, arguments = (on_panels() if on_panel else on_estimates())[name]
    names = sorted({k for k in {*keywords(function), *arguments} if k not in NOT_SPOILED or (not on_panel and k == "path")})

    @profile(examples)
    @given(which=st.sampled_from(names) if names else st.just(""), junk=st.sampled_from(JUNK), panel_too=st.integers(0, 9))
    def calls(which, junk, panel_too):
        changed = {**arguments, which: junk} if which else arguments
        if on_panel:
            named(lambda: function(junk if panel_too == 0 else sound_panel(panel_too % 2 == 0), **changed))
        elif which != "path" or name == "load_fit":
            named(lambda: run(name, function, changed))

    calls()


@pytest.mark.parametrize("name", [n for n in PANEL_ENTRIES if n not in SLOW_ENTRIES])
def test_spoiled_data_at_the_quick_entries(name):
    spoil_data(name, 8)


@pytest.mark.parametrize("name", [n for n in PANEL_ENTRIES + OTHER_ENTRIES if n not in SLOW_ENTRIES])
def test_wrong_arguments_at_the_quick_entries(name):
    spoil_arguments(name, 8)


@pytest.mark.parametrize("of", RESULTS)
def test_wrong_arguments_at_methods_of_results(of):
    assert spoil_methods(of, 17) > 2


@pytest.mark.slow
@pytest.mark.parametrize("of", RESULTS)
def test_every_wrong_argument_at_every_method(of):
    assert spoil_methods(of, 1) >= len(JUNK)


@pytest.mark.slow
@pytest.mark.parametrize("name", PANEL_ENTRIES)
def test_a_hundred_spoiled_panels_at_every_entry(name):
    spoil_data(name, 120)


@pytest.mark.slow
@pytest.mark.parametrize("name", PANEL_ENTRIES + OTHER_ENTRIES)
def test_a_hundred_wrong_arguments_at_every_entry(name):
    spoil_arguments(name, 120)


def test_every_public_name_is_called_here():
    """A public entry that is added belongs into tests/public_entries.py."""
    called = set(PANEL_ENTRIES) | set(OTHER_ENTRIES)
    public = {f"measure.{n}" for n in bayes.measure.__all__} | {f"plots.{n}" for n in bayes.plots.__all__}
    public |= {f"baselines.{n}" for n in bayes.baselines.__all__ if n not in ("names", "pool", "published", "audit")}
    public |= {
        n
        for n in bayes._HOMES
        if n
        not in ("Panel", "Estimates", "Comparison", "StaggeredDiD", "StochasticFrontier", "Mediation", "CrossLagged", "CalibrationResult")
    }
    assert public <= called


def test_every_method_with_arguments_is_called_here():
    assert set(RESULTS) == set(results()) == {name.split(".")[0] for name in on_results()}


# ── the check of arguments itself ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("annotation", "good", "bad"),
    [
        ("str", ["", "a", np.str_("a")], [None, 3, b"a", ["a"]]),
        ("str | None", [None, "a"], [0, []]),
        ("int", [0, -3, np.int64(2)], [True, 2.0, "2", None, np.nan]),
        ("float", [0.5, 3, np.float32(1), -1e300], [np.nan, np.inf, True, "1", 10**400, 1j]),
        ("bool", [True, np.bool_(False)], [1, None, "yes"]),
        ("Sequence[str]", [[], ["a"], ("a",), {"a": 1}.keys(), np.array(["a"])], ["a", [1], {"a": 1}, None, np.array([["a"]])]),
        ("Sequence[float]", [[1, 2.5], np.arange(3), [np.nan]], [["a"], 1.0, [None]]),
        ("str | Sequence[str | None]", ["a", ["a", None]], [[1], 1]),
        ("Mapping[str, Sequence[str]] | None", [None, {}], [[], "a"]),
        ("Mapping[str, tuple[int, int]]", [{"a": (1, 2)}, {}], [{"a": 1}, {1: (1, 2)}, {"a": (1, 2, 3)}]),
        ("Mapping[float, float]", [{0: 1.0, 1.5: 2}], [{"a": 1.0}, {0: "b"}]),
        ("np.ndarray", [np.eye(2), [[1, 0], [0, 1]]], ["a", [["a"]], None, 1j]),
        ("Callable[..., Any]", [len, 3], []),
    ],
)
def test_values_and_annotations(annotation, good, bad):
    fit = lambda value: any(fits(value, one) for one in alternatives(annotation))  # noqa: E731
    assert all(fit(value) for value in good)
    assert not any(fit(value) for value in bad)


def test_a_wrong_argument_is_named_with_what_came_and_what_is_expected():
    @checked
    def average(panel: Panel, *values: float, level: float = 0.95, seed: int = 0) -> float:
        return sum(values) / len(values)

    assert average(sound_panel(), 1.0, 3.0) == 2.0
    for call, words in (
        (lambda: average(3, 1.0), "average: panel must be a bayes.Panel, got 3"),
        (lambda: average(sound_panel(), 1.0, "2"), "average: values must be a finite number, got '2'"),
        (lambda: average(sound_panel(), 1.0, level=1.0), "level must lie between 0 and 1"),
        (lambda: average(sound_panel(), 1.0, seed=-1), "seed must be a whole number of at least 0"),
    ):
        with pytest.raises(SpecificationError, match=words):
            call()
    with pytest.raises(TypeError):
        average(sound_panel(), 1.0, sede=3)


def test_a_failing_representation_does_not_hide_the_error():
    class Broken:
        def __repr__(self):
            raise RuntimeError("no words")

    with pytest.raises(SpecificationError, match="Broken"):
        bayes.measure.theil(sound_panel(), Broken())
