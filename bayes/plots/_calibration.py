"""Ranks of true values: difference of their distribution function from the uniform one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bayes.arguments import checked
from bayes.errors import SpecificationError
from bayes.plots import _style as s

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_MOST_PANELS = 24


@checked
def calibration(result: Any, level: float = 0.95, width: float = 7.0, path: str | Path | None = None) -> Figure:
    """Empirical distribution function of ranks minus the uniform one, a panel for each quantity, inside simultaneous bands.

    A line inside its grey band everywhere is compatible with a calibrated posterior (blue; orange where it leaves the band). An arch above
    zero says that posterior draws lie too high, below zero too low; a wave up then down that they are too narrow, down then up too wide.
    With many panels some leave a 95 % band by chance: the smallest p value counts against 0.05 / panels.

    Parameters
    ----------
    result : CalibrationResult
        Of :func:`bayes.calibrate`.
    level : float
        Simultaneous level of the bands of one panel.
    width, path
        As in :func:`bayes.plots.event_study`.

    Raises
    ------
    SpecificationError
        Not a calibration; more than 24 quantities (choose ``quantities=``).
    """
    from bayes.inference.calibration_result import CalibrationResult

    if not isinstance(result, CalibrationResult):
        raise SpecificationError(f"Expected the result of bayes.calibrate, got {type(result).__name__}.")
    if len(result.names) > _MOST_PANELS:
        raise SpecificationError(f"{len(result.names)} quantities: at most {_MOST_PANELS} can be drawn. Choose fewer quantities=.")
    bands, lines, p = result.bands(level), result.ecdf_difference(), result.uniformity()
    columns = min(len(lines), 4 if width > s.NARROW else 2)
    rows = -(-len(lines) // columns)
    reach = 1.08 * max(np.abs(lines).max(), np.abs(bands.lower).max(), np.abs(bands.upper).max())
    with s.style():
        figure, axes = s.canvas(width, 0.55 + 1.45 * rows, rows, columns, squeeze=False, sharex=True, sharey=True)
        for k, (panel, name, line, value) in enumerate(zip(axes.flat, result.names, lines, p, strict=False)):
            outside = ((line < bands.lower - 1e-12) | (line > bands.upper + 1e-12)).any()
            z = np.r_[0.0, bands.z]
            panel.fill_between(z, np.r_[0.0, bands.lower], np.r_[0.0, bands.upper], color=s.FAINT, linewidth=0, zorder=1)
            panel.plot(z, np.r_[0.0, line], color=s.PALETTE[0] if outside else s.POSTERIOR, linewidth=1.3, drawstyle="steps-post", zorder=3)
            s.zero_line(panel)
            words = s.wrap(name.replace("_", " "), int(width * 12 / columns) - 4)
            panel.set_title(f"{words}\np = {value:.2g}", loc="left", fontsize=8.5, pad=3)
            panel.set_ylim(-reach, reach)
            panel.set_xlim(0, 1)
            panel.set_xticks([0, 0.5, 1], ["0", "½", "1"])
            panel.locator_params(axis="y", nbins=4)
            panel.tick_params(labelbottom=k + columns >= len(lines))  # the lowest of its column
        for panel in axes.flat[len(lines) :]:
            panel.set_axis_off()
        words = f"rank of the true value among posterior draws, as a share; {len(result)} replicates; {level:.0%} bands, simultaneous"
        figure.supxlabel(s.wrap(words, int(width * 13)), fontsize=9)
        figure.supylabel("ECDF − uniform", fontsize=9)
        return s.finish(figure, path)
