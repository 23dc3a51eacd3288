"""Technology gaps against a loop over rows, draws and regions."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from bayes.errors import SpecificationError
from bayes.frontier import technology as tech
from bayes.frontier.efficiency import mean_efficiency
from bayes.frontier.gap import technology_gap
from tests.frontier.posteriors import data_of, made_up_draws, panel_of, spec_of, synthetic_frame

FRAME = panel_of(synthetic_frame(gaps=True)).frame


@pytest.mark.parametrize("kind", ["production", "cost"])
@pytest.mark.parametrize("model", ["pooled", "bc92", "four-component"])
def test_gaps_are_distances_to_the_envelope_of_the_regions(kind, model):
    spec = spec_of(kind=kind, model=model, covariates=["c"])
    data = data_of(spec, gaps=True)
    p = made_up_draws(spec, data, 4)
    table = technology_gap(p, spec, data, "unit:period", seed=6)
    ratio, meta = table.where(estimand="technology_gap_ratio"), table.where(estimand="meta_efficiency")
    design = tech.design(data.terms, {name: data.in_rows(v) for name, v in data.values.items()})
    for i, region in enumerate(FRAME.region):
        own = list(data.regions).index(region)
        for d in range(4):
            heights = [p["technology"][d, r] @ design[:, i] for r in range(3)]
            known = np.exp(heights[own] - max(heights)) if kind == "production" else np.exp(min(heights) - heights[own])
            assert ratio.draws[i, d] == pytest.approx(known, rel=1e-12)
    assert ((ratio.draws <= 1) & (ratio.draws > 0)).all()
    assert (ratio.draws == 1).any(axis=1).any(), "somebody is on the envelope"
    np.testing.assert_allclose(meta.draws, ratio.draws * mean_efficiency(p, spec, data, "unit:period", seed=6).draws, rtol=1e-12)
    by_region = technology_gap(p, spec, data, "region").where(estimand="technology_gap_ratio")
    known = [ratio.draws[rows].mean(axis=0) for rows in FRAME.groupby("region").indices.values()]
    np.testing.assert_allclose(by_region.draws, known, rtol=1e-12)


def test_equal_technologies_have_no_gap():
    spec = spec_of(pooling="none")
    data = data_of(spec)
    p = made_up_draws(spec, data, 3)
    p["technology"][:] = p["technology"][:, :1]
    np.testing.assert_allclose(technology_gap(p, spec, data, "all").where(estimand="technology_gap_ratio").draws, 1, rtol=1e-12)


def test_a_common_technology_or_a_single_region_is_refused():
    data = data_of(spec_of())
    p = made_up_draws(spec_of(), data)
    for pooling in ("complete", ["efficiency"]):
        with pytest.raises(SpecificationError, match="no gap"):
            technology_gap(p, spec_of(pooling=pooling), data)
    alone = SimpleNamespace(n_regions=1, regions=np.array(["all"], dtype=object))
    with pytest.raises(SpecificationError, match="region column"):
        technology_gap(p, spec_of(), alone)
