"""Data sets that ship with the project: real panels, each with a card that says where it comes from and what is wrong with it."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path

from bayes.errors import DatasetError
from bayes.panel import Panel

_HERE = Path(__file__).resolve().parent
_PLACES = (_HERE / "_resources" / "data", _HERE.parent / "data")
"""Where the data lie: inside an installed wheel; beside the package in a checkout or an editable install."""

_ROLES = ("unit", "time", "region", "first_treated", "weights")


def names() -> list[str]:
    """Names that :func:`load` accepts, sorted."""
    return sorted(file.parent.name for file in _root().glob("*/roles.toml"))


def path(name: str) -> Path:
    """Folder of a data set, with ``panel.csv``, ``card.md`` and ``roles.toml``. Raises :class:`DatasetError` naming the known names."""
    known = names()
    if name not in known:
        raise DatasetError(f"No data set {name!r}. Known: {', '.join(known)}.")
    return _root() / name


def card(name: str) -> str:
    """The card of a data set as Markdown: source, licence, columns with units, known problems."""
    return (path(name) / "card.md").read_text(encoding="utf-8")


def load(name: str, weighted: bool = False) -> Panel:
    """Load a data set as a :class:`bayes.Panel`.

    Which column is the unit, the period, the region, the first treated period and the weight stands in ``roles.toml`` beside the data.

    Parameters
    ----------
    name : str
        One of :func:`names`: ``castle_doctrine`` (50 US states, 2000–2010), ``medicaid`` (46 US states, 2008–2019),
        ``minimum_wage`` (500 US counties, 2003–2007), ``us_states_production`` (48 US states, 1970–1986, no treatment).
    weighted : bool
        Give the panel its population weights where the data have them; they weight the aggregation of effects. With False the
        column stays in the frame, but every unit counts once, as in unweighted baselines.

    Returns
    -------
    Panel
        One row per unit and period, all columns of ``panel.csv``; ``panel.name`` is ``name``. Never-treated units have ``inf``.

    Raises
    ------
    DatasetError
        The name is not known; the message lists the known ones.
    """
    import pandas as pd

    folder = path(name)
    roles = tomllib.loads((folder / "roles.toml").read_text(encoding="utf-8"))
    if set(roles) - set(_ROLES):
        raise DatasetError(f"{name}/roles.toml names unknown roles {sorted(set(roles) - set(_ROLES))}. Known: {', '.join(_ROLES)}.")
    # The pyarrow reader gives back the exact doubles that were written, under every version of pandas.
    panel = Panel.from_frame(pd.read_csv(folder / "panel.csv", engine="pyarrow"), name=name, **roles)
    return panel if weighted else replace(panel, weights=None)


def neighbours() -> dict[str, list[str]]:
    """Neighbours by land of the 50 US states, by name: those that share a line on land or along a river.

    Alaska and Hawaii have none. The District of Columbia is not in it. See ``us_state_neighbours/card.md`` in the data folder.
    """
    import pandas as pd

    pairs = pd.read_csv(_root() / "us_state_neighbours" / "pairs.csv", engine="pyarrow")
    both = sorted({*zip(pairs.state, pairs.neighbour, strict=True), *zip(pairs.neighbour, pairs.state, strict=True)})
    found: dict[str, list[str]] = {name: [] for name in sorted({a for a, _ in both} | {"Alaska", "Hawaii"})}
    for state, other in both:
        found[state].append(other)
    return found


def published_path(study: str) -> Path:
    """File with the published estimates of a study. Raises :class:`DatasetError` naming the studies that have one."""
    known = published_names()
    if study not in known:
        raise DatasetError(f"No published estimates for {study!r}. Known: {', '.join(known)}.")
    return _root() / "published" / f"{study}.csv"


def published_names() -> list[str]:
    """Studies that :func:`bayes.published` accepts, sorted."""
    return sorted(file.stem for file in (_root() / "published").glob("*.csv"))


def _root() -> Path:
    for place in _PLACES:
        if (place / "castle_doctrine").is_dir():
            return place
    looked = " and ".join(map(str, _PLACES))
    raise DatasetError(f"The data folder is missing: looked in {looked}. Reinstall the package, or run from a full checkout.")
