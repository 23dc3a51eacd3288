"""Convergence clubs: their transition paths, and which unit belongs to which."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from bayes.arguments import checked
from bayes.errors import SpecificationError
from bayes.plots import _dots as d
from bayes.plots import _panels as p
from bayes.plots import _style as s
from bayes.plots._tile_map import draw_tile, us_places, us_state_codes

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = (s.POSTERIOR, *s.PALETTE[:-1])
_NO_CLUB = s.PALETTE[-1]
_CLUB = re.compile(r"club (\d+)$")
_MOST_NAMED = 100


@checked
def transition_paths(estimates: Any, time_unit: str = "", width: float = 7.0, path: str | Path | None = None) -> Figure:
    """Relative transition paths: values relative to the mean over all units, by club, with the units as thin lines where they are given.

    Parameters
    ----------
    estimates : Estimates
        ``bayes.measure.convergence_clubs(..., paths=True)``: rows ``relative_transition`` by period with ``term`` "club 1", … or "no club".
        Rows with a unit are thin lines in the colour of the club that their ``term``, or a row ``club`` of the same unit, names.
    time_unit : str
        Name of the horizontal axis.
    width, path
        As in :func:`bayes.plots.event_study`.

    Raises
    ------
    SpecificationError
        No row of ``relative_transition`` with a period, or several for a point.
    """
    p.require_estimates(estimates, "bayes.measure.convergence_clubs(..., paths=True)")
    frame = estimates.frame[(estimates.frame["estimand"] == "relative_transition") & estimates.frame["period"].notna()]
    if frame.empty:
        raise SpecificationError("No row is a relative transition path. Give bayes.measure.convergence_clubs(..., paths=True).")
    d.refuse_repeated(frame, ["term", "unit", "region", "period"], "Give one source.")
    clubs = _clubs_of_rows(frame, estimates.frame)
    by_club = (frame["unit"] == "") & clubs.notna()
    with s.style():
        figure, axes = s.canvas(width, 3.6)
        axes.axhline(1, color=s.MUTED, linewidth=0.9, zorder=1)
        for _, one in frame[~by_club].groupby(["term", "unit", "region"], sort=False):
            club = clubs[one.index[0]]
            _path(axes, one, _colour(club) if pd.notna(club) else s.POSTERIOR, 0.7, 0.45)
        ends, handles, labels = [], [], []
        for club in sorted(clubs[by_club].unique(), key=lambda k: (k == 0, k)):
            one = frame[by_club & (clubs == club)]
            handles.append(_path(axes, one, _colour(club), 2.2, 1.0, dashes=_dashes(club)))
            count = one["n_obs"].max()
            labels.append(_club_words(club) + (f" ({count:.0f} unit{'s' if count > 1 else ''})" if pd.notna(count) else ""))
            ends.append((one.sort_values("period")["estimate"].iloc[-1], club))
        if (~by_club).any():
            from matplotlib.lines import Line2D

            handles.append(Line2D([], [], color=s.MUTED, linewidth=0.8))
            labels.append("units")
        _finish_paths(figure, axes, frame, time_unit, width)
        _name_ends(axes, ends, frame["period"].max())
        s.top_legend(figure, handles, labels, width)
        return s.finish(figure, path)


@checked
def club_map(estimates: Any, layout: str = "auto", width: float = 7.0, path: str | Path | None = None) -> Figure:
    """Which unit belongs to which convergence club: a tile a unit, its colour the club.

    Parameters
    ----------
    estimates : Estimates
        ``bayes.measure.convergence_clubs(...)``: rows ``club`` by unit, 0 = in no club. Where ``prob_positive`` holds the share of draws
        that find the club, tiles are paler the smaller it is.
    layout : "auto", "map" or "list"
        ``map``: where the units lie, for US states (which ``auto`` recognises). ``list``: units by region, sorted by club.
    width, path
        As in :func:`bayes.plots.event_study`.

    Notes
    -----
    Above 100 units tiles of a list carry the club's number instead of the unit's name.

    Raises
    ------
    SpecificationError
        An unknown layout, no row of ``club`` with a unit, several rows of a unit, or a map of units that are not US states.
    """
    if layout not in ("auto", "map", "list"):
        raise SpecificationError(f"layout={layout!r} does not exist. Choose 'auto', 'map' or 'list'.")
    frame = _members(estimates)
    codes = us_state_codes(frame["unit"])
    if layout == "map" and codes is None:
        raise SpecificationError("layout='map' draws US states, and some units are none. Use layout='list'.")
    with s.style():
        as_map = codes is not None and layout != "list"
        figure = _map(frame.assign(code=frame["unit"].astype(str).map(codes)), width) if as_map else _list(frame, width)
        _club_legend(figure, frame, width)
        return s.finish(figure, path)


# ── paths ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _clubs_of_rows(frame: pd.DataFrame, every: pd.DataFrame) -> pd.Series:
    """Club of each row: what its term names, or what a row ``club`` of the same unit says; NaN where neither does."""
    members = every[(every["estimand"] == "club") & (every["unit"] != "")].drop_duplicates("unit").set_index("unit")["estimate"]
    named = frame["term"].astype(str).map(lambda term: 0.0 if term == "no club" else float(m[1]) if (m := _CLUB.match(term)) else np.nan)
    unit = frame["unit"].where(frame["unit"] != "", frame["term"])
    return named.fillna(unit.map(members))


def _path(axes: Axes, one: pd.DataFrame, colour: str, linewidth: float, alpha: float, dashes: Any = "-") -> Any:
    from matplotlib.lines import Line2D

    one = one.sort_values("period")
    x, low, high = (one[column].to_numpy(dtype=float) for column in ("period", "lower", "upper"))
    thick = linewidth > 1
    if thick and np.isfinite(low).any():
        axes.fill_between(x, low, high, color=colour, alpha=0.18, linewidth=0, zorder=2)
    axes.plot(x, one["estimate"], color=colour, linewidth=linewidth, alpha=alpha, linestyle=dashes, zorder=5 if thick else 3)
    return Line2D([], [], color=colour, linewidth=linewidth, linestyle=dashes)


def _finish_paths(figure: Figure, axes: Axes, frame: pd.DataFrame, time_unit: str, width: float) -> None:
    axes.set_ylabel("relative to the mean of all units")
    axes.set_xlabel(time_unit)
    axes.margins(x=0.01)
    axes.locator_params(axis="y", nbins=6)
    axes.yaxis.set_major_formatter(d.plain_number)
    p.time_axis(axes, frame["period"].to_numpy(), width - 0.6)
    levels = s.level_words(frame[frame["lower"].notna()])
    if levels:
        axes.set_title(f"{levels} intervals", loc="right", fontsize=8, color=s.MUTED, pad=3)


def _name_ends(axes: Axes, ends: list[tuple[float, float]], last: float) -> None:
    """The club's number at the end of its line, so that colours are not needed."""
    ends = sorted((y, club) for y, club in ends if np.isfinite(y))
    if not ends:
        return
    low, high = axes.get_ylim()
    line = 0.14 * (high - low) / 2.6
    places = p.spread(np.array([y for y, _ in ends]), np.full(len(ends), line), low, high)
    for (_, club), y in zip(ends, places, strict=True):
        words = f"{club:.0f}" if club else "–"
        axes.annotate(words, (last, y), (5, 0), textcoords="offset points", va="center", fontsize=8.5, color=_colour(club), weight="bold")


