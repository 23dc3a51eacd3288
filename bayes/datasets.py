"""Data sets that ship with the project: real panels, each with a card that says where it comes from and what is wrong with it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bayes.arguments import checked
from bayes.errors import DatasetError, SpecificationError
from bayes.estimates import Estimates
from bayes.panel import Panel

if TYPE_CHECKING:
    import pandas as pd

_HERE = Path(__file__).resolve().parent
_PLACES = (_HERE / "_resources" / "data", _HERE.parent / "data")
"""Where the data lie: inside an installed wheel; beside the package in a checkout or an editable install."""

_ROLES = ("unit", "time", "region", "first_treated", "weights")
_FACTS = ("note", "simulated", "needs", "province", "grouping")
"""What else ``roles.toml`` may say: a note for every reader; whether the numbers are drawn; the numeric columns that a study needs of a
user's file; its column of Chinese provinces, and the column of :func:`provinces` that groups them where the file has no regions."""


def names() -> list[str]:
    """Names that :func:`load` accepts, sorted."""
    return sorted(file.parent.name for file in _root().glob("*/roles.toml"))


def path(name: str) -> Path:
    """Folder of a data set, with ``panel.csv``, ``card.md`` and ``roles.toml``. Raises :class:`DatasetError` naming the known names."""
    known = names()
    if not isinstance(name, str) or name not in known:
        raise DatasetError(f"No data set {name!r}. Known: {', '.join(known)}.")
    return _root() / name


def card(name: str) -> str:
    """The card of a data set as Markdown: source, licence, columns with units, known problems."""
    return (path(name) / "card.md").read_text(encoding="utf-8")


@checked
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

    roles = _roles(name)
    # The pyarrow reader gives back the exact doubles that were written, under every version of pandas.
    frame = pd.read_csv(path(name) / "panel.csv", engine="pyarrow")
    panel = Panel.from_frame(frame, name=name, **{role: roles[role] for role in _ROLES if role in roles})
    return replace(panel, weights=panel.weights if weighted else None, note=roles.get("note", ""))


@checked
def read(file: str | Path, like: str, columns: Mapping[str, str] | None = None) -> Panel:
    """Your own CSV in the place of a data set, so that a study's script runs on it unchanged.

    Every column plays the part that it has in the data set ``like``. Chinese provinces may be given in English, pinyin or Chinese, or by
    code; where the data set is grouped by province and the file has no column of regions, the province decides.

    Parameters
    ----------
    file : str or Path
        CSV in UTF-8 or GB 18030, one row a unit and period.
    like : str
        The data set whose columns are expected, one of :func:`names`.
    columns : mapping of str to str, optional
        Name in the data set → name in your file. Every column named here must be in the file, with numbers.

    Returns
    -------
    Panel
        With all columns of the file; ``panel.name`` is the file's name, ``panel.note`` is empty.

    Raises
    ------
    DatasetError
        The file or the data set does not exist, or the file is no CSV.
    MissingColumnError, NotNumericError, ProvinceError, DuplicateRowError
        What the study needs and the file lacks, cells that are no numbers, provinces that do not exist. The message names the line.
    DataError
        Everything that :meth:`Panel.from_frame` refuses.
    """
    from bayes.own_files import read_table

    if columns is not None and not isinstance(columns, Mapping):
        raise SpecificationError(f"columns must be a mapping such as {{'npro': 'your name for it'}}, got {columns!r}.")
    roles = _roles(like)
    frame = read_table(Path(file), columns or {}, roles, provinces())
    return Panel.from_frame(frame, name=Path(file).stem, **{role: roles[role] for role in _ROLES if role in roles})


@cache
def _provinces() -> pd.DataFrame:
    import pandas as pd

    return pd.read_csv(_root() / "chinese_provinces.csv", dtype=str, keep_default_na=False)


def provinces() -> pd.DataFrame:
    """The 31 provincial units of mainland China: ``code`` and ``letter`` (GB/T 2260), ``province``, ``province_zh``, two usual groupings.

    ``region3`` is East, Central, West with Liaoning and Hainan in the East; ``region4`` has the Northeast apart; ``reach`` is upstream,
    midstream or downstream in the Yangtze River Economic Belt and empty outside it.
    """
    return _provinces().copy()


def _roles(name: str) -> dict[str, Any]:
    roles = tomllib.loads((path(name) / "roles.toml").read_text(encoding="utf-8"))
    unknown = sorted(set(roles) - {*_ROLES, *_FACTS})
    if unknown:
        raise DatasetError(f"{name}/roles.toml names unknown roles {unknown}. Known: {', '.join((*_ROLES, *_FACTS))}.")
    return roles


def truth(panel: Panel) -> Estimates:
    """What a simulated data set was drawn from, as one more source for :func:`bayes.compare`; a table without rows for every other panel.

    A script that compares with it needs no case of its own for a user's file: nothing is added there.

    Parameters
    ----------
    panel : Panel
        From :func:`load` (units and assumptions of the truths stand on the data set's card), or any other.

    Returns
    -------
    Estimates
        The rows of ``truth.csv``, points without intervals, ``source`` "Truth of the simulation".
    """
    import pandas as pd

    file = _root() / panel.name / "truth.csv"
    if not (panel.note and panel.name in names() and file.is_file()):
        return Estimates.from_rows([])
    rows = pd.read_csv(file, engine="pyarrow").assign(source="Truth of the simulation")
    return Estimates.from_rows(rows, title=f"Truth of {panel.name}")


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
