"""Means and standard deviations of columns as estimates, so that they stand beside a printed table of descriptive statistics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bayes.arguments import checked
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from bayes.panel import Panel


@checked
def moments(panel: Panel, columns: Sequence[str]) -> Estimates:
    """Mean and standard deviation (n − 1) of columns over all rows of a panel.

    Descriptive: no standard error. Keys are those of printed tables of descriptive statistics (``bayes.published``), so that
    :func:`bayes.compare` puts both side by side. Between and within units: :meth:`bayes.Panel.describe`.

    Parameters
    ----------
    panel : Panel
    columns : list of str

    Returns
    -------
    Estimates
        Rows ``mean`` and ``sd`` of every column (``term``), in its units; ``source`` is the panel's name.

    Raises
    ------
    SpecificationError
        No column, or a word instead of a list.
    MissingColumnError, MissingValueError, NotNumericError
        From the columns.
    """
    if isinstance(columns, str) or not len(columns):
        raise SpecificationError(f"columns takes a list of columns, for example ['gdp'], got {columns!r}.")
    rows: list[dict[str, Any]] = []
    for name in columns:
        x = panel.column(name)
        found = {"mean": x.mean(), "sd": x.std(ddof=1)}
        rows += [{"estimand": k, "term": name, "source": panel.name, "estimate": float(v), "n_obs": x.size} for k, v in found.items()]
    return Estimates.from_rows(rows, title="Means and standard deviations")