# ── members ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def _members(estimates: Any) -> pd.DataFrame:
    p.require_estimates(estimates, "bayes.measure.convergence_clubs(...)")
    frame = estimates.frame[(estimates.frame["estimand"] == "club") & (estimates.frame["unit"] != "")]
    if frame.empty:
        raise SpecificationError("No row says which club a unit is in. Give bayes.measure.convergence_clubs(...).")
    d.refuse_repeated(frame, ["unit"], "Give one source.")
    return frame.assign(order=frame["estimate"].replace(0, np.inf))


def _face(club: float, share: float) -> tuple[float, ...] | None:
    """Colour of a tile, paler for a smaller share of draws; none without a club."""
    from matplotlib.colors import to_rgb

    if not np.isfinite(club):
        return None
    weight = 0.25 + 0.75 * float(share) if np.isfinite(share) else 1.0
    return tuple(weight * c + (1 - weight) for c in to_rgb(_colour(club)))


def _map(frame: pd.DataFrame, width: float) -> Figure:
    places = us_places(set(frame["code"]))
    rows, columns = (max(place[k] for place in places.values()) + 1 for k in (0, 1))
    tile = (width - 0.2) / columns
    figure, axes = s.canvas(width, rows * tile + p.legend_height(_club_labels(frame), width) + 0.1)
    found = {row["code"]: row for row in frame.to_dict("records")}
    for code, place in places.items():
        row = found.get(code)
        face = _face(row["estimate"], row["prob_positive"]) if row else None
        draw_tile(axes, code, place, face, _short_club(row["estimate"]) if row else "", tile)
    axes.set_xlim(-0.02, columns + 0.02)
    axes.set_ylim(rows + 0.02, -0.02)
    axes.set_aspect("equal")
    axes.set_axis_off()
    return figure


