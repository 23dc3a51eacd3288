"""Small pictures of the gallery, cut out of reports that were really written.

    make studies                                  # writes reports/*.html
    python docs/thumbnails.py reports             # writes docs/gallery/*.png, 60 kB each at most; needs Chromium

A figure is found by the first words of its description in the report, so that a report that was written again gives the same choice.
"""

from __future__ import annotations

import base64
import html
import io
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FIGURES = {
    "castle_doctrine": ("Event study: effects", "Specification curve"),
    "city_pilot_did": ("Effects over all regions: Direct", "Effects by region:"),
    "province_tfp": ("Effects over all regions: Direct", "Malmquist index, cumulated"),
    "yangtze_green_tfp": ("Figure: Scenarios", "Slack-based Malmquist index"),
    "regional_coordination": ("Coupling coordination", "Dagum Gini"),
    "us_states_frontier": ("Tile map", "Productivity and its parts"),
    "us_states_productivity": ("DEA", "Convergence clubs"),
}
MOST_BYTES = 60_000
_IMAGE = re.compile(r'<img src="data:(image/[^;]+);base64,([^"]+)" width="(\d+)" height="(\d+)" alt="([^"]*)"')


def figures_of(page: str) -> list[tuple[str, bytes, int, int, str]]:
    """Type, bytes, width, height and description of every figure of a report."""
    return [(m[1], base64.b64decode(m[2]), int(m[3]), int(m[4]), html.unescape(m[5])) for m in _IMAGE.finditer(page)]


def photograph(kind: str, content: bytes, width: int, height: int) -> bytes:
    """A figure as Chromium draws it, at its own size."""
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if browser is None:
        sys.exit("Chromium is needed: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder:
        picture = f"data:{kind};base64,{base64.b64encode(content).decode()}"
        (Path(folder) / "page.html").write_text(f'<body style="margin:0"><img src="{picture}" width="{width}" height="{height}">')
        options = ("--headless", "--no-sandbox", "--hide-scrollbars", f"--window-size={width},{height}", f"--screenshot={folder}/page.png")
        subprocess.run([browser, *options, f"file://{folder}/page.html"], check=True, capture_output=True, timeout=120)
        return (Path(folder) / "page.png").read_bytes()


def reduced(content: bytes, colours: int = 64) -> bytes:
    """The same picture in few colours."""
    from PIL import Image

    out = io.BytesIO()
    Image.open(io.BytesIO(content)).convert("RGB").quantize(colours, dither=Image.Dither.NONE).save(out, "PNG", optimize=True)
    return out.getvalue()


def main() -> None:
    reports, target = Path(sys.argv[1]), Path(__file__).parent / "gallery"
    target.mkdir(exist_ok=True)
    for name, wanted in FIGURES.items():
        source = reports / f"{name}.html"
        if not source.exists():
            print(f"{source} does not exist: its pictures stay as they are")
            continue
        figures = figures_of(source.read_text(encoding="utf-8"))
        for position, words in enumerate(wanted, start=1):
            kind, content, width, height, _ = next(figure for figure in figures if figure[4].startswith(words))
            small = reduced(photograph(kind, content, width, height))
            small = small if len(small) <= MOST_BYTES else reduced(photograph(kind, content, width, height), 16)
            path = target / f"{name}_{position}.png"
            path.write_bytes(small)
            print(f"{path.name}: {len(small)} bytes")


if __name__ == "__main__":
    main()
