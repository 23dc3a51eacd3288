"""Tile-grid map: one square a unit, placed roughly where the unit lies, so that small units are as visible as large ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes.arguments import checked
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.plots import _dots as d
from bayes.plots import _style as s
from bayes.plots._panels import ink_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_US_ROWS = """
AK -- -- -- -- -- -- -- -- -- ME
-- -- -- -- -- -- -- -- -- VT NH
WA ID MT ND MN WI MI -- NY MA RI
OR NV WY SD IA IL IN OH PA CT --
CA UT CO NE MO KY WV VA MD NJ --
-- AZ NM KS AR TN NC SC DC DE --
-- -- -- OK LA MS AL GA -- -- --
HI -- -- TX -- -- -- -- FL -- --
"""
_US_NAMES = """
AL Alabama, AK Alaska, AZ Arizona, AR Arkansas, CA California, CO Colorado, CT Connecticut, DE Delaware, DC District of Columbia, FL
Florida, GA Georgia, HI Hawaii, ID Idaho, IL Illinois, IN Indiana, IA Iowa, KS Kansas, KY Kentucky, LA Louisiana, ME Maine, MD
Maryland, MA Massachusetts, MI Michigan, MN Minnesota, MS Mississippi, MO Missouri, MT Montana, NE Nebraska, NV Nevada, NH New
Hampshire, NJ New Jersey, NM New Mexico, NY New York, NC North Carolina, ND North Dakota, OH Ohio, OK Oklahoma, OR Oregon, PA
Pennsylvania, RI Rhode Island, SC South Carolina, SD South Dakota, TN Tennessee, TX Texas, UT Utah, VT Vermont, VA Virginia, WA
Washington, WV West Virginia, WI Wisconsin, WY Wyoming
"""
_CHINA_ROWS = """
-- -- -- -- -- -- HL
-- -- -- NM BJ -- JL
XJ GS NX SX HE TJ LN
-- QH SN HA SD -- --
XZ SC CQ HB AH JS --
-- YN GZ HN JX ZJ SH
-- -- GX GD FJ -- --
-- -- -- HI -- -- --
"""
_CHINA_NAMES = """
AH Anhui, BJ Beijing, CQ Chongqing, FJ Fujian, GS Gansu, GD Guangdong, GX Guangxi, GZ Guizhou, HI Hainan, HE Hebei, HL Heilongjiang, HA
Henan, HB Hubei, HN Hunan, NM Inner Mongolia, JS Jiangsu, JX Jiangxi, JL Jilin, LN Liaoning, NX Ningxia, QH Qinghai, SN Shaanxi, SD
Shandong, SH Shanghai, SX Shanxi, SC Sichuan, TJ Tianjin, XZ Tibet, XJ Xinjiang, YN Yunnan, ZJ Zhejiang
"""
_OTHER_SPELLINGS = {"neimenggu": "NM", "neimongol": "NM", "xizang": "XZ"}
_OPTIONAL = {"AK", "HI", "DC"}
"""Drawn only where they have a value: most state panels cover the 48 contiguous states."""


def _grid_of(rows: str) -> dict[str, tuple[int, int]]:
    lines = enumerate(rows.split("\n")[1:])
    return {code: (row, column) for row, line in lines for column, code in enumerate(line.split()) if code != "--"}


def _codes_of(names: str) -> dict[str, str]:
    return {part.split(" ", 1)[1]: part[:2] for part in " ".join(names.split()).split(", ")}


US_GRID: dict[str, tuple[int, int]] = _grid_of(_US_ROWS)
"""Postal code → (row, column) of the 50 states and the District of Columbia."""
US_NAMES: dict[str, str] = _codes_of(_US_NAMES)
"""Name → postal code."""
CHINA_GRID: dict[str, tuple[int, int]] = _grid_of(_CHINA_ROWS)
"""Letter code (GB/T 2260) → (row, column) of the 31 provincial units of mainland China."""
CHINA_NAMES: dict[str, str] = _codes_of(_CHINA_NAMES)
"""Name → letter code."""
SHADES = ("#E4EEF5", "#8FBBDA", "#0072B2", "#00324F")
"""From the lowest to the highest value."""
_MOST_CUT = 9
"""Letters that a tile must hold for names of provinces: only Heilongjiang and Inner Mongolia are cut then."""


@checked
def tile_map(
    values: Any,
    grid: Mapping[str, tuple[int, int]] | None = None,
    short: Mapping[str, str] | None = None,
    label: str = "",
    surroundings: bool = True,
    width: float = 7.0,
    path: str | Path | None = None,
) -> Figure:
    """A coloured tile for each unit.

    Parameters
    ----------
    values : Estimates or mapping of str to number
        One row a unit, for example ``fit.efficiency("unit")``; or values by label (a dictionary, a Series).
    grid : mapping of label to (row, column), optional
        Where each tile stands, counted from 0 at the top left. By default the labels choose: US states (names or postal codes), or the 31
        provincial units of mainland China (names in pinyin, Inner Mongolia and Tibet also as Neimenggu and Xizang; Shanxi and Shaanxi are
        two provinces). Tiles too small for a province's name carry its letter code (GB/T 2260).
    short : mapping of label to str, optional
        What is written in a tile instead of the label, which is cut where it is too long for its tile.
    label : str
        What the colours show, with its unit.
    surroundings : bool
        False: only the part of the grid that holds labels with a place in ``values``, and no empty tiles of other states or provinces.
    width, path
        As in :func:`bayes.plots.event_study`.

    Raises
    ------
    SpecificationError
        Labels without a place on the grid, two labels in one place, or nothing to show.
    """
    found = _by_label(values)
    if grid is None and china_province_codes(found) is not None:
        found, places, names = _on_china_grid(found, width)
    elif grid is None:
        found, places, names = _on_us_grid(found)
    else:
        places = {str(name): (int(row), int(column)) for name, (row, column) in grid.items()}
        names = {name: str((short or {}).get(name, name)) for name in places}
    _check(found, places)
    places = places if surroundings else cropped(places, found)
    shown = np.array([value for value in found.values() if np.isfinite(value)])
    if not shown.size:
        raise SpecificationError("Nothing to show: no label of the map has a finite value.")
    rows, columns = (max(place[k] for place in places.values()) + 1 for k in (0, 1))
    with s.style():
        tile = _tile_width(width, columns)
        figure, axes = s.canvas(width, rows * tile + 0.75)
        scale = _scale(shown)
        for name, place in places.items():
            value = found.get(name, np.nan)
            known = np.isfinite(value)
            draw_tile(axes, names[name], place, scale.to_rgba(value) if known else None, _number(value) if known else "", tile)
        axes.set_xlim(-0.02, columns + 0.02)
        axes.set_ylim(rows + 0.02, -0.02)
        axes.set_aspect("equal")
        axes.set_axis_off()
        bar = figure.colorbar(scale, ax=axes, orientation="horizontal", shrink=0.6, aspect=34, pad=0.02)
        bar.outline.set_visible(False)
        bar.set_label(label, fontsize=8.5)
        bar.ax.locator_params(axis="x", nbins=5)
        bar.ax.xaxis.set_major_formatter(d.plain_number)
        return s.finish(figure, path)


def us_state_codes(labels: Iterable[Any]) -> dict[str, str] | None:
    """Label → postal code when every label is the name or the code of a US state, else None."""
    names = {name.lower(): code for name, code in US_NAMES.items()}
    out = {}
    for label in map(str, labels):
        code = label.strip().upper() if label.strip().upper() in US_GRID else names.get(label.strip().lower())
        if code is None:
            return None
        out[label] = code
    return out


def china_province_codes(labels: Iterable[Any]) -> dict[str, str] | None:
    """Label → letter code when every label is the name of a Chinese province, municipality or autonomous region, else None."""
    names = {_plain(name): code for name, code in CHINA_NAMES.items()} | _OTHER_SPELLINGS
    out = {label: names.get(_plain(label)) for label in map(str, labels)}
    return None if not out or None in out.values() else out


def us_places(codes: set[str]) -> dict[str, tuple[int, int]]:
    """Places of the 48 contiguous states, and of AK, HI and DC where they are among the ``codes``."""
    drawn = {code: place for code, place in US_GRID.items() if code in codes or code not in _OPTIONAL}
    top = min(row for row, _ in drawn.values())
    return {code: (row - top, column) for code, (row, column) in drawn.items()}


def cropped(places: Mapping[str, tuple[int, int]], kept: Iterable[str]) -> dict[str, tuple[int, int]]:
    """The places of some labels, moved to the top left."""
    chosen = {name: places[name] for name in kept}
    top, left = (min(place[k] for place in chosen.values()) for k in (0, 1))
    return {name: (row - top, column - left) for name, (row, column) in chosen.items()}


def _by_label(values: Any) -> dict[str, float]:
    if isinstance(values, Estimates):
        frame = values.frame[values.frame["unit"] != ""]
        if frame.empty:
            raise SpecificationError("No estimate has a unit. Give rows by unit, for example fit.efficiency('unit').")
        d.refuse_repeated(frame, ["unit"], "A map shows one number a unit: give fit.efficiency('unit'), one source.")
        return dict(zip(frame["unit"].astype(str), frame["estimate"].astype(float), strict=True))
    try:
        return {str(name): float(value) for name, value in dict(values).items()}
    except (TypeError, ValueError) as error:
        raise SpecificationError(f"values must be bayes.Estimates or map labels to numbers, got {type(values).__name__}.") from error


def _plain(label: str) -> str:
    """A label without blanks, hyphens, apostrophes and capitals."""
    return "".join(letter for letter in label.lower() if letter.isalpha())


def _tile_width(width: float, columns: int) -> float:
    """Inches; on a page a grid with few columns does not blow its tiles up."""
    full = (width - 0.2) / columns
    return full if width <= s.NARROW else min(full, 0.115 * width)


def _on_china_grid(found: dict[str, float], width: float) -> tuple[dict[str, float], dict[str, tuple[int, int]], dict[str, str]]:
    by_code = _by_code(found, china_province_codes(found) or {})
    columns = 1 + max(column for _, column in CHINA_GRID.values())
    names = {code: name for name, code in CHINA_NAMES.items()}
    fits = characters_in(_tile_width(width, columns)) >= _MOST_CUT
    return by_code, CHINA_GRID, names if fits else {code: code for code in CHINA_GRID}


def _by_code(found: dict[str, float], codes: Mapping[str, str]) -> dict[str, float]:
    by_code: dict[str, float] = {}
    for label, value in found.items():
        if codes[label] in by_code:
            raise SpecificationError(f"Two labels stand for {codes[label]}: give each state or province once.")
        by_code[codes[label]] = value
    return by_code


def _on_us_grid(found: dict[str, float]) -> tuple[dict[str, float], dict[str, tuple[int, int]], dict[str, str]]:
    codes = us_state_codes(found)
    if codes is None:
        _refuse_unknown(list(found))
    by_code = _by_code(found, codes)
    places = us_places(set(by_code))
    return by_code, places, {code: code for code in places}


def _refuse_unknown(labels: list[str]) -> None:
    """Name the labels that have no place on the map that most labels are of."""
    not_states = [label for label in labels if us_state_codes([label]) is None]
    not_provinces = [label for label in labels if china_province_codes([label]) is None]
    kind, unknown = ("US states", not_states) if len(not_states) <= len(not_provinces) else ("Chinese provinces", not_provinces)
    raise SpecificationError(f"Not {kind}: {unknown[:5]}. Give grid=, a mapping of label to (row, column), for other maps.")


def _check(found: Mapping[str, float], places: Mapping[str, tuple[int, int]]) -> None:
    lost = [name for name in found if name not in places]
    if lost:
        raise SpecificationError(f"No place on the grid for {lost[:5]}: add them to grid=, as label: (row, column).")
    taken: dict[tuple[int, int], str] = {}
    for name, place in places.items():
        if place in taken:
            raise SpecificationError(f"{name!r} and {taken[place]!r} share the place {place} of the grid.")
        taken[place] = name
        if min(place) < 0:
            raise SpecificationError(f"The place {place} of {name!r} is negative: rows and columns count from 0.")


def _scale(shown: np.ndarray) -> Any:
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize

    low, high = float(shown.min()), float(shown.max())
    margin = 0.5 * max(abs(low), 1e-6) * 0.01 if high - low < 1e-12 else 0.0
    return ScalarMappable(Normalize(low - margin, high + margin), LinearSegmentedColormap.from_list("tiles", SHADES))


def draw_tile(axes: Axes, name: str, place: tuple[int, int], face: Any, words: str, inches: float) -> None:
    """A tile with its name, and with ``words`` below where it is large enough; without a ``face`` it is an empty frame."""
    from matplotlib.patches import Rectangle

    row, column = place
    known = face is not None
    edge = "white" if known else s.FAINT
    axes.add_patch(Rectangle((column + 0.03, row + 0.03), 0.94, 0.94, facecolor=face if known else "white", edgecolor=edge, linewidth=0.8))
    colour = ink_on(face) if known else s.MUTED
    with_words = known and words != "" and inches >= 0.5
    fits = characters_in(inches)
    text = name if len(name) <= fits else name[: fits - 1] + "."
    axes.text(column + 0.5, row + (0.36 if with_words else 0.5), text, ha="center", va="center", fontsize=8.5, color=colour)
    if with_words:
        axes.text(column + 0.5, row + 0.68, words, ha="center", va="center", fontsize=8, color=colour)


def characters_in(inches: float) -> int:
    """Letters of a name that fit into a tile."""
    return max(2, int(inches * 0.94 / 0.075))


def _number(value: float) -> str:
    words = f"{value:.3f}" if abs(value) < 10 else f"{value:.3g}"
    return words.replace("-", "−")