def _list(frame: pd.DataFrame, width: float) -> Figure:
    """Tiles in lines under the names of their regions; one unit of the axes is an inch."""
    from matplotlib.patches import Rectangle

    named = len(frame) <= _MOST_NAMED
    widest, longest = (max(len(str(name)) for name in frame[column]) for column in ("region", "unit"))
    margin = min(1.45 if width > s.NARROW else 0.95, 0.075 * widest + 0.15) if len(set(frame["region"])) > 1 else 0.0
    room = width - 0.25 - margin
    size = min(0.068 * longest + 0.26, 1.5 if width > s.NARROW else 1.2) if named else 0.19
    across = max(1, int(room / size))
    size = room / across if named else size
    tall = 0.215 if named else 0.19
    tiles, names, y = [], [], 0.0
    for region, part in frame.groupby("region", sort=True):
        words = s.wrap(str(region), int(margin * 11.5)) if margin else ""
        names.append((y, words))
        units = part.sort_values(["order", "unit"]).to_dict("records")
        tiles += [(margin + size * (k % across), y + tall * (k // across), row) for k, row in enumerate(units)]
        y += max(tall * -(-len(units) // across), 0.135 * (words.count("\n") + 1)) + 0.07
    figure, axes = s.canvas(width, y + p.legend_height(_club_labels(frame), width) + 0.1)
    for x, top, row in tiles:
        face = _face(row["estimate"], row["prob_positive"])
        axes.add_patch(Rectangle((x, top), size - 0.025, tall - 0.02, facecolor=face or "white", edgecolor="none" if face else s.FAINT))
        colour = p.ink_on(face) if face else s.MUTED
        number = _short_club(row["estimate"])
        middle = top + tall / 2 - 0.008
        if not named:
            axes.text(x + (size - 0.025) / 2, middle, number, ha="center", va="center", fontsize=8, color=colour)
            continue
        most = max(3, int((size - 0.28) / 0.068))
        name = str(row["unit"]) if len(str(row["unit"])) <= most else str(row["unit"])[: most - 1] + "."
        axes.text(x + 0.05, middle, number, va="center", fontsize=8, color=colour, weight="bold")
        axes.text(x + 0.17, middle, name, va="center", fontsize=8, color=colour)
    for top, words in names:
        axes.text(0, top + 0.02, words, va="top", fontsize=8)
    axes.set_xlim(0, width - 0.25)
    axes.set_ylim(y, 0)
    axes.set_axis_off()
    return figure


def _club_legend(figure: Figure, frame: pd.DataFrame, width: float) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(facecolor=_colour(club)) for club in _clubs_present(frame)]
    if frame["prob_positive"].notna().any():
        handles.append(Patch(facecolor=_face(1, 0.3)))
    s.top_legend(figure, handles, _club_labels(frame), width)


def _club_labels(frame: pd.DataFrame) -> list[str]:
    counts = frame["estimate"].value_counts()
    labels = [f"{_club_words(club)} ({counts[club]})" for club in _clubs_present(frame)]
    return [*labels, "pale: in few draws"] if frame["prob_positive"].notna().any() else labels


def _clubs_present(frame: pd.DataFrame) -> list[float]:
    """Clubs by number, units in none last."""
    return sorted(frame["estimate"].dropna().unique(), key=lambda k: (k == 0, k))


def _colour(club: float) -> str:
    return _COLOURS[(int(club) - 1) % len(_COLOURS)] if club else _NO_CLUB


def _dashes(club: float) -> Any:
    """Lines of clubs whose colour comes a second time are dashed; those of units in no club are dotted."""
    return (0, (1.2, 1.2)) if not club else "-" if club <= len(_COLOURS) else (0, (5, 1.5))


def _club_words(club: float) -> str:
    return f"club {club:.0f}" if club else "no club"


def _short_club(club: float) -> str:
    return "?" if not np.isfinite(club) else f"{club:.0f}" if club else "–"
