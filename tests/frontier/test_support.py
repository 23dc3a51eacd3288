"""Which specifications exist: the table against what construction allows, for every combination; words, columns, and the way to JSON."""

from __future__ import annotations

import json
from itertools import product

import pytest

from bayes.errors import SpecificationError, UnsupportedModelError
from bayes.frontier.model import POOLED_PARTS, StochasticFrontier
from bayes.frontier.support import INEFFICIENCIES, MODELS, SHARED, WITH_UNIT_EFFECTS, support_table
from bayes.priors import Prior

PLACES = ("scaling", "scale", "mean")
TABLE = support_table().set_index(["model", "inefficiency"])


def spec_of(**options) -> StochasticFrontier:
    return StochasticFrontier("y", ["k", "l"], **options)


def test_one_row_per_pair():
    assert TABLE.index.is_unique
    assert set(TABLE.index) == set(product(MODELS, INEFFICIENCIES))
    assert set(SHARED) | set(WITH_UNIT_EFFECTS) | {"pooled"} == set(MODELS)


def test_what_the_table_promises():
    """The closed forms of the literature and every distribution with an inefficiency of its own in each row."""
    assert TABLE.supported.groupby(level=0).sum().to_dict() == {
        "pooled": 5, "time-invariant": 3, "bc92": 3, "kumbhakar-1990": 3, "true-random-effects": 5, "four-component": 4,
    }  # fmt: skip
    assert TABLE.student_t_noise.sum() == 2
    assert TABLE.determinants_in["pooled", "truncated-normal"] == "scaling, scale, mean"
    assert TABLE.determinants_in["bc92", "half-normal"] == "scaling"
    assert (TABLE.determinants_in[~TABLE.supported] == "").all()


@pytest.mark.parametrize(("model", "inefficiency"), list(product(MODELS, INEFFICIENCIES)))
def test_construction_agrees_with_the_table(model, inefficiency):
    row = TABLE.loc[model, inefficiency]
    for place, determinants, noise in product(PLACES, ((), ("z",)), ("normal", "student-t")):
        options = {"determinants_in": place, "determinants": determinants, "noise": noise}
        allowed = row.supported and (not determinants or place in row.determinants_in.split(", "))
        if allowed and (noise == "normal" or row.student_t_noise):
            spec_of(model=model, inefficiency=inefficiency, **options)
            continue
        with pytest.raises(UnsupportedModelError, match=f"model='{model}' with inefficiency='{inefficiency}'") as caught:
            spec_of(model=model, inefficiency=inefficiency, **options)
        assert caught.match(r"Choose|choose|needs")


def test_a_refusal_names_what_exists():
    with pytest.raises(UnsupportedModelError, match="choose: half-normal, exponential, truncated-normal"):
        spec_of(model="bc92", inefficiency="gamma")
    with pytest.raises(UnsupportedModelError, match=r"determinants_in='mean' does not exist .* Choose: scaling, scale\."):
        spec_of(determinants=["z"], determinants_in="mean")
    with pytest.raises(UnsupportedModelError, match="model='pooled' with half-normal or exponential"):
        spec_of(noise="student-t")


@pytest.mark.parametrize(
    "word",
    ["technology", "inefficiency", "model", "kind", "technical_change", "determinants_in", "noise", "efficiency_prior", "monotonicity"],
)
def test_unknown_words(word):
    with pytest.raises(SpecificationError, match=f"{word}='nonsense' does not exist. Choose one of: "):
        spec_of(**{word: "nonsense"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pooling": "half"}, "pooling='half' does not exist"),
        ({"pooling": ["technology", "weather"]}, r"pooling names \['weather'\]"),
        ({"inputs": []}, "inputs is empty"),
        ({"inputs": "k"}, r"inputs must be a list of columns, for example inputs=\['k'\]"),
        ({"inputs": [1, 2]}, "inputs must be a list of columns"),
        ({"inputs": ["k", "k"]}, "appears twice"),
        ({"inputs": ["k", "y"]}, "appears twice"),
        ({"covariates": ["l"]}, "appears twice"),
        ({"covariates": ["time"]}, "mistaken for the time trend"),
        ({"output": ["y"]}, "output must be the name of a column"),
        ({"median_efficiency": 1.0}, "median_efficiency must lie between 0 and 1"),
        ({"median_efficiency": "high"}, "median_efficiency must lie between 0 and 1"),
        ({"efficiency_prior": "classic", "inefficiency": "rayleigh"}, "defined for half-normal and exponential"),
        ({"products": ["k"]}, "must be inputs of a cost frontier"),
        ({"products": ["q"], "kind": "cost"}, "must be inputs of a cost frontier"),
        ({"priors": 0.3}, "priors must be a mapping"),
        ({"priors": {"luck": 0.3}}, r"No parameter called \['luck'\]"),
    ],
)
def test_specifications_that_do_not_exist(options, message):
    with pytest.raises(SpecificationError, match=message):
        StochasticFrontier(**({"output": "y", "inputs": ["k", "l"]} | options))


def test_unknown_keywords_raise():
    with pytest.raises(TypeError, match="technologie"):
        spec_of(technologie="translog")


def test_parts_that_vary_by_region():
    assert spec_of(pooling="none").pooled_parts == POOLED_PARTS
    assert spec_of(pooling="complete").pooled_parts == spec_of(pooling=[]).pooled_parts == ()
    assert spec_of(pooling=["noise", "technology"]).pooled_parts == ("technology", "noise")
    assert (spec_of().sign, spec_of(kind="cost").sign) == (1, -1)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"pooling": "none", "model": "bc92", "technology": "cobb-douglas", "technical_change": "biased", "median_efficiency": 0.7},
        {"pooling": ["noise", "efficiency"], "kind": "cost", "products": ["k"], "covariates": ["x"], "monotonicity": "soft"},
        {"determinants": ["z"], "determinants_in": "mean", "inefficiency": "truncated-normal", "noise_determinants": ["z", "w"]},
        {"priors": {"noise_spread": 0.2, "decay": Prior("Normal", {"mu": 0.0, "sigma": 0.05}, False)}, "model": "bc92"},
        {"model": "pooled", "noise": "student-t", "efficiency_prior": "classic", "inefficiency": "exponential"},
    ],
)
def test_round_trip_through_json(options):
    spec = spec_of(**options)
    again = StochasticFrontier.from_dict(json.loads(json.dumps(spec.to_dict())))
    assert again == spec
    assert again.resolved_priors() == spec.resolved_priors()


def test_a_specification_does_not_change():
    chosen = {"noise_spread": 0.2}
    spec = spec_of(priors=chosen)
    chosen["noise_spread"] = 0.9
    assert spec.priors == {"noise_spread": 0.2}
    with pytest.raises(AttributeError):
        spec.model = "pooled"
