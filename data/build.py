"""Build every data/*/panel.csv from files that ship inside installed packages (dependency group "dev").

    python data/build.py            # all data sets
    python data/build.py medicaid   # one

Nothing is downloaded: each source file is opened by its path inside the package, and its SHA-256 must be the one recorded here, so neither
a loader with a fallback nor a changed release can slip other rows in. The only rows and numbers added by hand are facts about places:
names, Census divisions and Census regions of the US states (us_states.csv).
"""

from __future__ import annotations

import gzip
import hashlib
import io
import pickle
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd

HERE = Path(__file__).resolve().parent
STATES = pd.read_csv(HERE / "us_states.csv")

SOURCES = {
    "castle_doctrine": ("causaldata", "castle/castle.dta", "d7c14baa64a7015a5d2d969cc55563922ffd9dccb784084be473230ba0f6a006"),
    "minimum_wage": ("moderndid", "core/datasets/mpdta_long.pkl.gz", "3d39793685a00cef5a7ee6e5f11ddaee02099f7107a99fa8e1c335416cf49023"),
    "medicaid": ("moderndid", "core/datasets/ehec_data.pkl.gz", "db8d63fef126641d4029f22980ded84344ae7427a5019512f8c56251c277e7cc"),
    "us_states_production": (
        "linearmodels",
        "datasets/munnell/munnell.csv.bz2",
        "50ba507e92c588b9ee6f96c85a9d78b46d0e9dd68204471d820c1bdfd331cde2",
    ),
}


def source(name: str) -> bytes:
    """Bytes of the file inside the installed package, after checking that they are the bytes this script was written for."""
    package, file, digest = SOURCES[name]
    spec = find_spec(package)
    if spec is None:
        raise SystemExit(f"{name}: the package {package} is not installed; it is in the dependency group 'dev'.")
    content = (Path(spec.submodule_search_locations[0]) / file).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != digest:
        raise SystemExit(f"{name}: {package}/{file} has SHA-256 {found}, expected {digest}. Look at what changed before accepting it.")
    return content


def castle_doctrine() -> pd.DataFrame:
    """550 rows: 50 states, 2000–2010."""
    raw = pd.read_stata(io.BytesIO(source("castle_doctrine"))).sort_values(["sid", "year"], ignore_index=True)
    # sid numbers the 50 states and the District of Columbia in alphabetical order; the District (9) is absent.
    alphabetical = STATES.sort_values("state", ignore_index=True)
    raw = raw.assign(state=raw.sid.map(dict(enumerate(alphabetical.state, start=1))))
    assert set(raw.sid) == set(range(1, 52)) - {9}
    assert "District of Columbia" not in set(raw.state)
    # The source's post switches on in the first full year of the law: the law itself dates from the year before.
    law_year = raw.year.where(raw.post == 1).groupby(raw.sid).transform("min") - 1
    panel = pd.DataFrame(
        {
            "state": raw.state,
            "census_region": raw.state.map(STATES.set_index("state").census_region),
            "year": raw.year.astype(int),
            "law_year": law_year.astype("Int64"),
            "homicide": raw.homicide,
            "log_homicide": raw.l_homicide,
            "population": raw.popwt,
            "log_police": raw.l_police,
            "log_income": raw.l_income,
            "log_prisoners": raw.l_prisoner,
            "unemployment_rate": raw.unemployrt,
            "poverty_rate": raw.poverty,
            "murder": raw.murder,
            "robbery": raw.robbery,
            "assault": raw.assault,
            "burglary": raw.burglary,
            "motor_theft": raw.motor,
        }
    )
    check(panel, "state", rows=550, units=50, periods=(2000, 2010))
    cohorts = panel.drop_duplicates("state").law_year.value_counts(dropna=False).to_dict()
    assert {int(k): v for k, v in cohorts.items() if pd.notna(k)} == {2005: 1, 2006: 13, 2007: 4, 2008: 2, 2009: 1}
    assert panel[panel.census_region == "Northeast"].law_year.isna().all()
    assert np.allclose(np.log(panel.homicide.astype(float)), panel.log_homicide, atol=1e-6)
    return panel


