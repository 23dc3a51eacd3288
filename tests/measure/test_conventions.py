"""Every table of a measure says how to read its numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from bayes import measure
from bayes.panel import Panel

QUANTITIES = {"inputs": ["k", "l"], "outputs": ["y"]}


def synthetic_panel() -> Panel:
    rng = np.random.default_rng(3)
    frame = pd.DataFrame([(f"u{i}", "NS"[i % 2], 2000 + t) for i in range(10) for t in range(8)], columns=["unit", "region", "year"])
    columns = {name: np.exp(rng.normal(0, 0.3, len(frame))) for name in ("k", "l", "y", "z")}
    return Panel.from_frame(
        frame.assign(**columns, a=rng.uniform(size=80), b=rng.uniform(size=80)), unit="unit", time="year", region="region"
    )


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("dea", QUANTITIES), ("malmquist", QUANTITIES), ("composite_index", {"benefit": ["k", "y"], "cost": ["l"]}),
        ("coupling_coordination", {"systems": ["a", "b"]}), ("theil", {"values": "y"}), ("dagum_gini", {"values": "y"}),
        ("credit_balance", {"loans": "k", "deposits": "l"}), ("sigma_convergence", {"values": "y", "replicates": 20}),
        ("log_t", {"values": "y"}), ("convergence_clubs", {"values": "y"}), ("markov_transitions", {"values": "y", "draws": 20}),
    ],
)  # fmt: skip
def test_the_convention_stands_in_the_result(name, options):
    found = getattr(measure, name)(synthetic_panel(), **options)
    assert len(found.meta["convention"]) > 20
