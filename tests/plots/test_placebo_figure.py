"""The placebo figure: what is drawn where, at page and at phone width, without text that overlaps or is too small."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes import plots
from bayes.did.placebo_result import PlaceboTest
from bayes.errors import SpecificationError
from bayes.estimates import Estimates
from tests.plots.readability import assert_readable

META = {"verdict": "", "within": "region", "among": "never-treated"}


def made_up(kind: str, n: int, terms: list[dict], missing: int = 0) -> PlaceboTest:
    """Numbers without a model: n placebo estimates of each term around zero, the actual one at 0.3."""
    rng = np.random.default_rng(1)
    actual = [{**t, "term": "x", "estimate": 0.3, "se": 0.1, "lower": 0.1, "upper": 0.5} for t in terms]
    fake = [
        {**t, "term": "x", "variant": f"placebo {k}" if kind == "cohorts" else f"dates {k + 1} periods earlier",
         "estimate": np.nan if k < missing else e, "se": 0.1, "lower": e - 0.2, "upper": e + 0.2}
        for k in range(n) for t, e in zip(terms, rng.normal(0, 0.1, len(terms)), strict=True)
    ]  # fmt: skip
    modes = pd.DataFrame({"converged": [True] * n})
    return PlaceboTest(kind, Estimates.from_rows(actual), None, Estimates.from_rows(fake), modes, pd.DataFrame(), None, META)


REGIONS = [{"region": r} for r in ("northern coast", "centre", "west", "east")]
TESTS = {
    "one": made_up("cohorts", 500, [{}]),
    "regions": made_up("cohorts", 99, REGIONS, missing=3),
    "events": made_up("cohorts", 20, [{"event_time": float(e)} for e in range(3)]),
    "dates": made_up("dates", 3, [{}]),
    "dates by region": made_up("dates", 2, REGIONS),
}


@pytest.mark.parametrize("width", [7.0, 3.8])
@pytest.mark.parametrize("name", TESTS)
def test_text_is_large_enough_and_does_not_collide(name, width, monkeypatch):
    figure = plots.placebo(TESTS[name], outcome="log outcome", width=width)
    assert_readable(figure, monkeypatch)


def test_words_and_lines_are_those_of_the_test(tmp_path):
    test = TESTS["regions"]
    figure = test.plot(path=tmp_path / "placebo.png", statistic="studentised")
    assert (tmp_path / "placebo.png").stat().st_size > 5000
    axes = figure.axes[0]
    title = axes.get_title(loc="left")
    assert title.startswith("northern coast\n")
    assert f"p = {test.p_values('studentised').two_sided[0]:.2f}" in title
    assert "96 refits gave an estimate" in title
    assert "99 refits with dates permuted within regions" in figure.get_supxlabel().replace("\n", " ")
    assert any(np.allclose(line.get_xdata(), 3.0) for line in axes.lines)
    with pytest.raises(SpecificationError, match="statistic='p' does not exist"):
        plots.placebo(test, "p")
    with pytest.raises(SpecificationError, match="0 terms"):
        plots.placebo(made_up("cohorts", 4, [{}], missing=4))