def minimum_wage() -> pd.DataFrame:
    """2,500 rows: 500 counties, 2003–2007."""
    raw = pickle.loads(gzip.decompress(source("minimum_wage"))).sort_values(["countyreal", "year"], ignore_index=True)
    state = (raw.countyreal // 1000).map(STATES.set_index("fips").state)
    panel = pd.DataFrame(
        {
            "county": raw.countyreal.astype(int),
            "state": state,
            "census_region": state.map(STATES.set_index("state").census_region),
            "year": raw.year.astype(int),
            "first_treated": raw["first.treat"].where(raw["first.treat"] > 0).astype("Int64"),
            "log_employment": raw.lemp,
            "log_population": raw.lpop,
        }
    )
    check(panel, "county", rows=2500, units=500, periods=(2003, 2007))
    cohorts = panel.drop_duplicates("county").first_treated.value_counts().to_dict()
    assert {int(k): v for k, v in cohorts.items()} == {2004: 20, 2006: 40, 2007: 131}
    assert len(panel[["state", "first_treated"]].drop_duplicates()) == panel.state.nunique()
    return panel


def medicaid() -> pd.DataFrame:
    """552 rows: 46 states, 2008–2019."""
    raw = pickle.loads(gzip.decompress(source("medicaid"))).sort_values(["stfips", "year"], ignore_index=True)
    facts = STATES.set_index("fips")
    panel = pd.DataFrame(
        {
            "state": raw.stfips.map(facts.state),
            "census_region": raw.stfips.map(facts.census_region),
            "year": raw.year.astype(int),
            "first_treated": raw.yexp2.astype("Int64"),
            "insured": raw.dins,
            "population_weight": raw.W,
        }
    ).sort_values(["state", "year"], ignore_index=True)
    check(panel, "state", rows=552, units=46, periods=(2008, 2019))
    cohorts = panel.drop_duplicates("state").first_treated.value_counts().to_dict()
    assert {int(k): v for k, v in cohorts.items()} == {2014: 22, 2015: 3, 2016: 2, 2017: 1, 2019: 2}
    assert panel[panel.census_region == "Northeast"].first_treated.notna().all()
    return panel


def us_states_production() -> pd.DataFrame:
    """816 rows: the 48 contiguous states, 1970–1986."""
    raw = pd.read_csv(io.BytesIO(source("us_states_production")), compression="bz2")
    # The source cuts the names of states at eleven letters and misspells Tennessee; its postal codes are right.
    state = raw.ST_ABB.map(STATES.set_index("abbreviation").state)
    facts = STATES.set_index("state")
    panel = pd.DataFrame(
        {
            "state": state,
            "census_division": state.map(facts.census_division),
            "census_region": state.map(facts.census_region),
            "year": raw.YR.astype(int),
            "gsp": raw.GSP,
            "pcap": raw.P_CAP,
            "hwy": raw.HWY,
            "water": raw.WATER,
            "util": raw.UTIL,
            "pc": raw.PC,
            "emp": raw.EMP,
            "unemp": raw.UNEMP,
        }
    ).sort_values(["state", "year"], ignore_index=True)
    check(panel, "state", rows=816, units=48, periods=(1970, 1986))
    assert (panel.drop(columns=["state", "census_division", "census_region", "year"]) > 0).all(axis=None)
    assert panel.drop_duplicates("state").census_division.value_counts().to_dict() == {
        "New England": 6, "Middle Atlantic": 3, "East North Central": 5, "West North Central": 7, "South Atlantic": 8,
        "East South Central": 4, "West South Central": 4, "Mountain": 8, "Pacific": 3,
    }  # fmt: skip
    return panel


def check(panel: pd.DataFrame, unit: str, rows: int, units: int, periods: tuple[int, int]) -> None:
    """Balanced, complete but for the never-treated mark, one region per unit."""
    first, last = periods
    assert panel.shape[0] == rows == units * (last - first + 1)
    assert panel[unit].nunique() == units
    assert set(panel.year) == set(range(first, last + 1))
    assert not panel.duplicated([unit, "year"]).any()
    assert not panel.drop(columns=[c for c in ("law_year", "first_treated") if c in panel]).isna().any(axis=None)
    assert len(panel[[unit, "census_region"]].drop_duplicates()) == units


def write(name: str, panel: pd.DataFrame) -> None:
    """CSV with the shortest digits that give back the same double; float32 sources are widened first, so nothing is rounded."""
    floats = panel.select_dtypes("floating")
    text = panel.assign(**{c: floats[c].astype(float).map(repr) for c in floats})
    file = HERE / name / "panel.csv"
    text.to_csv(file, index=False, lineterminator="\n")
    back = pd.read_csv(file, engine="pyarrow")
    assert all((back[c] == floats[c].astype(float)).all() for c in floats)
    print(f"{name}: {panel.shape[0]} rows × {panel.shape[1]} columns, {file.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    builders = {f.__name__: f for f in (castle_doctrine, minimum_wage, medicaid, us_states_production)}
    for chosen in sys.argv[1:] or builders:
        if chosen not in builders:
            raise SystemExit(f"No data set {chosen!r}; known: {', '.join(builders)}.")
        write(chosen, builders[chosen]())
