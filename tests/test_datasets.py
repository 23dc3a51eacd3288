"""Data sets: every row is the source's, the roles are right, and nothing needs a network or a sampler."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bayes import datasets
from bayes.errors import DatasetError
from bayes.estimates import COLUMNS

ROOT = Path(__file__).resolve().parents[1]
SHAPES = {  # rows, units, first and last period, regions, treated units
    "castle_doctrine": (550, 50, 2000, 2010, 4, 21),
    "medicaid": (552, 46, 2008, 2019, 4, 30),
    "minimum_wage": (2500, 500, 2003, 2007, 3, 191),
    "us_states_production": (816, 48, 1970, 1986, 9, 0),
}
SIMULATED = {  # rows, units, first and last period, regions, treated units
    "city_pilots": (3135, 285, 2009, 2019, 4, 49),
    "simulated_provinces": (330, 30, 2008, 2018, 3, 0),
    "simulated_yangtze_industry": (176, 11, 2005, 2020, 3, 0),
}
WEIGHTS = {"castle_doctrine": "population", "medicaid": "population_weight", "minimum_wage": None, "us_states_production": None}


def csv(name: str) -> pd.DataFrame:
    return pd.read_csv(datasets.path(name) / "panel.csv", engine="pyarrow")


def test_names_are_the_folders_with_a_panel():
    assert datasets.names() == sorted([*SHAPES, *SIMULATED])


@pytest.mark.parametrize("name", SIMULATED)
def test_simulated_panels_say_so_and_have_a_truth_and_a_generator(name):
    rows, units, first, last, regions, treated = SIMULATED[name]
    panel = datasets.load(name)
    assert (panel.n_rows, panel.n_units, panel.regions.size) == (rows, units, regions)
    assert (panel.periods[0], panel.periods[-1]) == (first, last)
    assert panel.is_balanced
    assert np.isfinite(panel.unit_first_treated).sum() == treated
    assert panel.note.startswith("Simulated data:")
    assert "simulated" in repr(panel).lower()
    assert datasets.card(name).lower().index("simulated") < 80
    assert all(column in datasets.card(name) for column in csv(name).columns)
    assert {file.name for file in datasets.path(name).iterdir()} >= {"simulate.py", "truth.csv"}


@pytest.mark.parametrize("name", SHAPES)
def test_shape_and_roles(name):
    rows, units, first, last, regions, treated = SHAPES[name]
    panel = datasets.load(name)
    assert (panel.n_rows, panel.n_units, panel.regions.size) == (rows, units, regions)
    assert list(panel.periods) == list(range(first, last + 1))
    assert panel.is_balanced
    assert panel.set_aside.empty
    assert panel.name == name
    assert np.isfinite(panel.unit_first_treated).sum() == treated
    assert panel.weights is None, "weights are opt-in: unweighted effects compare with unweighted baselines"
    assert datasets.load(name, weighted=True).weights == WEIGHTS[name]
    numbers = panel.frame.select_dtypes("number").drop(columns=[panel.first_treated] if panel.first_treated else [])
    assert np.isfinite(numbers.to_numpy(float)).all()


@pytest.mark.parametrize("name", SHAPES)
def test_card_describes_every_column_source_and_licence(name):
    card = datasets.card(name)
    for column in csv(name).columns:
        assert column in card, f"{name}: column {column} is not on the card"
    for heading in ("Original source", "Taken from", "licence", "## Columns", "## Known problems", "data/build.py"):
        assert heading in card


@pytest.mark.parametrize("name", SHAPES)
def test_panel_file_is_small(name):
    assert (datasets.path(name) / "panel.csv").stat().st_size < 160_000


def test_castle_cohorts_and_regions():
    timing = datasets.load("castle_doctrine").timing()
    assert timing.total.to_dict() == {2005: 1, 2006: 13, 2007: 4, 2008: 2, 2009: 1, np.inf: 29}
    assert timing.loc[:2009, "Northeast"].sum() == 0


def test_castle_equals_the_reference_copy(shared_folder):
    ours = csv("castle_doctrine")
    theirs = pd.read_csv(shared_folder / "reference" / "data" / "castle.csv", engine="pyarrow")
    both = ours.merge(theirs, left_on=["state", "year"], right_on=["state", "time"], validate="one_to_one")
    assert len(both) == len(ours) == len(theirs) == 550
    assert (both.log_homicide == both.y).all()
    assert (both.law_year.fillna(0) == both.cohort).all()
    assert (both.census_region.str.lower() == both.region).all()
    assert (both.population == both.popwt).all()
    assert (both.unemployment_rate == both.unemployrt).all()
    assert (both.poverty_rate == both.poverty).all()
    for column in ("log_police", "log_income"):
        assert (both[f"{column}"] == both[column.replace("log", "l")]).all()


def test_minimum_wage_equals_the_reference_copy(shared_folder):
    theirs = pd.read_csv(shared_folder / "reference" / "data" / "mpdta.csv", engine="pyarrow")
    both = csv("minimum_wage").merge(theirs, left_on=["county", "year"], right_on=["unit", "time"], validate="one_to_one")
    assert len(both) == 2500
    assert (both.first_treated.fillna(0) == both.cohort).all()
    # The package's file was written with 15 digits, the reference with 17.
    assert np.allclose(both.log_employment, both.y, rtol=0, atol=1e-13)
    assert np.allclose(both.log_population, both.lpop, rtol=0, atol=1e-13)


def test_medicaid_equals_the_other_copy(shared_folder):
    facts = pd.read_csv(datasets.path("medicaid").parent / "us_states.csv", engine="pyarrow")
    theirs = pd.read_csv(shared_folder / "extra" / "medicaid_ehec.csv", engine="pyarrow").merge(facts, left_on="unit", right_on="fips")
    both = csv("medicaid").merge(theirs, left_on=["state", "year"], right_on=["state", "time"], validate="one_to_one")
    assert len(both) == 552
    assert (both.insured == both.y).all()
    assert (both.first_treated.fillna(0) == both.cohort).all()
    assert (both.population_weight == both["pop"]).all()


def test_production_equals_the_reference_copy(shared_folder):
    theirs = pd.read_csv(shared_folder / "reference" / "data" / "produc.csv", engine="pyarrow")
    state = theirs.state.str.replace("_", " ").str.title().replace("Tennesse", "Tennessee")
    ours = csv("us_states_production")
    both = ours.merge(theirs.assign(state=state), on=["state", "year"], validate="one_to_one", suffixes=("", "_there"))
    assert len(both) == 816
    for column in ("gsp", "pcap", "hwy", "water", "util", "pc", "emp", "unemp"):
        assert (both[column] == both[f"{column}_there"]).all()
    divisions = both[["census_division", "region"]].drop_duplicates()
    assert len(divisions) == both.census_division.nunique() == 9, "Census divisions and the numbers 1 to 9 match one to one"


def test_state_facts():
    facts = pd.read_csv(datasets.path("medicaid").parent / "us_states.csv", engine="pyarrow")
    assert len(facts) == facts.fips.nunique() == facts.abbreviation.nunique() == 51
    assert facts.census_region.value_counts().to_dict() == {"South": 17, "West": 13, "Midwest": 12, "Northeast": 9}
    assert len(facts[["census_division", "census_region"]].drop_duplicates()) == 9


@pytest.mark.parametrize("name", SHAPES)
def test_build_script_makes_exactly_these_numbers(name, monkeypatch):
    """From the packages of the dependency group "dev", digit for digit; the script checks the hash of each source."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # data/ ships as it is: no cache folder in it
    spec = importlib.util.spec_from_file_location("build_data", ROOT / "data" / "build.py")
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    package = build.SOURCES[name][0]
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"the package {package} is not installed")
    panel = getattr(build, name)()
    kept = csv(name)
    assert list(panel.columns) == list(kept.columns)
    for column in panel.select_dtypes("number"):
        assert np.array_equal(panel[column].to_numpy(float, na_value=np.nan), kept[column].to_numpy(float), equal_nan=True), column
    assert panel.select_dtypes(exclude="number").astype(object).equals(kept[panel.select_dtypes(exclude="number").columns].astype(object))


def test_unknown_names_list_the_known_ones():
    for call in (datasets.load, datasets.card, datasets.path):
        with pytest.raises(DatasetError, match=r"'castle'.*Known: castle_doctrine, .*minimum_wage, .*us_states_production"):
            call("castle")
    with pytest.raises(DatasetError, match=r"'medicaid'\. Known: .*castle_doctrine"):
        datasets.published_path("medicaid")
    with pytest.raises(DatasetError):
        datasets.load("../data/castle_doctrine")


def test_published_castle_figure_is_a_point():
    table = pd.read_csv(datasets.published_path("castle_doctrine"))
    assert set(table.columns) <= set(COLUMNS)
    assert table.estimate.tolist() == [0.08]
    assert "se" not in table
    assert "weighted by state population" in table.note[0]


def test_loading_imports_no_sampler():
    code = "import sys, bayes; bayes.datasets.load('castle_doctrine'); print({'pymc', 'jax', 'arviz', 'matplotlib'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert out.stdout.strip() == "set()"
