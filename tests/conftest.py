"""Fixtures that every room shares: tiny synthetic panels, balanced and with gaps."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from bayes.panel import Panel
from tests.panels import ROLES, simulated_frame

SHARED = Path(__file__).resolve().parents[1].parent / "shared"


@pytest.fixture
def tiny_frame() -> pd.DataFrame:
    """Synthetic: 24 units × 8 years, 3 regions, cohorts 2004 and 2006 and never treated."""
    return simulated_frame()


@pytest.fixture(scope="session")
def tiny_panel() -> Panel:
    """The balanced synthetic panel with all roles, population weights included."""
    return Panel.from_frame(simulated_frame(), name="synthetic", **ROLES)


@pytest.fixture(scope="session")
def gappy_panel() -> Panel:
    """The synthetic panel with missing rows inside and at the ends."""
    return Panel.from_frame(simulated_frame(gaps=True), name="synthetic with gaps", **ROLES)


@pytest.fixture(scope="session")
def shared_folder() -> Path:
    """Reference data beside the project, where there are any; not part of the repository."""
    if not SHARED.is_dir():
        pytest.skip("the folder of reference data beside the project is not here")
    return SHARED
