"""Headless Chromium for tests: find or install it, measure a page at a given width, take a picture of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--hide-scrollbars",
    "--disable-dev-shm-usage",
)

# Runs inside the page and sends what it measures to the page around it.
_PROBE = """<script>
window.addEventListener("load", async () => {
  for (const d of document.querySelectorAll("details")) d.open = true;
  await Promise.all([...document.images].map(i => i.decode().catch(() => null)));
  const root = document.documentElement;
  const beyond = e => e.getBoundingClientRect().right > root.clientWidth + 1 && !e.closest(".scroll");
  const wide = [...document.querySelectorAll("body *")].filter(beyond);
  const text = [...document.querySelectorAll("p, td, th, li, figcaption, summary")];
  parent.postMessage(JSON.stringify({
    width: root.clientWidth, content: root.scrollWidth, images: document.images.length,
    broken: [...document.images].filter(i => !i.complete || i.naturalWidth === 0).length,
    sources: [...document.images].map(i => i.currentSrc.length),
    fetched: performance.getEntriesByType("resource").map(r => r.name).filter(n => !n.startsWith("data:")),
    too_wide: wide.slice(0, 5).map(e => e.tagName + "." + e.className),
    smallest: Math.min(...text.map(e => parseFloat(getComputedStyle(e).fontSize)))
  }), "*");
});
</script>"""
_FRAME = """<!DOCTYPE html><html><body style="margin:0">
<iframe src="probed.html" style="border:0;width:{width}px;height:3000px"></iframe><pre id="measured"></pre>
<script>addEventListener("message", e => {{ document.getElementById("measured").textContent = e.data; }});</script></body></html>"""


@cache
def chromium() -> str:
    """Path of a Chromium; installed with apt-get when this process may do so, else the test is skipped with the reason."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found:
        return found
    if not shutil.which("apt-get") or os.geteuid() != 0:
        pytest.skip("no Chromium on PATH, and it cannot be installed here (needs root and apt-get)")
    for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", "chromium"]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
        if done.returncode:
            pytest.skip(f"{' '.join(command)} failed: {done.stderr.strip().splitlines()[-1:] or done.returncode}")
    return shutil.which("chromium") or pytest.skip("apt-get installed no chromium")


def _run(folder: Path, *arguments: str) -> subprocess.CompletedProcess:
    profile = folder / "profile"
    shutil.rmtree(profile, ignore_errors=True)
    command = [chromium(), *_FLAGS, f"--user-data-dir={profile}", "--enable-logging=stderr", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def measure(html: Path, width: int, folder: Path) -> dict:
    """Widths, images, fetched addresses and console messages of the page in a frame of ``width`` pixels (a window cannot be that "
    "narrow)."""
    page = html.read_text(encoding="utf-8").replace("</body>", _PROBE + "</body>")
    (folder / "probed.html").write_text(page, encoding="utf-8")
    (folder / "frame.html").write_text(_FRAME.format(width=width), encoding="utf-8")
    done = _run(folder, "--window-size=1400,3000", "--virtual-time-budget=8000", "--dump-dom", (folder / "frame.html").as_uri())
    answer = re.search(r'<pre id="measured">(.*?)</pre>', done.stdout, re.DOTALL)
    assert answer, f"Chromium gave no answer: {done.stderr[-800:]}"
    from html import unescape

    console = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return {**json.loads(unescape(answer.group(1))), "console": console}


def screenshot(html: Path, width: int, height: int, folder: Path) -> Path:
    """A PNG of the page in a frame of ``width`` pixels."""
    (folder / "probed.html").write_text(html.read_text(encoding="utf-8"), encoding="utf-8")
    frame = _FRAME.format(width=width).replace("3000px", f"{height}px")
    (folder / "shown.html").write_text(frame, encoding="utf-8")
    target = folder / f"page_{width}.png"
    _run(folder, f"--window-size={max(width, 600)},{height}", f"--screenshot={target}", (folder / "shown.html").as_uri())
    return target
