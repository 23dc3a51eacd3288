"""Checks of what a study's text states against its printed figures: sample, treated units, signs, orders and repeated figures."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, pairwise
from pathlib import Path
from typing import Any

from bayes.baselines._printed_numbers import Interval
from bayes.baselines._printed_rows import CONTRADICTED, HOLDS, OPEN, Check, PrintedRow, find
from bayes.baselines._treated_rows import Coding, codings, treated_rows
from bayes.errors import DataError

_KEYS = ("estimand", "term", "variant", "region")
_ALLOWED = {
    "sample": ("place", "units", "periods", "first", "last"),
    "regions": ("place", "units"),
    "treatment": ("place", "term", "dates", "all", "first", "second"),
    "sign": ("place", "says", "sign", *_KEYS),
    "order": ("place", "says", *_KEYS),
    "equal": ("place", "says", "this", "that"),
}
_REQUIRED = {
    "sample": ("place", "units"),
    "regions": ("place", "units"),
    "treatment": ("place", "term", "dates"),
    "sign": ("place", "says", "sign"),
    "order": ("place", "says"),
    "equal": ("place", "says", "this", "that"),
}
_SIGNS = ("positive", "negative")


@dataclass(frozen=True)
class Stated:
    """What the text of a study states.

    Attributes
    ----------
    sample : statements of units and periods (``periods``, or ``first`` and ``last``), the one behind the tables first
    regions : units of each region (``units``)
    treatment : the dummy's ``term``; ``dates`` of start; units treated: ``all``, of the ``first`` and of the ``second`` date
    sign, order, equal : claims about rows; in an order one key is a list, largest first; ``equal`` names two rows
    """

    sample: tuple[dict[str, Any], ...] = ()
    regions: Mapping[str, Any] = field(default_factory=dict)
    treatment: Mapping[str, Any] = field(default_factory=dict)
    sign: tuple[dict[str, Any], ...] = ()
    order: tuple[dict[str, Any], ...] = ()
    equal: tuple[dict[str, Any], ...] = ()

    @classmethod
    def read(cls, path: Path) -> Stated:
        """From a TOML file; nothing is stated where there is none. Raises :class:`DataError` on unknown words, naming them."""
        if not path.is_file():
            return cls()
        found = tomllib.loads(path.read_text(encoding="utf-8"))
        _refuse_unknown(found, _ALLOWED, path.name)
        for name, entries in found.items():
            for entry in entries if isinstance(entries, list) else [entries]:
                _refuse_unknown(entry, _ALLOWED[name], f"{path.name}, {name}")
                _refuse_missing(entry, _REQUIRED[name], f"{path.name}, {name}")
                if entry.get("sign", "positive") not in _SIGNS:
                    raise DataError(f"{path.name}, sign = {entry['sign']!r} does not exist. Choose one of {', '.join(_SIGNS)}.")
        return cls(**{name: tuple(entries) if isinstance(entries, list) else entries for name, entries in found.items()})

    @property
    def units(self) -> int | None:
        return self.sample[0]["units"] if self.sample else None

    @property
    def periods(self) -> int | None:
        return _periods(self.sample[0]) if self.sample else None


def _refuse_unknown(entry: Mapping[str, Any], allowed: Sequence[str] | Mapping[str, Any], where: str) -> None:
    unknown = sorted(set(entry) - set(allowed))
    if unknown:
        raise DataError(f"{where}: unknown words {unknown}. Allowed: {', '.join(allowed)}.")


def _refuse_missing(entry: Mapping[str, Any], required: Sequence[str], where: str) -> None:
    missing = [word for word in required if word not in entry]
    if missing:
        raise DataError(f"{where}: {missing} are missing. A statement needs {', '.join(required)}.")


def _periods(entry: Mapping[str, Any]) -> int:
    if "periods" not in entry and not {"first", "last"} <= set(entry):
        raise DataError(f"Sample in {entry['place']}: give periods, or first and last.")
    return entry["periods"] if "periods" in entry else entry["last"] - entry["first"] + 1


# ── sample ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def sample_size(rows: Sequence[PrintedRow], stated: Stated) -> Iterator[Check]:
    """n = units × periods for every statement of the sample; units of the regions sum to the units."""
    printed = list(dict.fromkeys(int(r.n_obs.replace(",", "")) for r in rows if r.n_obs))
    name = "n = units × periods"
    for entry in stated.sample:
        units, periods = entry["units"], _periods(entry)
        years = f", {entry['first']} to {entry['last']}" if "first" in entry else ""
        said = f"{units} units, {periods} periods{years}"
        for n in printed:
            fits = units * periods == n
            sign = "=" if fits else "≠"
            verdict = "n fits" if fits else "another sample than that of the tables"
            yield Check(name, entry["place"], said, f"{units} × {periods} = {units * periods:,} {sign} {n:,}",
                        HOLDS if fits else CONTRADICTED, verdict)  # fmt: skip
        if not printed:
            yield Check(name, entry["place"], said, f"{units} × {periods} = {units * periods:,}", OPEN, "no n is printed")
    if stated.regions and stated.units:
        parts = stated.regions["units"]
        whole, fits = sum(parts.values()), sum(parts.values()) == stated.units
        done = f"{' + '.join(map(str, parts.values()))} = {whole} {'=' if fits else '≠'} {stated.units}"
        said = ", ".join(f"{region} {k}" for region, k in parts.items())
        yield Check("regions sum to the sample", stated.regions["place"], said, done, HOLDS if fits else CONTRADICTED,
                    "units fit" if fits else "units of the regions do not sum to the sample")  # fmt: skip


def treated_mean(rows: Sequence[PrintedRow], stated: Stated) -> PrintedRow | None:
    """The printed mean of the treatment dummy."""
    found = find(rows, estimand="mean", term=stated.treatment["term"]) if stated.treatment else []
    return found[0] if found else None


def treated_share(rows: Sequence[PrintedRow], stated: Stated) -> tuple[list[Check], list[tuple[Coding, str]]]:
    """mean(D)·n against what is stated of treated units and dates; with it every coding that the mean allows, and which stated number of
    units it uses."""
    mean = treated_mean(rows, stated)
    if mean is None or stated.units is None or stated.periods is None:
        return [], []
    if "last" not in stated.sample[0]:
        raise DataError(f"Sample in {stated.sample[0]['place']}: treated periods need its first and last period.")
    n = int(mean.n_obs.replace(",", "")) if mean.n_obs else stated.units * stated.periods
    last = stated.sample[0]["last"]
    spread = find(rows, estimand="sd", term=stated.treatment["term"])
    wide = treated_rows(mean.value, n)
    counts = treated_rows(mean.value, n, spread[0].value if spread else None)
    dates = stated.treatment["dates"]
    # A date counts as treated from its own period on, or from the next.
    pairs = [tuple(last - d + 1 - lag for d in dates) for lag in (0, 1)] if len(dates) == 2 else []
    claimed = _claimed(stated.treatment, last)
    found = codings(counts, stated.units, stated.periods, pairs)
    solutions = [(c, _uses(c, stated)) for c in found]
    fitting = [c for c in claimed if c.rows in counts]
    matched = ", ".join(f"{c} = {c.rows} ({words})" for c, words in solutions if words)
    tried = ", ".join(f"{c} = {c.rows} ({c.rows / n:.4f})" for c in claimed)
    done = f"{mean.text} {mean.value} × {n:,} leaves {_range(wide)} treated rows"
    done += f", with standard deviation {spread[0].text} {_range(counts)}" if spread else ""
    done += f"; stated: {tried}; of {len(found)} codings that fit, those with a stated number of units: {matched or 'none'}"
    verdict = f"{fitting[0]} fits" if fitting else "no stated coding of units and dates gives this mean"
    check = Check("mean(D) · n against treated units × periods", mean.words, mean.text, done, HOLDS if fitting else CONTRADICTED, verdict)
    return [check], solutions


def _claimed(treatment: Mapping[str, Any], last: int) -> list[Coding]:
    """Codings as stated: all units from the first date, the first batch alone, both batches from their own dates."""
    dates, out = treatment["dates"], []
    for lag in (0, 1):
        spans = [last - d + 1 - lag for d in dates]
        out += [Coding(u, spans[0]) for u in (*treatment.get("all", ()), *treatment.get("first", ()))]
        if len(dates) == 2:
            out += [Coding(a, spans[0], b, spans[1]) for a in treatment.get("first", ()) for b in treatment.get("second", ())]
    return out


def _uses(coding: Coding, stated: Stated) -> str:
    """Which stated number of units a coding has, in words; empty where none."""
    treatment, words = stated.treatment, []
    first, second, whole = (treatment.get(name, ()) for name in ("first", "second", "all"))
    total = coding.units + coding.later_units
    if coding.units in first:
        words.append(f"{coding.units} of the first date")
    if coding.later_units in second:
        words.append(f"{coding.later_units} of the second date")
    if total in whole:
        words.append(f"{total} in all")
    elif coding.later_units and coding.units in whole:
        words.append(f"{coding.units}, stated as all")
    if not coding.later_units and total in [a + b for a in first for b in second]:
        words.append("all listed units from one date")
    if words and coding.periods == stated.periods and not coding.later_units:
        words.append("treated in every period")
    return ", ".join(words)


def _range(counts: Sequence[int]) -> str:
    return "no whole number of" if len(counts) == 0 else f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"


# ── claims ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def signs(rows: Sequence[PrintedRow], stated: Stated) -> Iterator[Check]:
    """A stated sign against the printed figure."""
    for claim in stated.sign:
        row = _one(rows, {k: claim[k] for k in _KEYS if k in claim}, claim["place"])
        value = row.value if claim["sign"] == "positive" else Interval(-row.value.upper, -row.value.lower)
        outcome = HOLDS if value.lower > 0 else CONTRADICTED if value.upper < 0 else OPEN
        verdict = {HOLDS: f"{row.text} is {claim['sign']}", CONTRADICTED: f"{row.text} is not {claim['sign']}"}
        words = verdict.get(outcome, f"{row.text} rounds to either side of zero")
        yield Check("sign", claim["place"], claim["says"], f"{row.words}: {row.text} {row.value}", outcome, words)


def orders(rows: Sequence[PrintedRow], stated: Stated) -> Iterator[Check]:
    """A stated order against the printed figures, largest first."""
    for claim in stated.order:
        listed = [k for k in _KEYS if isinstance(claim.get(k), list)]
        if len(listed) != 1:
            raise DataError(f"Order in {claim['place']}: one of {', '.join(_KEYS)} must be a list, largest first; {len(listed)} are.")
        fixed = {k: claim[k] for k in _KEYS if k in claim and k != listed[0]}
        ranked = [_one(rows, {**fixed, listed[0]: value}, claim["place"]) for value in claim[listed[0]]]
        broken = [(a, b) for a, b in combinations(ranked, 2) if a.value.upper < b.value.lower]
        certain = all(a.value.exceeds(b.value) for a, b in pairwise(ranked))
        done = ", ".join(f"{_name(r, listed[0])} {r.text} {r.value}" for r in ranked)
        outcome = CONTRADICTED if broken else HOLDS if certain else OPEN
        if broken:
            actual = sorted(ranked, key=lambda r: -float(r.text))
            verdict = f"the printed order is {', '.join(_name(r, listed[0]) for r in actual)}" + _distance(
                *max(broken, key=lambda pair: float(pair[1].text) - float(pair[0].text))
            )
        else:
            verdict = "the order fits" if certain else "the order fits within rounding"
        yield Check("order", claim["place"], claim["says"], done, outcome, verdict)


def equalities(rows: Sequence[PrintedRow], stated: Stated) -> Iterator[Check]:
    """One quantity printed in two places."""
    for claim in stated.equal:
        this, that = (_one(rows, claim[k], claim["place"]) for k in ("this", "that"))
        fits = this.value.meets(that.value)
        done = f"{this.words}: {this.text} {this.value}; {that.words}: {that.text} {that.value}"
        verdict = "the same" if fits else f"{this.text} is not {that.text}"
        yield Check("one quantity in two places", claim["place"], claim["says"], done, HOLDS if fits else CONTRADICTED, verdict)


def _name(row: PrintedRow, key: str) -> str:
    return getattr(row, key) or "all"


def _distance(low: PrintedRow, high: PrintedRow) -> str:
    """How far apart two figures are in standard errors, where both have one and are from different units."""
    errors = [abs(float(r.text)) / abs(float(r.t_text)) if r.t_text else float(r.se_text or "nan") for r in (low, high)]
    z = (float(high.text) - float(low.text)) / (errors[0] ** 2 + errors[1] ** 2) ** 0.5
    return f" ({high.text} − {low.text} is {z:.1f} standard errors of a difference)" if z == z and low.region != high.region else ""


def _one(rows: Sequence[PrintedRow], key: Mapping[str, str], place: str) -> PrintedRow:
    """The one row with this key; keys that are not named must be empty."""
    full = {k: key.get(k, "") for k in _KEYS}
    found = find(rows, **full)
    if len(found) != 1:
        raise DataError(f"Claim in {place}: {len(found)} printed figures have {full}; a claim must name one.")
    return found[0]
