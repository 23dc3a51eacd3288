"""Balance of credit: accounting identities, hand-made numbers, draws, missing regions, bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes.errors import NotPositiveError, SpecificationError
from bayes.estimates import Estimates
from bayes.measure._credit import credit_balance
from bayes.panel import Panel


def synthetic(gaps: bool = False) -> Panel:
    """Synthetic: West (2 units) saves, East (1 unit) borrows."""
    frame = pd.DataFrame(
        {
            "unit": ["w1", "w1", "w2", "w2", "e", "e"],
            "year": [1, 2] * 3,
            "region": ["West"] * 4 + ["East"] * 2,
            "deposits": [100.0, 110, 100, 90, 200, 300],
            "loans": [50.0, 55, 30, 45, 240, 320],
        }
    )
    if gaps:
        frame = frame[~((frame.unit == "e") & (frame.year == 2))]
    return Panel.from_frame(frame, unit="unit", time="year", region="region", name="synthetic")


def value(found: Estimates, estimand: str, **labels) -> float:
    rows = found.where(estimand=estimand, **labels).frame
    rows = rows if "period" in labels else rows[rows.period.isna()]
    assert len(rows) == 1
    return rows.estimate.iloc[0]


def test_numbers_by_hand():
    found = credit_balance(synthetic(), "loans", "deposits")
    west, east = {"region": "West", "period": 1}, {"region": "East", "period": 1}
    assert value(found, "loan_deposit_ratio", **west) == pytest.approx(80 / 200)
    assert value(found, "outflow_share", **west) == pytest.approx(0.6)
    assert value(found, "net_siphon_share", **west) == pytest.approx(120 / 400)
    assert value(found, "net_siphon_share", **east) == pytest.approx(-40 / 400)
    assert value(found, "net_flow_share", **west) == pytest.approx((200 * 0.8 - 80) / 400)
    assert value(found, "net_flow_share", **east) == pytest.approx(-0.2)
    assert value(found, "loan_deposit_ratio", term="all", period=1) == pytest.approx(0.8)
    assert value(found, "redistributed_share", term="all", period=1) == pytest.approx(0.2)
    assert value(found, "loan_deposit_ratio", term="all") == pytest.approx(740 / 900)
    assert value(found, "loan_deposit_ratio", region="West") == pytest.approx(180 / 400)


def test_identities_on_random_units():
    rng = np.random.default_rng(2)
    frame = pd.DataFrame({"unit": np.repeat(np.arange(12), 4), "year": np.tile(np.arange(4), 12), "d": rng.lognormal(size=48)})
    frame = frame.assign(region=frame.unit % 3, l=frame.d * rng.uniform(0.2, 1.5, 48))
    found = credit_balance(Panel.from_frame(frame, unit="unit", time="year", region="region"), "l", "d", by="unit").frame
    for _, part in found.groupby("period", dropna=False):
        part = part.set_index("estimand")
        units = part[part.term == ""]
        assert units.loc["net_flow_share"].estimate.sum() == pytest.approx(0, abs=1e-14)
        assert units.loc["net_siphon_share"].estimate.sum() == pytest.approx(part[part.term == "all"].loc["outflow_share"].estimate)
        drained = units.loc["net_flow_share"].estimate.clip(lower=0).sum()
        assert part.loc["redistributed_share"].estimate == pytest.approx(drained)


def test_a_region_without_rows_is_named():
    found = credit_balance(synthetic(gaps=True), "loans", "deposits")
    row = found.where(estimand="loan_deposit_ratio", region="East", period=2).frame.iloc[0]
    assert np.isnan(row.estimate)
    assert not row.identified
    assert row.note == "no row of East in year 2"
    assert value(found, "net_flow_share", region="West", period=2) == pytest.approx(0)
    assert value(found, "redistributed_share", term="all", period=2) == pytest.approx(0)


def test_draws_and_the_neutral_value_of_a_ratio():
    panel = synthetic()
    draws = panel.column("loans")[:, None] * np.random.default_rng(0).lognormal(0, 0.2, (6, 60))
    rows = [{"estimand": "loans", "unit": u, "period": t} for u, t in panel.frame[["unit", "year"]].itertuples(index=False)]
    found = credit_balance(panel, Estimates.from_draws(rows, draws), "deposits")
    ratio = found.where(estimand="loan_deposit_ratio", region="East", period=1)
    expected = draws[(panel.frame.unit == "e") & (panel.frame.year == 1)] / 200
    np.testing.assert_allclose(ratio.draws, expected)
    assert ratio.frame.prob_positive.iloc[0] == pytest.approx((expected > 1).mean())
    assert "P(> 1)" in ratio.frame.note.iloc[0]
    flow = found.where(estimand="net_flow_share", region="West", period=1)
    assert flow.frame.prob_positive.iloc[0] == pytest.approx((flow.draws > 0).mean())


def test_bad_input():
    panel = synthetic().assign(zero=[0.0, 1, 1, 1, 1, 1], negative=[1.0, 1, 1, 1, 1, -2])
    with pytest.raises(NotPositiveError, match="unit e, year 1"):
        credit_balance(panel, "loans", "zero")
    with pytest.raises(NotPositiveError, match="'negative' is negative in 1 rows: unit w2, year 2"):
        credit_balance(panel, "negative", "deposits")
    with pytest.raises(SpecificationError, match="'region', 'unit'"):
        credit_balance(panel, "loans", "deposits", by="province")
    with pytest.raises(SpecificationError, match="level"):
        credit_balance(panel, "loans", "deposits", level=95)
