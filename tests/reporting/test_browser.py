"""The report opened in a browser: nothing broken, nothing fetched, nothing wider than the screen."""

from __future__ import annotations

import re
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

import bayes
from tests.conftest import fabricated
from tests.did.dense import panel_of
from tests.panels import simulated_frame
from tests.reporting.browser import measure, screenshot
from tests.reporting.fakes import FakeFit, synthetic_baselines, synthetic_panel


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    fit = FakeFit(synthetic_panel(), draws=100)
    comparison = bayes.compare(fit.att("simple"), fit.att("simple", estimand="att_population"), fit.att("event"), synthetic_baselines(fit))
    return bayes.report(
        fit, tmp_path_factory.mktemp("report") / "report.html", comparison=comparison, outcome="log outcome", time_unit="years"
    )


@pytest.mark.parametrize("width", [1280, 390])
def test_report_is_whole_at_this_width(page, tmp_path, width):
    found = measure(page, width, tmp_path)
    assert found["console"] == []
    assert found["images"] == 7
    assert found["broken"] == 0
    assert found["fetched"] == []
    assert found["width"] == width
    assert found["content"] <= width, found["too_wide"]
    assert found["too_wide"] == []
    assert found["smallest"] >= 12


def test_a_phone_gets_its_own_figures(page, tmp_path):
    assert measure(page, 390, tmp_path)["sources"] != measure(page, 1280, tmp_path)["sources"]


def test_robustness_results_fit_a_phone(tmp_path):
    fit = fabricated(panel_of(simulated_frame(n_units=24, n_periods=8)), covariates=("x",))
    spread = fit.heterogeneity
    results = [
        fit.sensitivity("simple", max_violation=[0, 1]), fit.variants(errors="iid", draws=60), fit.prior_sensitivity(),
        bayes.compare_pooling(fit.panel, fit.model, ["complete"], draws=100), spread.effect_by("x"),
        spread.counterfactual(["u000", "u001"]),
    ]  # fmt: skip
    found = measure(bayes.report(fit, tmp_path / "r.html", robustness=results), 390, tmp_path)
    assert found["console"] == []
    assert found["broken"] == 0
    assert found["content"] <= 390, found["too_wide"]
    assert found["too_wide"] == []


class Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture
def outside(tmp_path):
    """An address outside the file: a server on this machine with one picture."""
    from PIL import Image

    Image.new("RGB", (4, 4)).save(tmp_path / "outside.png")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Silent, directory=str(tmp_path)))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/outside.png"
    server.shutdown()
    server.server_close()


def test_the_measurement_can_fail(tmp_path, outside):
    bad = tmp_path / "bad.html"
    bad.write_text(
        f'<html><body><p style="width:2000px">wide</p><img src="missing.png" alt="x"><img src="{outside}" alt="y">'
        '<script>console.error("broken")</script></body></html>',
        encoding="utf-8",
    )
    found = measure(bad, 390, tmp_path)
    assert found["content"] > 390
    assert found["broken"] == 1
    assert any("broken" in line for line in found["console"])
    assert found["fetched"] == [outside]


def test_page_is_not_blank(page, tmp_path):
    from PIL import Image

    for width in (1280, 390):
        with Image.open(screenshot(page, width, 4000, tmp_path)) as picture:
            assert picture.width >= width
            assert len(set(picture.convert("L").resize((64, 200)).tobytes())) > 20


def test_markup_names_nothing_outside(page):
    text = page.read_text(encoding="utf-8")
    addresses = re.findall(r'(?:src|srcset|href)="([^"]*)"', text)
    assert addresses
    assert [a[:60] for a in addresses if not a.startswith(("data:", "#"))] == []
    assert not re.findall(r"url\(|@import|<script|<link rel=\"stylesheet", text)
